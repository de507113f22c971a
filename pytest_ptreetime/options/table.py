"""Every option in one table.

An option ``some-thing`` is the flag ``--ptreetime-some-thing``, the ini key ``ptreetime_some_thing`` and, where
``marker`` is true, the argument ``some_thing`` of ``@pytest.mark.ptreetime(...)``. Values from the command line and
from ini files are text and are read by ``parse``; a marker gives Python values, and texts too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pytest_ptreetime.metrics import METRICS
from pytest_ptreetime.options.values import (
    min_effects_in,
    names_in,
    parse_baseline_name,
    parse_bool,
    parse_fail_on,
    parse_interpose,
    parse_metric,
    parse_min_effect,
    parse_name,
    parse_natural,
    parse_redaction,
    parse_rounds,
    parse_seconds,
    parse_substitution,
    parse_text,
    reports_in,
)

__all__ = ["DEFAULT_BASELINE_NAME", "DEFAULT_STORE", "OPTIONS", "TRACERS", "Option"]

DEFAULT_STORE = ".ptreetime"
DEFAULT_BASELINE_NAME = "main"
#: The tracers that come with the package, in the order in which ``auto`` tries them.
TRACERS = ("ebpf", "ptrace", "dtrace", "interpose")


class Option(NamedTuple):
    """One row of the table. ``meaning`` is Markdown, as docs/reference/options.md has it.

    ``implied`` is the value of a flag that is given without one, ``split`` finds the values in a text that may hold
    several of a repeatable option.
    """

    name: str
    meaning: str
    parse: Callable[[str], Any] = parse_text
    default: Any = None
    metavar: str | None = None
    implied: str | None = None
    repeatable: bool = False
    split: Callable[[str], list[str]] | None = None
    switch: bool = False
    marker: bool = False

    @property
    def help(self) -> str:
        """The meaning as a terminal shows it."""
        plain = re.sub(r" \(\[\w+\]\([^)]+\)\)", "", self.meaning)
        return re.sub(r"\[(\w+)\]\([^)]+\)", r"\1", plain).replace("`", "")

    @property
    def flag(self) -> str:
        return f"--ptreetime-{self.name}"

    @property
    def key(self) -> str:
        return f"ptreetime_{self.attribute}"

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")


OPTIONS: tuple[Option, ...] = (
    Option(
        "baseline",
        "compare with the stored baselines in DIR (`.ptreetime`), which is relative to pytest's rootdir. "
        "A store that is missing or damaged fails the test before the build runs; a test without a "
        "stored baseline passes and is reported, also with `-q`",
        metavar="DIR",
        implied=DEFAULT_STORE,
    ),
    Option(
        "save-baseline",
        "add this session to the baselines; regressions and incomplete runs are not added",
        metavar="DIR",
        implied=DEFAULT_STORE,
    ),
    Option(
        "baseline-name",
        "which baseline of the store: `main`, `release`, ...",
        parse_baseline_name,
        DEFAULT_BASELINE_NAME,
        "NAME",
    ),
    Option(
        "allow-other-machine",
        "compare times, too, with a baseline from a machine whose processor, number of processors or "
        "memory differs (only counts otherwise)",
        parse_bool,
        default=False,
        switch=True,
    ),
    Option(
        "against",
        "run every build of revision REV too, in turns (A B B A ...), and compare; `merge-base`: of the "
        "commit at which this branch left its target",
        parse_name,
        metavar="REV",
    ),
    Option(
        "rounds",
        "measured runs: 5 where something is compared, saved or reported to LNT, else 1; `auto`: until "
        "the question is decided",
        parse_rounds,
        metavar="N",
        marker=True,
    ),
    Option(
        "budget",
        "seconds that `--ptreetime-rounds auto` may spend on a test (300), and `--ptreetime-confirm`",
        parse_seconds,
        300.0,
        "S",
        marker=True,
    ),
    Option(
        "confirm",
        "measure what may have become slower alone: both sides of the process are replayed in turns, in a sandbox, "
        "until it is confirmed or refuted ([how](../how-to/noisy-machines.md))",
        parse_bool,
        default=False,
        switch=True,
        marker=True,
    ),
    Option(
        "warmup",
        "runs before the measured ones (1 where several are measured)",
        parse_natural,
        metavar="N",
        marker=True,
    ),
    Option("timeout", "end a build's whole process tree after S seconds", parse_seconds, None, "S", marker=True),
    Option("tracer", f"`auto`, {', '.join(f'`{name}`' for name in TRACERS)}", parse_name, "auto", "NAME", marker=True),
    Option(
        "interpose",
        "`true`: load a library where the tracer has a use for one; `false`: none; `log`: the one that "
        "logs each start and end",
        parse_interpose,
        default=True,
        metavar="{true,false,log}",
        marker=True,
    ),
    Option(
        "no-aslr",
        "run the build without randomised addresses (`setarch -R`): counts of faults and instructions vary less; its "
        "times may differ from those of an ordinary run",
        parse_bool,
        default=False,
        switch=True,
        marker=True,
    ),
    Option("sudo", "allow privileged tracers to be started by `sudo -n`", parse_bool, default=False, switch=True),
    Option(
        "min-effect",
        "smallest change worth an alarm (`cpu=3`, `wall=2:0.05`), for all nodes or for those whose key "
        "matches the glob pattern (`*/cc1*@cpu=10`)",
        parse_min_effect,
        default=(),
        metavar="[PATTERN@]METRIC=PERCENT[:SECONDS]",
        repeatable=True,
        split=min_effects_in,
        marker=True,
    ),
    Option(
        "metrics",
        f"metrics to compare, several in one value too: {' '.join(METRICS)}",
        parse_metric,
        metavar="NAME",
        repeatable=True,
        split=names_in,
        marker=True,
    ),
    Option(
        "ignore", "leave nodes out whose key matches the glob pattern", metavar="PATTERN", repeatable=True, marker=True
    ),
    Option(
        "fail-on",
        "`never`, `regression` (default), `no-baseline` (and regressions), `inconclusive` (and these two, "
        "and times that a baseline from another machine can't judge); `structure`: any difference of "
        "structure, too, also beside one of these (`structure,no-baseline`)",
        parse_fail_on,
        frozenset({"regression"}),
        "WHAT",
        marker=True,
    ),
    Option(
        "sub-arg",
        "replace what varies in arguments, so that keys don't",
        parse_substitution,
        default=(),
        metavar="PATTERN=REPLACEMENT",
        repeatable=True,
        marker=True,
    ),
    Option(
        "redact",
        "hide what matches in command lines (of a pattern with groups, what they match), besides what "
        "looks like a password or a token ([how](../explanation/security.md#secrets)); an empty pattern, or `off`, "
        "switches this default off",
        parse_redaction,
        default=(),
        metavar="PATTERN",
        repeatable=True,
    ),
    Option(
        "report",
        "any [report](reports.md)",
        metavar="NAME[:FILE]",
        repeatable=True,
        split=reports_in,
    ),
    Option("lnt-report", "an LNT report, one sample a round", metavar="FILE"),
    Option("lnt-suite", "its suite: `compile` (LNT's own) or `ptreetime` (ours)", parse_name, "compile", "NAME"),
    Option("lnt-submit", "send it there too", parse_name, metavar="URL"),
    Option("machine", "this machine's name in reports", parse_name, metavar="NAME"),
    Option("run-order", "the run's place in LNT's history; the commit's time by default", parse_name, metavar="N"),
    Option("record-dir", "keep the recording of every round", metavar="DIR"),
    Option(
        "bisect",
        "exit as `git bisect run` has it: 0 good, 1 bad (a regression, a failed assertion), 125 untestable "
        "(inconclusive, nothing compared, the build fails), 128 stop (a usage error)",
        parse_bool,
        default=False,
        switch=True,
    ),
    Option("disable", "skip the tests that measure builds", parse_bool, default=False, switch=True),
)
