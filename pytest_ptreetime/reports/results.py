"""What a session has measured, finished: the one thing that reports take.

It can be sent from an xdist worker to its controller (:func:`encode`, :func:`decode`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import msgspec

from pytest_ptreetime.decision.finding import Comparison, Verdict
from pytest_ptreetime.decision.history import History
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.rekeying import rekeyed
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.keys.outline import Outline
from pytest_ptreetime.metrics import MAIN
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.system.host import HostFacts, host_facts
from pytest_ptreetime.system.untrusted_text import valid_unicode
from pytest_ptreetime.tree.process_tree import ProcessTree
from pytest_ptreetime.wording.outside import outside_in_words

__all__ = ["Measurement", "SessionResult", "decode", "encode", "from_recordings", "whole_of"]


@dataclass
class Measurement:
    """One call of the fixture.

    ``name`` is unique within the session and the same in every session: file stem and test name (and the name given
    to the call). ``rounds`` are the measured ones, warm-ups left out; ``baseline_rounds`` those of the other side of an
    interleaved comparison. ``substitutions`` are the pairs of ``--ptreetime-sub-arg``, which the keys depend on; where
    hooks name the nodes too, ``keys`` (the key of every node of every round, in the trees' order) and
    ``round_profiles`` (a profile for each round) have been made with them; else they are empty.
    ``names`` has for each round the keys that nodes have in every report in place of their own: the baseline's, where
    they were matched, or one for what differs between the rounds.
    ``history`` are the baseline's sessions, those of the largest nodes, where a report shows them. ``outline`` is that
    of a round of its newest session, whose keys are ``outline_keys``. ``told``: the test failed with
    all that there is to say. ``accept``: how to make it the new normal, in words and as a command.
    ``baseline`` is what the baseline's sessions typically looked like, per key, for reports that show what did not
    change too; ``baseline_source`` says in words where it comes from; ``message`` what could not be compared, and why;
    ``warnings`` what makes the figures less than they seem.
    """

    test: str
    name: str
    command: list[str]
    rounds: list[Recording]
    baseline_rounds: list[Recording] = field(default_factory=list)
    median_round: int = 0
    tracer: str = ""
    tracer_explained: str = ""
    comparison: Comparison | None = None
    baseline_source: str | None = None
    message: str | None = None
    warnings: list[str] = field(default_factory=list)
    baseline: Profile | None = None
    substitutions: list[tuple[str, str]] = field(default_factory=list)
    keys: list[list[str]] = field(default_factory=list)
    round_profiles: list[Profile] = field(default_factory=list)
    names: list[dict[str, str]] = field(default_factory=list)
    names_before: list[dict[str, str]] = field(default_factory=list)
    history: History | None = None
    outline: Outline | None = None
    outline_keys: list[str] = field(default_factory=list)
    told: bool = False
    accept: tuple[str, ...] | None = None

    @cached_property
    def trees(self) -> list[ProcessTree]:
        """A tree for each round, its nodes' keys set."""
        keyer = Keyer(substitutions=self.substitutions)
        for number, tree in enumerate(self._built):
            keys = self.keys[number] if self.keys else keyer.keys_in_preorder(tree)
            names = self._names_of(number)
            for node, key in zip(tree, keys, strict=True):
                node._key = names.get(key, key)
        return self._built

    def take(
        self, trees: Sequence[ProcessTree], profiles: Sequence[Profile], before: Sequence[ProcessTree] = ()
    ) -> None:
        """Use the rounds' trees and profiles that have been made already. They are not sent to another process."""
        self._built, self._own_profiles, self._built_before = list(trees), list(profiles), list(before)

    @cached_property
    def _built_before(self) -> list[ProcessTree]:
        return [recording.tree() for recording in self.baseline_rounds]

    @cached_property
    def _built(self) -> list[ProcessTree]:
        return [recording.tree() for recording in self.rounds]

    @cached_property
    def _own_profiles(self) -> list[Profile]:
        """A profile for each round, under the keys that it has by itself."""
        if self.round_profiles:
            return self.round_profiles
        keyer = Keyer(substitutions=self.substitutions)
        named = "trees" in vars(self)  # under other keys by now
        trees = [recording.tree() for recording in self.rounds] if named else self._built
        return [Profile.from_tree(tree, keyer, comparable=False) for tree in trees]

    def _names_of(self, number: int) -> dict[str, str]:
        return self.names[number] if number < len(self.names) else {}

    @property
    def tree(self) -> ProcessTree:
        """The tree of the round with the median wall time: what a timeline shows."""
        return self.trees[self.median_round]

    @cached_property
    def tree_before(self) -> ProcessTree | None:
        """The other side's tree with the median wall time; of a stored session what its outline has."""
        if not self.baseline_rounds:
            return None if self.outline is None else self.outline.tree(self.outline_keys, self.names_before)
        number = median_of([tree.wall or 0.0 for tree in self._built_before])
        tree = self._built_before[number]
        names = self.names_before[number] if number < len(self.names_before) else {}
        keys = Keyer(substitutions=self.substitutions).keys_in_preorder(tree)
        for node, key in zip(tree, keys, strict=True):
            node._key = names.get(key, key)
        return tree

    @cached_property
    def profiles(self) -> list[Profile]:
        """A profile for each round."""
        return [rekeyed([profile], self._names_of(number), {})[0] for number, profile in enumerate(self._own_profiles)]

    @cached_property
    def now(self) -> Profile:
        """The typical round of this session."""
        return typical([self.profiles])

    @cached_property
    def before(self) -> Profile | None:
        """The typical round of the other side; None where there is nothing to compare with."""
        if self.baseline is None and self.baseline_rounds:
            keyer = Keyer(substitutions=self.substitutions)
            return typical([[Profile.from_tree(tree, keyer, comparable=False) for tree in self._built_before]])
        return self.baseline

    @cached_property
    def whole(self) -> dict[str, float]:
        """The typical round's figures for the build as a whole; see :func:`whole_of`."""
        return whole_of(self.now)

    @cached_property
    def whole_before(self) -> dict[str, float] | None:
        """The same for the other side; None where there is nothing to compare with."""
        return None if self.before is None else whole_of(self.before)

    @property
    def verdict(self) -> Verdict | Literal["measured"]:
        """That of the comparison; without one ``no-baseline``, or ``measured`` where nothing was to be compared."""
        if self.comparison is not None:
            return self.comparison.verdict
        return "measured" if self.message is None else "no-baseline"

    @property
    def incomplete_reason(self) -> str | None:
        """What is missing from the first round that is not complete; None where every round is."""
        for number, tree in enumerate(self.trees, 1):
            if tree.incomplete_reason is not None:
                return f"round {number}: {tree.incomplete_reason}" if len(self.trees) > 1 else tree.incomplete_reason
        return None


@dataclass
class SessionResult:
    """One pytest run, or a set of stored recordings. ``started`` and ``ended`` are seconds since the epoch.

    ``machine`` is the name that reports use, ``host`` the facts, ``machine_info`` what plugins add to them.
    ``commit_time`` is in seconds since the epoch; ``run_order`` what was given as ``--ptreetime-run-order``. ``waited``
    are the seconds that other measurements on this machine were waited for.
    """

    started: float
    ended: float
    host: HostFacts
    machine: str
    commit: str | None = None
    commit_time: int | None = None
    run_order: str | None = None
    measurements: list[Measurement] = field(default_factory=list)
    machine_info: dict[str, str] = field(default_factory=dict)
    waited: float = 0.0


def from_recordings(
    recordings: Sequence[Recording],
    *,
    name: str,
    baseline: Sequence[Recording] = (),
    substitutions: Sequence[tuple[str, str]] = (),
) -> SessionResult:
    """Stored recordings as the result of a session: they are the rounds of one build called ``name``.

    :param baseline: the rounds of another build to show beside it.
    """
    first = recordings[0]
    measurement = Measurement(
        test=name,
        name=name,
        command=list(first.command),
        rounds=list(recordings),
        baseline_rounds=list(baseline),
        tracer=first.tracer or "",
        substitutions=list(substitutions),
    )
    walls = [tree.wall or 0.0 for tree in measurement._built]
    measurement.median_round = median_of(walls)
    measurement.warnings = outside_in_words(measurement._built)
    starts = [recording.started or 0.0 for recording in recordings]
    host = first.host or host_facts()
    return SessionResult(
        started=min(starts),
        ended=max(start + wall for start, wall in zip(starts, walls, strict=True)),
        host=host,
        machine=host.hostname,
        measurements=[measurement],
    )


def median_of(walls: Sequence[float]) -> int:
    """Which of the rounds has the median wall time, the lower of two."""
    return sorted(range(len(walls)), key=walls.__getitem__)[(len(walls) - 1) // 2]


def encode(session: SessionResult) -> bytes:
    r"""``session`` as bytes for another process of the same version: an xdist worker's for its controller.

    Bytes of a measurement's command line that are not UTF-8 arrive as ``\xff``: it is only shown.
    """
    measurements = [replace(one, command=[valid_unicode(word) for word in one.command]) for one in session.measurements]
    return msgspec.msgpack.encode(replace(session, measurements=measurements), enc_hook=_send)


def decode(data: bytes) -> SessionResult:
    """The reverse of :func:`encode`."""
    return msgspec.msgpack.decode(data, type=SessionResult, dec_hook=_receive)


def _send(part: object) -> object:
    if isinstance(part, Recording):
        return part.to_bytes()
    if isinstance(part, Profile):
        return _SentProfile(part.totals, part.parents, part.incomplete_reason, part.critical_path, part.identities)
    raise TypeError(f"{type(part)} is not part of a result")


def _receive(wanted: type, data: Any) -> Recording | Profile:
    if wanted is Recording:
        return Recording.from_bytes(data, "a worker's recording")
    return Profile(**msgspec.structs.asdict(msgspec.convert(data, _SentProfile)))


class _SentProfile(msgspec.Struct):
    totals: dict[str, dict[str, float]]
    parents: dict[str, str | None]
    incomplete_reason: str | None
    critical_path: list[str]
    identities: dict[str, Identity]


def whole_of(profile: Profile) -> dict[str, float]:
    """The build as a whole, by its main metrics: wall of its root, sums of the others, the largest max_rss.

    A metric that no node knows is absent.
    """
    whole: dict[str, float] = {}
    for key, metrics in profile.totals.items():
        is_root = profile.parents.get(key) is None
        for metric in MAIN:
            if metric.name not in metrics or (metric.cumulative and not is_root):
                continue
            value, others = metrics[metric.name], whole.get(metric.name, 0.0)
            whole[metric.name] = max(value, others) if metric.largest or metric.cumulative else value + others
    return whole
