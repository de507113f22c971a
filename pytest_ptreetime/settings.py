"""Every option in one table, and the one place where its value is decided: flag, call, marker, ini, default.

An option ``some-thing`` is the flag ``--ptreetime-some-thing``, the ini key ``ptreetime_some_thing`` and, where
``marker`` is true, the argument ``some_thing`` of ``@pytest.mark.ptreetime(...)``. Values from the command line and
from ini files are text and are read by ``parse``; a marker gives Python values, and texts too.

A value that can't be meant is refused here, before anything runs. Names that plugins may add to (tracers, reports) and
names of what is elsewhere are looked up in plugin/known_names.py, when the plugins are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.metrics import METRICS, MIN_EFFECTS, unknown_names
from pytest_ptreetime.system.user_pattern import check_replacement, user_pattern

__all__ = [
    "FAIL_ON",
    "OPTIONS",
    "TRACERS",
    "MinEffect",
    "Option",
    "Settings",
    "min_effect_terms",
    "names_in",
    "parse_min_effects",
    "resolve",
]

DEFAULT_STORE = ".ptreetime"
DEFAULT_BASELINE_NAME = "main"
#: The tracers that come with the package, in the order in which ``auto`` tries them.
TRACERS = ("ebpf", "ptrace", "dtrace", "interpose")
#: What may fail a test. Each verdict fails those before it, too; ``structure`` is a regression's verdict for every
#: difference of structure.
FAIL_ON = ("never", "regression", "no-baseline", "inconclusive", "structure")
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
MAX_PATTERN_LENGTH = 1000


@dataclass(frozen=True)
class MinEffect:
    """The smallest change worth an alarm: ``ratio`` of the metric, and at least ``seconds`` (or bytes) in all."""

    ratio: float
    seconds: float = 0.0


def parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return word in TRUE_WORDS
    raise ValueError("give true or false")


def parse_interpose(text: str) -> bool | Literal["log"]:
    if text.strip().lower() == "log":
        return "log"
    try:
        return parse_bool(text)
    except ValueError:
        raise ValueError("give true or false, or log") from None


def parse_text(text: str) -> str:
    return text


def parse_rounds(text: str) -> int | str:
    if text == "auto":
        return "auto"
    return parse_positive(text)


def parse_positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise ValueError("give a whole number from 1 on")
    return number


def parse_natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("give a whole number from 0 on")
    return int(text)


def parse_seconds(text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds <= 0:
        raise ValueError("give a number of seconds above 0")
    return seconds


def parse_least_seconds(text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds < 0:
        raise ValueError("give a number of seconds, 0 or more")
    return seconds


def _number(text: str) -> float | None:
    """The number that ``text`` is; None where it is none, or no finite one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def parse_baseline_name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise ValueError("a baseline's name has letters, digits, '.', '-' and '_' and is no path")
    return text


def parse_name(text: str) -> str:
    if not text.strip():
        raise ValueError("give a name")
    return text


def parse_metric(text: str) -> str:
    unknown = unknown_names([text], (*METRICS, "count"), "metric")
    if unknown is not None:
        raise ValueError(unknown)
    return text


def parse_fail_on(text: str) -> frozenset[str]:
    """The verdicts that fail a test, and ``structure`` where any difference of structure does.

    ``never`` none, ``regression`` that, ``no-baseline`` that too, ``inconclusive`` all three. ``structure`` has
    ``regression`` in it, and may be named beside one of the others.
    """
    words = names_in(text)
    unknown = unknown_names(words, FAIL_ON, "level")
    if unknown is not None or not words:
        raise ValueError(unknown or f"give one of {', '.join(FAIL_ON)}")
    if "never" in words:
        if len(words) > 1:
            raise ValueError("never stands alone")
        return frozenset()
    ladder = FAIL_ON[1:4]
    highest = max((ladder.index(word) for word in words if word in ladder), default=0)
    return frozenset({*ladder[: highest + 1], *(("structure",) if "structure" in words else ())})


def names_in(text: str) -> list[str]:
    """The names of a text, with commas or blanks between them."""
    return [name for name in re.split(r"[\s,]+", text) if name]


def reports_in(text: str) -> list[str]:
    """``json html`` are two reports; ``json:a file.json`` is one, whose file's name may hold anything."""
    return [text] if ":" in text else names_in(text)


def min_effects_in(text: str) -> list[str]:
    """``wall=2 cpu=3`` are two; a pattern before an ``@`` may hold anything."""
    return [text] if "@" in text else names_in(text)


def parse_min_effects(texts: Sequence[str]) -> dict[str, MinEffect]:
    """Minimum effects as ``--min-effect`` gives them, several times and several in one.

    :raises ValueError: one can't be read.
    """
    return dict(parse_min_effect(part) for text in texts for part in min_effects_in(text) or [text])


def parse_min_effect(text: str) -> tuple[str, MinEffect]:
    """``wall=2`` is 2 % of wall time; ``cpu=3:0.05`` is 3 %, and no less than 0.05 seconds.

    ``*/cc1*@cpu=10`` is for the nodes alone whose key matches the glob pattern before the last ``@``.
    """
    matched = re.fullmatch(r"((?:.+@)?[a-z_]+)=(\d+(?:\.\d*)?)%?(?::(\d+(?:\.\d*)?))?", text.strip())
    if matched is None:
        raise ValueError("give [PATTERN@]METRIC=PERCENT[:SECONDS], for example wall=2, cpu=3:0.05 or '*/cc1*@cpu=10'")
    metric, percent, seconds = matched.groups()
    unknown = unknown_names([metric.rpartition("@")[2]], MIN_EFFECTS, "metric")
    if unknown is not None:
        raise ValueError(unknown)
    return metric, MinEffect(float(percent) / 100, float(seconds or 0))


def min_effect_terms(effects: Mapping[str, MinEffect]) -> dict[str, Any]:
    """The keyword arguments of compare() for minimum effects by ``METRIC`` or ``PATTERN@METRIC``."""
    general: dict[str, tuple[float, float]] = {}
    by_pattern: dict[str, dict[str, Any]] = {}
    for name, effect in effects.items():
        pattern, _, metric = name.rpartition("@")
        chosen = by_pattern.setdefault(pattern, {"min_effect": {}})["min_effect"] if pattern else general
        chosen[metric] = (effect.ratio, effect.seconds)
    terms: dict[str, Any] = {"min_effect": general} if general else {}
    return {**terms, "node_settings": by_pattern} if by_pattern else terms


def parse_substitution(text: str) -> tuple[str, str]:
    """``PATTERN=REPLACEMENT``; without ``=`` the replacement is empty, as in the original."""
    pattern, _, replacement = text.partition("=")
    if not pattern or len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"give PATTERN=REPLACEMENT with a pattern of 1 to {MAX_PATTERN_LENGTH} characters")
    what = f"the pattern {pattern}"
    try:
        check_replacement(user_pattern(pattern, what), replacement, what)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return pattern, replacement


def parse_redaction(text: str) -> str:
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"give a pattern of at most {MAX_PATTERN_LENGTH} characters")
    try:
        user_pattern(text, f"the pattern {text}", flags=re.MULTILINE)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


@dataclass(frozen=True)
class Option:
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
        "A store that is missing or damaged fails the test before the build runs; a test that the store "
        "has nothing of passes and is told, also with `-q`",
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
        "against", "run every build of revision REV too, in turns (A B B A ...), and compare", parse_name, metavar="REV"
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
        "`never`, `regression` (default), `no-baseline` (and regressions), `inconclusive` (and both, and "
        "times that another machine's baseline has no answer for); `structure`: any difference of "
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
        "takes this default away",
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
    Option("lnt-suite", "its suite: `compile` (as LNT ships it) or `ptreetime` (ours)", parse_name, "compile", "NAME"),
    Option("lnt-submit", "send it there too", parse_name, metavar="URL"),
    Option("machine", "this machine's name in reports", parse_name, metavar="NAME"),
    Option("run-order", "the run's place in LNT's history; the commit's time by default", parse_name, metavar="N"),
    Option("record-dir", "keep the recording of every round", metavar="DIR"),
    Option("disable", "skip the tests that measure builds", parse_bool, default=False, switch=True),
)


@dataclass(frozen=True)
class Settings:
    """The decided values, an attribute for each option (see the table for what they mean)."""

    baseline: str | None = None
    save_baseline: str | None = None
    baseline_name: str = "main"
    allow_other_machine: bool = False
    against: str | None = None
    rounds: int | str | None = None
    budget: float = 300.0
    confirm: bool = False
    warmup: int | None = None
    timeout: float | None = None
    tracer: str = "auto"
    interpose: bool | Literal["log"] = True
    no_aslr: bool = False
    sudo: bool = False
    #: By ``METRIC``, or by ``PATTERN@METRIC`` for some nodes.
    min_effect: Mapping[str, MinEffect] = field(default_factory=dict)
    metrics: Sequence[str] | None = None
    ignore: Sequence[str] = ()
    fail_on: frozenset[str] = frozenset({"regression"})
    sub_arg: Sequence[tuple[str, str]] = ()
    redact: Sequence[str] = ()
    report: Sequence[str] = ()
    lnt_report: str | None = None
    lnt_suite: str = "compile"
    lnt_submit: str | None = None
    machine: str | None = None
    run_order: str | None = None
    record_dir: str | None = None
    disable: bool = False
    from_flags: frozenset[str] = frozenset()

    def with_call(self, arguments: Mapping[str, Any]) -> Settings:
        """These settings with the arguments of one call of the fixture: stronger than all but a flag."""
        said = {name: value for name, value in arguments.items() if value is not None}
        return replace(self, **{name: value for name, value in said.items() if name not in self.from_flags})

    @property
    def saving_flags(self) -> list[str]:
        """The flags that save what these settings compare with."""
        directory = self.baseline or self.save_baseline or DEFAULT_STORE
        flags = ["--ptreetime-save-baseline" + (f"={directory}" if directory != DEFAULT_STORE else "")]
        if self.baseline_name != DEFAULT_BASELINE_NAME:
            flags.append(f"--ptreetime-baseline-name={self.baseline_name}")
        return flags

    @property
    def measures(self) -> bool:
        """Whether numbers are wanted, and not only the structure of the tree: then a build runs several times."""
        wanted = (self.baseline, self.save_baseline, self.against, self.lnt_report, self.lnt_submit)
        return any(value is not None for value in wanted)

    @property
    def round_count(self) -> int:
        """Measured rounds where no adaptive number was asked for."""
        if isinstance(self.rounds, int):
            return self.rounds
        return DEFAULT_ROUNDS if self.measures else 1

    @property
    def warmup_count(self) -> int:
        if self.warmup is not None:
            return self.warmup
        return 1 if self.measures else 0


DEFAULT_ROUNDS = 5


def resolve(flags: Mapping[str, Any], marker: Mapping[str, Any], ini: Mapping[str, Any]) -> Settings:
    """Decide every value.

    :param flags: by attribute; None where the flag was not given, texts or lists of texts otherwise.
    :param marker: the arguments of the test's marker, the nearest one winning.
    :param ini: by attribute, as flags.
    :raises UsageError: a value can't be read, or the marker has an argument that doesn't exist.
    """
    unknown = sorted(set(marker) - {option.attribute for option in OPTIONS if option.marker})
    if unknown:
        allowed = ", ".join(option.attribute for option in OPTIONS if option.marker)
        raise UsageError(f"@pytest.mark.ptreetime has no argument {', '.join(unknown)}: it takes {allowed}")
    values: dict[str, Any] = {}
    from_flags: set[str] = set()
    for option in OPTIONS:
        for source, place in ((flags, option.flag), (marker, f"marker {option.attribute}"), (ini, f"ini {option.key}")):
            raw = source.get(option.attribute)
            if raw is not None and raw != []:
                values[option.attribute] = _read(option, raw, place)
                if source is flags:
                    from_flags.add(option.attribute)
                break
    if "save_baseline" in from_flags and "baseline" not in from_flags:
        values.pop("baseline", None)  # saving without comparing accepts what a comparison from the ini file refused
    if "baseline" in values and "against" in values:
        weaker = {"baseline", "against"} - from_flags
        if len(weaker) != 1:
            raise UsageError(
                "--ptreetime-baseline and --ptreetime-against can't both be compared with: give one of them"
            )
        values.pop(weaker.pop())
    if "min_effect" in values:
        values["min_effect"] = dict(values["min_effect"])
    return Settings(**values, from_flags=frozenset(from_flags))


def _read(option: Option, raw: Any, place: str) -> Any:
    if not option.repeatable:
        return _read_one(option, raw, place)
    if isinstance(raw, Mapping):  # a marker's min_effect={"wall": 2}
        raw = [f"{name}={value}" for name, value in raw.items()]
    items = [raw] if isinstance(raw, str) else list(raw)
    if option.split is not None:
        items = [part for item in items for part in (option.split(item) or [item] if isinstance(item, str) else [item])]
    return tuple(_read_one(option, item, place) for item in items)


def _read_one(option: Option, raw: Any, place: str) -> Any:
    if isinstance(raw, str) and raw == "" and option.implied is not None:
        raw = option.implied
    text = str(raw)
    try:
        return option.parse(text)
    except ValueError as error:
        raise UsageError(f"{place}: {text!r} can't be used: {error}") from None
