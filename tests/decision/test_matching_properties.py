"""What holds of matching whatever the trees are."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from pytest_ptreetime.decision.matching import Matching, Row, match

SETTINGS = settings(max_examples=settings().max_examples * 3 // 2, suppress_health_check=[HealthCheck.filter_too_much])
LETTERS = string.ascii_letters + string.digits


@dataclass
class Process:
    """A process of a made-up build: ``name`` and ``words`` may contain ``%``, for which a name is drawn."""

    name: str
    words: tuple[str, ...]
    children: list[Process] = field(default_factory=list)


NAMES = st.sampled_from(["make", "sh", "gcc", "cc1", "rm", "python3", "tool", "conf%", "tmp.%"])
WORDS = st.sampled_from(
    ["-c", "-O2", "a.c", "b.c", "lib/x.c", "--out=%", "/t/%/x", "item1", "item2", "install", "tmp.%"]
)
PROCESSES = st.recursive(
    st.builds(Process, NAMES, st.lists(WORDS, max_size=4).map(tuple)),
    lambda inner: st.builds(Process, NAMES, st.lists(WORDS, max_size=4).map(tuple), st.lists(inner, max_size=5)),
    max_leaves=12,
)
Drawing = Callable[[], str]


def drawing(seed: int) -> Drawing:
    """Names as mktemp draws them; not the few that could be words."""
    chance = random.Random(seed)
    return lambda: "".join(chance.choices(LETTERS, k=8)) + str(chance.randrange(1000, 9999))


def rows(root: Process, drawn: Drawing, order: random.Random | None = None) -> tuple[list[Row], list[str]]:
    """The table of a build, its siblings in any order, and of each row what it is without what was drawn."""
    table: list[Row] = []
    truth: list[str] = []
    place: dict[str, int] = {}

    def add(process: Process, path: str, above: str, parent: int) -> None:
        name = process.name.replace("%", drawn()) if "%" in process.name else process.name
        words = tuple(word.replace("%", drawn()) if "%" in word else word for word in process.words)
        subject = " ".join(words)
        key = f"{path}{name}[{subject}]"
        if key not in place:
            place[key] = len(table)
            table.append(Row(key, parent, name, subject, words))
            truth.append(f"{above}{process.name}[{' '.join(process.words)}]")
        elif table[place[key]].parent != parent:
            reject()  # nodes of one key have one parent in a table, which may be another in another order
        children = list(process.children)
        if order is not None:
            order.shuffle(children)
        for child in children:
            add(child, f"{path}{name}/", f"{above}{process.name}/", place[key])

    add(root, "", "", -1)
    return table, truth


def ancestors(table: list[Row], index: int) -> list[int]:
    above = []
    while (index := table[index].parent) >= 0:
        above.append(index)
    return above


def assert_well_formed(before: list[Row], after: list[Row], matching: Matching) -> None:
    assert len(set(matching.pairs.values())) == len(matching.pairs)
    assert sorted([*matching.pairs, *matching.only_before]) == list(range(len(before)))
    assert sorted([*matching.pairs.values(), *matching.only_after]) == list(range(len(after)))


@SETTINGS
@given(PROCESSES, st.integers(0, 1000))
def test_a_build_finds_itself_again_shuffled_and_with_freshly_drawn_names(root: Process, seed: int) -> None:
    before, is_before = rows(root, drawing(seed))
    after, is_after = rows(root, drawing(seed + 1), random.Random(seed))
    matching = match(before, after)
    assert_well_formed(before, after, matching)
    assert not matching.only_before
    assert not matching.only_after
    # which of several of one form is which can't be said
    wrong = {(is_before[i], is_after[j]) for i, j in matching.pairs.items() if is_before[i] != is_after[j]}
    assert not wrong


@SETTINGS
@given(PROCESSES, PROCESSES)
def test_any_two_builds_are_matched_one_to_one_and_the_same_in_both_directions(one: Process, other: Process) -> None:
    before, after = rows(one, drawing(1))[0], rows(other, drawing(2))[0]
    there, back = match(before, after), match(after, before)
    assert_well_formed(before, after, there)
    assert len(there.pairs) == len(back.pairs)


@SETTINGS
@given(PROCESSES, PROCESSES)
def test_an_ancestor_stays_one(one: Process, other: Process) -> None:
    before, after = rows(one, drawing(1))[0], rows(other, drawing(2))[0]
    pairs = match(before, after).pairs
    for index, place in pairs.items():
        above = {pairs[a] for a in ancestors(before, index) if a in pairs}
        assert not any(place in ancestors(after, other) for other in above)


@SETTINGS
@given(PROCESSES, st.sampled_from(["time", "nice", "fakeroot", "script"]))
def test_a_launcher_loses_nothing(root: Process, launcher: str) -> None:
    before = rows(root, drawing(1))[0]
    after = rows(Process(launcher, ("make", "all"), [root]), drawing(1))[0]
    matching = match(before, after)
    assert [after[place].name for place in matching.only_after] == [launcher]
    assert Counter(after[j].key for j in matching.pairs.values()) == Counter(f"{launcher}/{row.key}" for row in before)
