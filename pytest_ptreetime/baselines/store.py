"""The store of baselines: a directory of small text files that merge in git.

::

    .ptreetime/
        .gitattributes                              *.jsonl merge=union: two branches may each add sessions
        main/                                       a baseline's name
            test_build.py-test_clean-1f0c.5be2.jsonl    one test on one kind of machine (digests of both)

A file is JSON lines, a session each; lines.py says what they hold. A kind of machine is a processor's model, the number
of processors, the memory in GiB and the architecture.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_ptreetime.baselines.lines import FORMAT_VERSION, Header, Pin, Session, entry_of, header_of, line_of
from pytest_ptreetime.errors import (
    BaselineCorrupt,
    BaselineError,
    BaselineMissing,
    StoreMissing,
    UsageError,
)
from pytest_ptreetime.system.atomic_write import replace_file
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.system.regular_file import read_file
from pytest_ptreetime.system.user_lock import user_lock

__all__ = ["DEFAULT_HISTORY", "Baseline", "Session", "Store", "file_name", "near"]

DEFAULT_HISTORY = 20
SLUG_LENGTH = 80


@dataclass
class Baseline:
    """Everything stored for one test on one kind of machine, oldest session first."""

    test: str
    host: HostFacts
    path: Path
    sessions: list[Session] = field(default_factory=list)
    pinned: str | None = None

    @property
    def pinned_session(self) -> Session | None:
        """The session that ``ptreetime baseline pin`` named, the fixed point of the ratchet."""
        return next((session for session in self.sessions if session.session == self.pinned), None)

    @property
    def recent(self) -> list[Session]:
        """What to compare with as what is usual: the pinned session is not, where two others are there.

        It lies apart as soon as anything has crept, and would make the noise between sessions as large as that.
        """
        others = [session for session in self.sessions if session.session != self.pinned]
        return others if len(others) > 1 else self.sessions

    def describe(self) -> str:
        """For a report: ``10 sessions, last 2026-11-20 (4f2a1c9), in .ptreetime/main``."""
        last = self.sessions[-1]
        commit = f" ({last.commit[:7]})" if last.commit else ""
        sessions = counted(len(self.sessions), "session")
        return f"{sessions}, last {last.time[:10]}{commit}, in {near(self.path.parent)}"

    def keep(self, history: int) -> None:
        """Forget all but the last ``history`` sessions and the pinned one."""
        kept = self.sessions[-history:] if history else []
        pinned = self.pinned_session
        if pinned is not None and pinned not in kept:
            kept.insert(0, pinned)
        self.sessions = kept


class Store:
    """The baselines called ``name`` in ``directory``."""

    def __init__(self, directory: str | os.PathLike[str], name: str = "main") -> None:
        if not re.fullmatch(r"[\w][\w.-]*", name):
            raise UsageError(f"a baseline can't be called {name!r}: use letters, digits, '.', '-' and '_'")
        self.root = Path(directory)
        self.directory = self.root / name

    def names(self) -> list[str]:
        """What the baselines in the store are called.

        :raises StoreMissing: there is no such directory.
        :raises BaselineError: it can't be looked into.
        """
        if not os.path.lexists(self.root):
            raise StoreMissing(f"there is no store {near(self.root)}")
        return [name for name in _names_in(self.root) if (self.root / name).is_dir()]

    def load(self, test: str, host: HostFacts) -> Baseline:
        """What is stored for ``test``: on a machine like ``host``, else where the latest session was measured.

        :raises StoreMissing: the store's directory is not there.
        :raises BaselineMissing: it has no session of the test.
        :raises BaselineOtherVersion, BaselineCorrupt, BaselineError: a file of the test can't be read.
        """
        if self.directory.name in self.names() or os.path.lexists(self.directory):
            pattern = re.compile(re.escape(file_name(test)) + r"\.[0-9a-f]+\.jsonl")
            own = self.path_of(test, host)
            paths = [self.directory / name for name in _names_in(self.directory) if pattern.fullmatch(name)]
            if own in paths and (baseline := self._read_as_named(own)).sessions:
                return baseline
            others = [other for path in paths if path != own and (other := self._read_as_named(path)).sessions]
            if others:
                return max(others, key=lambda other: other.sessions[-1].time)
        raise BaselineMissing(f"no baseline of {test} in {near(self.directory)}")

    def add(
        self, test: str, host: HostFacts, session: Session, *, history: int = DEFAULT_HISTORY, of_now: bool = False
    ) -> Path:
        """Add a session, keeping at most ``history`` and the pinned one, and return the file.

        :param of_now: it was measured after all that are stored: a clock that was set back does not make it older.
        :raises BaselineError: what is there can't be read, or the directory can't be written; it is left as it was.
        """
        path = self.path_of(test, host)
        digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
        with user_lock(f"baseline-{digest}"):
            baseline = self._read_as_named(path) if os.path.lexists(path) else Baseline(test, host, path)
            baseline.host = host  # the kernel of the latest session
            if of_now and baseline.sessions:
                session.time = max(session.time, baseline.sessions[-1].time)
            baseline.sessions.append(session)
            baseline.keep(history)
            self.write(baseline)
        return path

    def files(self) -> list[Path]:
        """The store's files, in the order of their names."""
        return sorted(self.directory.glob("*.jsonl"))

    def path_of(self, test: str, host: HostFacts) -> Path:
        """Where the baseline of ``test`` on a machine like ``host`` is, or would be."""
        facts = (host.cpu_model, host.cpu_count, host.memory_gib, host.machine)
        machine = hashlib.sha256(repr(facts).encode()).hexdigest()[:8]
        return self.directory / f"{file_name(test)}.{machine}.jsonl"

    def _read_as_named(self, path: Path) -> Baseline:
        """One file of the store; its name has digests of its test and its machine.

        :raises BaselineCorrupt: its header names another test or another machine.
        """
        baseline = self.read(path)
        if path.name == self.path_of(baseline.test, baseline.host).name:
            return baseline
        test = path.name.startswith(f"{file_name(baseline.test)}.")
        header = "is from another machine" if test else f"is of another test ({baseline.test})"
        raise BaselineCorrupt(
            f"the baseline {near(path)} {header} than its name says: restore it from version control, or delete it and "
            "save it again"
        )

    @staticmethod
    def read(path: Path) -> Baseline:
        """One file.

        :raises BaselineOtherVersion, BaselineCorrupt: with the line that can't be read.
        """
        try:
            content = read_file(path)
        except OSError as error:
            raise BaselineError(
                f"can't read the baseline {near(path)}: {error.strerror}; make it a file that this user can read, or "
                "restore it from version control"
            ) from None
        if not content:
            raise BaselineCorrupt(f"the baseline {near(path)} is empty: delete it, or restore it from version control")
        lines = _lines(content)
        header = header_of(next(lines), path)
        baseline = Baseline(header.test, header.host, path)
        sessions: dict[str, Session] = {}
        for number, line in enumerate(lines, start=2):
            entry = entry_of(line, path, number)
            if isinstance(entry, Session):
                sessions[entry.session] = entry
            elif isinstance(entry, Pin):
                baseline.pinned = entry.pin
        # Of sessions of one second those stay first that were added first.
        baseline.sessions = sorted(sessions.values(), key=lambda session: session.time)
        return baseline

    @staticmethod
    def write(baseline: Baseline) -> None:
        """Replace the file of ``baseline`` as a whole, or leave it untouched.

        :raises BaselineError: it can't be written.
        """
        entries: list[Header | Session | Pin] = [Header(FORMAT_VERSION, baseline.test, baseline.host)]
        entries += baseline.sessions
        if baseline.pinned_session is not None:
            entries.append(Pin(baseline.pinned_session.session))
        try:
            baseline.path.parent.mkdir(parents=True, exist_ok=True)
            attributes = baseline.path.parent.parent / ".gitattributes"
            if not attributes.exists():
                replace_file(attributes, b"*.jsonl merge=union -diff\n")
            replace_file(baseline.path, b"".join(map(line_of, entries)))
        except OSError as error:
            raise BaselineError(
                f"can't write the baseline {baseline.path}: {error.strerror}; it is unchanged"
            ) from None

    @staticmethod
    def merge(files: Iterable[Path], into: Path) -> Baseline:
        """Put the sessions of several files of one test and machine into one, ``into``.

        :raises BaselineError: they are of different tests or machines.
        """
        read = [Store.read(file) for file in files]
        first = read[0]
        merged = Baseline(first.test, first.host, into)
        sessions: dict[str, Session] = {}
        for baseline in read:
            if baseline.test != first.test:
                raise BaselineError(f"{baseline.path} is of {baseline.test}, {first.path} of {first.test}")
            difference = first.host.difference(baseline.host)
            if difference:
                raise BaselineError(f"{baseline.path} and {first.path} are from different machines: {difference}")
            sessions.update((session.session, session) for session in baseline.sessions)
            merged.pinned = baseline.pinned or merged.pinned
        merged.sessions = sorted(sessions.values(), key=lambda session: (session.time, session.session))
        Store.write(merged)
        return merged


def near(path: Path) -> str:
    """``path`` as it is called here: relative where it is below the current directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _names_in(directory: Path) -> list[str]:
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise BaselineError(
            f"can't look for baselines in {near(directory)}: {error.strerror}; make it a directory that this user can "
            "read, or name another"
        ) from None


def _lines(content: bytes) -> Iterator[memoryview]:
    """Without copying them: there may be hundreds of megabytes."""
    view, start = memoryview(content), 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield view[start:end]
        start = end + 1


def file_name(test: str) -> str:
    """A file name that shows which test it is of, and differs for every test."""
    readable = re.sub(r"[^\w.-]+", "-", test.replace("::", "-")).strip("-.")[-SLUG_LENGTH:]
    return f"{readable}-{hashlib.sha256(test.encode(errors='surrogateescape')).hexdigest()[:4]}"
