"""What a recording's own events say of its completeness."""

from __future__ import annotations

import msgspec

__all__ = ["Completeness"]


class Completeness(msgspec.Struct):
    """The counts that a tree's completeness is judged by.

    ``creates`` and ``exits`` are of processes that are in the tree, the root's exit included and its creation not: a
    recording that missed nothing has creates + 1 = exits + alive. ``alive`` is what END counted, None where END is
    missing or could not count. ``without_args`` and ``without_end`` count nodes, ``unknown_cpu`` nodes whose cpu time
    was not told (it does not make a tree incomplete: the sums leave those nodes out). ``foreign_exits`` and
    ``foreign_user_events`` are of processes outside the tree, where the tracer sees such. ``missing`` says of which
    processes the tracer was told nothing, and how it knows.
    """

    started: bool = False
    ended: bool = False
    creates: int = 0
    exits: int = 0
    alive: int | None = None
    lost: int = 0
    lost_what: list[str] = []
    missing: list[str] = []
    unseen_creates: int = 0
    stray_exits: int = 0
    contradictions: int = 0
    foreign_exits: int = 0
    foreign_user_events: int = 0
    without_args: int = 0
    without_end: int = 0
    unknown_cpu: int = 0
    interposer_only: bool = False

    def balanced(self) -> bool | None:
        """Whether creates + 1 = exits + alive; None where it can't be said."""
        if self.alive is None or self.interposer_only:
            return None
        return self.creates + 1 == self.exits + self.alive

    def reasons(self) -> list[str]:
        """What is missing, in words; empty where the tree is complete."""
        said = []
        if not self.started:
            said.append("START is missing, so the root is a guess")
        if not self.ended:
            said.append("END is missing: the recording stopped before the build did")
        said += self.missing
        if self.lost:
            said.append(f"at least {_many(self.lost, 'event was', 'events were')} lost ({'; '.join(self.lost_what)})")
        if self.interposer_only:
            said.append("it was made by the interposer alone, so static programs are missing")
        if self.balanced() is False:
            said.append(
                f"{_many(self.creates + 1, 'process was', 'processes were')} created, but "
                f"{self.exits} ended and {self.alive} were left running"
            )
        if self.unseen_creates and not self.interposer_only:
            said.append("the creation of " + _many(self.unseen_creates, "process", "processes") + " was not seen")
        if self.stray_exits:
            said.append(_many(self.stray_exits, "exit belongs", "exits belong") + " to no process that was seen")
        if self.contradictions:
            said.append(_many(self.contradictions, "event contradicts", "events contradict") + " the others")
        if self.without_args:
            said.append(_many(self.without_args, "node has", "nodes have") + " no arguments")
        if self.without_end:
            said.append(_many(self.without_end, "process has", "processes have") + " no end")
        return said


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
