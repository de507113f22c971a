"""Build-performance regression tests for pytest; README.md and docs/ are the manual.

The names below can be imported from here and are loaded when they are first used: importing this package costs a
pytest run that does not trace nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ptreetime.decision.comparing import Comparison, Finding, compare
    from pytest_ptreetime.decision.profile import Profile
    from pytest_ptreetime.errors import PtreetimeError
    from pytest_ptreetime.recording.recording import Recording
    from pytest_ptreetime.session.run import record
    from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

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
    "Comparison": "decision.comparing",
    "Finding": "decision.comparing",
    "ProcessNode": "tree.process_tree",
    "ProcessTree": "tree.process_tree",
    "Profile": "decision.profile",
    "PtreetimeError": "errors",
    "Recording": "recording.recording",
    "compare": "decision.comparing",
    "record": "session.run",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
