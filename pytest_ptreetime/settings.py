"""The one place where an option's value is decided: flag, call, marker, ini, default.

A value that can't be meant is refused here, before anything runs. Names that plugins may add to (tracers, reports) and
names of what is elsewhere are looked up in plugin/known_names.py, when the plugins are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.table import DEFAULT_BASELINE_NAME, DEFAULT_STORE, OPTIONS, Option
from pytest_ptreetime.options.values import MinEffect

__all__ = ["DEFAULT_ROUNDS", "Settings", "resolve"]

DEFAULT_ROUNDS = 5


class Settings(NamedTuple):
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
    min_effect: Mapping[str, MinEffect] = {}
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
    bisect: bool = False
    disable: bool = False
    from_flags: frozenset[str] = frozenset()

    def with_call(self, arguments: Mapping[str, Any]) -> Settings:
        """These settings with the arguments of one call of the fixture: stronger than all but a flag."""
        said = {name: value for name, value in arguments.items() if value is not None}
        return self._replace(**{name: value for name, value in said.items() if name not in self.from_flags})

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
