"""Which tracers work on this machine, why the others don't, and the one command that would enable each.

The answer comes from trying: every tracer's recorder is started as a recording would start it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_ptreetime.tracers import Tracer, Unavailable, builtin_tracers
from pytest_ptreetime.tracers.native_tracer import NativeTracer

__all__ = ["Diagnosis", "diagnose", "render", "sees_everything"]

# What a tracer sees, in words, and whether that is every process.
_SIGHT: Mapping[str, tuple[str, bool]] = {
    "ebpf": ("every process, from inside the kernel; nothing in the build's way", True),
    "ptrace": ("every process; stops each one at its forks, execs and exit", True),
    "dtrace": ("every process, from inside the kernel", True),
    "interpose": ("dynamically linked programs only", False),
}


@dataclass(frozen=True)
class Diagnosis:
    """One tracer on this machine.

    ``reason`` is None where it works. ``remedy`` is the one command that would enable it, None where it works and
    where no command would help. ``chosen`` marks the one that ``auto`` takes.
    """

    tracer: str
    sees: str
    sees_everything: bool
    reason: str | None = None
    remedy: str | None = None
    chosen: bool = False
    #: Whether it counts instructions: None where it does, else the reason in words.
    uncounted: str | None = "it does not count them"


def diagnose(*, sudo: bool = False, tracers: Mapping[str, Callable[[], Tracer]] | None = None) -> list[Diagnosis]:
    """Every tracer, in the order in which ``auto`` tries them.

    :param sudo: whether ``sudo -n`` may be tried for those that need privileges.
    :param tracers: others than those that come with the package.
    """
    known = builtin_tracers(sudo=sudo) if tracers is None else tracers
    found: list[Diagnosis] = []
    for name, make in known.items():
        tracer = make()
        uncounted: str | None = "it does not count them"
        try:
            answer = tracer.available()
            if answer is None and isinstance(tracer, NativeTracer):
                uncounted = tracer.why_uncounted()
        finally:
            tracer.close()
        sees, everything = _SIGHT.get(name, ("what its plugin says", True))
        if answer is None:
            chosen = not any(before.chosen for before in found)
            found.append(Diagnosis(name, sees, everything, chosen=chosen, uncounted=uncounted))
        else:
            why = Unavailable.of(answer)
            found.append(Diagnosis(name, sees, everything, why.reason, why.remedy))
    return found


def sees_everything(found: Sequence[Diagnosis]) -> bool:
    """Whether one of them works and misses no process."""
    return any(one.reason is None and one.sees_everything for one in found)


def render(found: Sequence[Diagnosis], *, width: int = 80) -> str:
    """The diagnoses as lines of at most ``width`` columns; a command stays on one line, to be copied."""
    lines: list[str] = []
    for one in found:
        if one.reason is None:
            choice = " (taken by auto)" if one.chosen else ""
            lines += _wrapped(f"{one.tracer}: works{choice}: sees {one.sees}", width)
            continue
        lines += _wrapped(f"{one.tracer}: does not work: {one.reason}", width)
        lines.append(f"    to enable it: {one.remedy}" if one.remedy else "    no command would enable it here")
    lines += _wrapped(f"the metric instructions: {_instructions(found)}", width)
    return "\n".join(lines)


def _instructions(found: Sequence[Diagnosis]) -> str:
    """Whether they are to be had, and by which tracers: by those that work and see every process."""
    asked = {one.tracer: one.uncounted for one in found if one.reason is None and one.sees_everything}
    counting = [tracer for tracer, reason in asked.items() if reason is None]
    reasons = {tracer: reason for tracer, reason in asked.items() if reason is not None}
    if not counting:
        return f"not to be had: {reasons.get('ptrace', 'no tracer that counts them works')}"
    others = "".join(f"; not by {tracer}: {reason}" for tracer, reason in reasons.items())
    return f"counted by {' and '.join(counting)}{others}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
