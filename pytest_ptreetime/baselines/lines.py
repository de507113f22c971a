"""The lines of a baseline's file: text to sessions and back.

A file is JSON lines, in any order but for the first::

    {"ptreetime_baseline": 3, "test": "...", "host": {...}}
    {"session": "9f...", "time": "2026-11-23T10:00:00Z", "commit": "4f2a1c9", "tracer": "ptrace",
     "calibration": {"wall": {part: [a value a repetition]}, "cpu": ...}, "rounds": 5,
     "keys": [in the order in which they occur first], "parents": [for each key the position of its parent's, or -1],
     "identities": {what each key stands for: decision/packed_identities.py},
     "values": {metric: [for each round [a value a key]]},
     "outline": {"round": 2, "columns": "the processes of the representative round: keys/outline.py"},
     "outside": [for each round {process outside the tree: its cpu seconds}]}
    {"pin": "9f..."}

Where a key did not occur in a round, or a metric was not known, there is null. Times are UTC.

Version history of the format: 3 (0.1.0) is the first that was released.
"""

from __future__ import annotations

import math
import uuid
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.packed_identities import PackedIdentities
from pytest_ptreetime.decision.profile import Profile, columns_of
from pytest_ptreetime.errors import BaselineCorrupt, BaselineOtherVersion
from pytest_ptreetime.keys.outline import Outline
from pytest_ptreetime.system.calibration import Calibration
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Header", "Pin", "Session", "entry_of", "header_of", "line_of", "session_of"]

FORMAT_VERSION = 3
SIGNIFICANT_DIGITS = 7
ROUNDS_WITHOUT_VALUES = 100  # of a session that has no value in any: so many are believed

_values = msgspec.json.Decoder(list[list[float | None]])


@dataclass
class Session:
    """One session of one test: the profiles of its rounds, and where they came from."""

    session: str
    time: str
    columns: Columns
    commit: str | None = None
    tracer: str | None = None
    calibration: Calibration | None = None
    outline: Outline | None = None
    outside: list[dict[str, float]] = field(default_factory=list)  # for each round; [] where there is nothing

    @classmethod
    def from_profiles(
        cls,
        profiles: Sequence[Profile],
        *,
        commit: str | None,
        tracer: str,
        calibration: Calibration | None = None,
        time: datetime | None = None,
        representative: tuple[ProcessTree, int] | None = None,
    ) -> Session:
        """A session of now (or of ``time``).

        :param representative: the round that is shown, its nodes under the profiles' keys, and its number.
        """
        with without_collector():
            columns = columns_of(profiles)
            for rounds in columns.values.values():
                rounds[:] = [array("d", map(_rounded, column)) for column in rounds]
        outside = [{name: _rounded(used) for name, used in one.outside.items()} for one in profiles]
        moment = time or datetime.now(timezone.utc)
        return cls(
            session=uuid.uuid4().hex,
            time=moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            columns=columns,
            commit=commit,
            tracer=tracer,
            calibration=calibration and _rounded_calibration(calibration),
            outline=representative and Outline.of(*representative, columns.keys),
            outside=outside if any(outside) else [],
        )

    @property
    def rounds(self) -> int:
        """Their number."""
        return self.columns.number

    def profiles(self) -> list[Profile]:
        """The session as it was compared: a view for each round."""
        profiles = Profile.rounds_of(self.columns)
        for profile, outside in zip(profiles, self.outside, strict=False):
            profile.outside = outside
        return profiles


class Header(msgspec.Struct):
    """The first line."""

    ptreetime_baseline: int
    test: str
    host: HostFacts


class Pin(msgspec.Struct):
    """Which session is the fixed point of the ratchet."""

    pin: str


class _Line(msgspec.Struct):
    """A session's line."""

    session: str
    time: str
    rounds: int
    keys: list[str]
    parents: list[int]
    values: dict[str, msgspec.Raw]
    identities: PackedIdentities
    commit: str | None = None
    tracer: str | None = None
    calibration: Calibration | None = None
    outline: Outline | None = None
    outside: list[dict[str, float]] = []

    def columns(self) -> Columns:
        """Metric by metric: the numbers of all at once would take four times the memory of the columns."""
        size = len(self.keys)
        if len(self.parents) != size or len(set(self.keys)) != size:
            raise msgspec.ValidationError(f"{size} keys, not all of them unique and with a parent")
        if not -1 <= min(self.parents, default=-1) <= max(self.parents, default=-1) < size:
            raise msgspec.ValidationError("a parent outside the list of keys")
        if not 0 <= self.rounds <= (self.rounds if self.values else ROUNDS_WITHOUT_VALUES):
            raise msgspec.ValidationError(f"{self.rounds} rounds, but no values")
        self.identities.check(size)
        values = {}
        for metric, raw in self.values.items():
            rounds = _values.decode(raw)
            if len(rounds) != self.rounds or any(len(column) != size for column in rounds):
                raise msgspec.ValidationError(f"values of {metric!r} that are not of {self.rounds} rounds, {size} keys")
            values[metric] = [_column(column) for column in rounds]
        return Columns(self.keys, self.parents, values, self.rounds, packed=self.identities)


def header_of(line: bytes | memoryview, path: Path) -> Header:
    """The first line of ``path``.

    :raises BaselineOtherVersion, BaselineCorrupt: the line can't be parsed.
    """
    try:
        version = msgspec.json.decode(line)["ptreetime_baseline"]
        if version != FORMAT_VERSION:
            raise BaselineOtherVersion(
                f"the baseline {path} is of format {version!r}, this version reads {FORMAT_VERSION}: "
                "save a new one with --ptreetime-save-baseline in another directory, or use the version that wrote it"
            )
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise BaselineCorrupt(
            f"{path} is not a baseline: its first line is not a header; delete it, or restore it from version control"
        ) from None


def entry_of(line: bytes | memoryview, path: Path, number: int) -> Session | Pin | Header:
    """Line ``number`` of ``path``, one after the first.

    :raises BaselineCorrupt: it can't be read.
    """
    try:
        with without_collector():
            return _entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BaselineCorrupt(
            f"the baseline {path} is damaged at line {number}: {error}; delete the line, or restore the file from "
            "version control (a merge leaves it whole where .gitattributes says merge=union)"
        ) from None


def line_of(entry: Header | Session | Pin) -> bytes:
    """The line of ``entry``, its end included; of equal entries equal ones."""
    if isinstance(entry, Session):
        columns = entry.columns
        line: msgspec.Struct = _Line(
            session=entry.session,
            time=entry.time,
            rounds=columns.number,
            keys=columns.keys,
            parents=columns.parents,
            identities=columns.packed_identities,
            values={
                metric: msgspec.Raw(msgspec.json.encode([column.tolist() for column in rounds]))  # NaN becomes null
                for metric, rounds in columns.values.items()
            },
            commit=entry.commit,
            tracer=entry.tracer,
            calibration=entry.calibration,
            outline=entry.outline,
            outside=entry.outside,
        )
    else:
        line = entry
    return msgspec.json.encode(line, order="sorted") + b"\n"


def session_of(line: bytes) -> Session:
    """The session whose line :func:`line_of` has made in another process of the same version."""
    return _session(msgspec.json.decode(line, type=_Line))


def _entry(line: bytes | memoryview) -> Session | Pin | Header:
    with suppress(msgspec.ValidationError):  # nearly all of a file is this, and looking what it is would take as long
        return _session(msgspec.json.decode(line, type=_Line))
    names = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    if "session" in names:
        return _session(msgspec.json.decode(line, type=_Line))
    if "pin" in names:
        return msgspec.json.decode(line, type=Pin)
    return msgspec.json.decode(line, type=Header)


def _session(line: _Line) -> Session:
    if line.calibration is not None and not line.calibration.is_whole:
        raise msgspec.ValidationError("invalid calibration: parts are missing or of unequal length")
    columns = line.columns()
    about = line.commit, line.tracer, line.calibration, line.outline, line.outside
    return Session(line.session, line.time, columns, *about)


def _column(values: list[float | None]) -> array[float]:
    try:
        return array("d", values)  # type: ignore[arg-type] # None, which is rare, is what the other way is for
    except TypeError:
        return array("d", [math.nan if value is None else value for value in values])


def _rounded(value: float) -> float:
    """Seven digits hold a microsecond in ten seconds, and keep the file small."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _rounded_calibration(calibration: Calibration) -> Calibration:
    wall, cpu = (
        {part: [_rounded(value) for value in times] for part, times in clock.items()}
        for clock in (calibration.wall, calibration.cpu)
    )
    return Calibration(wall, cpu)
