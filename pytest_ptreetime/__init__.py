"""Build-performance regression tests for pytest; README.md is the manual.

The names below can be imported from here and are loaded when they are first used: importing this package costs a
pytest run that does not trace nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ptreetime.compare import Comparison, Finding, compare
    from pytest_ptreetime.errors import PtreetimeError
    from pytest_ptreetime.measure import record
    from pytest_ptreetime.profile import Profile
    from pytest_ptreetime.recording import Recording
    from pytest_ptreetime.tree import ProcessNode, ProcessTree

__all__ = [
    "Comparison",
    "Finding",
    "ProcessNode",
    "ProcessTree",
    "Profile",
    "PtreetimeError",
    "Recording",
    "compare",
    "record",
]

_HOMES = {
    "Comparison": "compare",
    "Finding": "compare",
    "ProcessNode": "tree",
    "ProcessTree": "tree",
    "Profile": "profile",
    "PtreetimeError": "errors",
    "Recording": "recording",
    "compare": "compare",
    "record": "measure",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
