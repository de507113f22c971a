"""What plugins have to do with a measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.decision.comparing import Comparison
from pytest_ptreetime.tracers import Tracer
from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["Hooks"]


@dataclass
class Hooks:
    """What plugins may override; see plugin/hookspecs.py."""

    key: Callable[[ProcessNode], str | None] | None = None
    normalize_args: Callable[[ProcessNode], Sequence[str] | None] | None = None
    compare: Callable[..., Comparison | None] | None = None
    tracers: Mapping[str, Callable[[], Tracer]] = field(default_factory=dict)
    machine_info: Callable[[dict[str, str]], object] | None = None
