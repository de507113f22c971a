"""What is done with everything that could be read: whatever a file says, its analysis ends with one of our errors."""

from __future__ import annotations

import io
import json

from fuzz.bounds import Violation
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import PtreetimeError
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import Exec, Exit, Start, encode_frame
from pytest_ptreetime.recording.recording import Recording, as_bytes
from pytest_ptreetime.reports.chrome_trace import ChromeTraceReport
from pytest_ptreetime.reports.folded import FoldedReport
from pytest_ptreetime.reports.json import JsonReport
from pytest_ptreetime.reports.lnt import lnt_report, render_lnt, samples_of_profiles
from pytest_ptreetime.reports.markdown import MarkdownReport
from pytest_ptreetime.reports.openmetrics import OpenMetricsReport
from pytest_ptreetime.reports.process_tables import aggregate_table
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.reports.tree_drawing import draw_tree
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.tree.process_tree import ProcessTree

HOST = HostFacts("cpu", 4, 2**34, "Linux 6.1", "Debian 12", "x86_64", "host")
REPORTS = (JsonReport, ChromeTraceReport, FoldedReport, MarkdownReport, OpenMetricsReport)


def analyse(recording: Recording, choice: int) -> None:
    """The tree, its keys and profile, and one of: what ``ptreetime analyze`` shows, a report, the recording's file.

    :param choice: which, any number.
    """
    encode_frame(recording.events)
    try:
        tree = recording.tree()
    except PtreetimeError:
        return
    look_at(tree)
    profile = Profile.from_tree(tree, keyer=Keyer())
    if choice % 8 == 0:
        _reports(recording, choice // 8)
    elif choice % 8 == 1:
        samples = samples_of_profiles("build", [profile])
        begin = recording.started or 0.0
        report = lnt_report(samples, machine="m", run_order="1", started=begin, ended=begin + (tree.wall or 0.0))
        json.loads(render_lnt(report))
    elif choice % 8 == 2:
        _is_kept(recording)
    elif choice % 8 == 3:
        draw_tree(tree, width=80)
        aggregate_table([tree.root], width=80)


def look_at(tree: ProcessTree) -> None:
    """Everything that a node and a tree know."""
    nodes = list(tree)
    if len(nodes) != len(tree):
        raise Violation("the tree is not as long as it says")
    for node in nodes:
        for name in ("wall", "user", "sys", "cpu", "startlag", "exitlag", "run_delay"):
            value = getattr(node, name)
            if value is not None and not value == value:
                raise Violation(f"{name} is not a number")
        node.key.encode()
        if not node.key.isprintable():
            raise Violation("a key can't be printed")
    _ = (tree.wall, tree.user, tree.sys, tree.cpu, tree.exit_code, tree.complete, tree.started, repr(tree))
    tree.critical_path()
    tree.find(name="*c*", args="-*")


def _reports(recording: Recording, choice: int) -> None:
    try:
        session = from_recordings([recording], name="build")
    except PtreetimeError:
        return
    out = io.BytesIO()
    try:
        REPORTS[choice % len(REPORTS)]().render(session, out)
    except PtreetimeError:
        return
    out.getvalue().decode()


def _is_kept(recording: Recording) -> None:
    again = Recording.from_bytes(recording.to_bytes())
    commands = [list(map(as_bytes, one.command)) for one in (recording, again)]
    if in_order(again.events) != in_order(recording.events) or commands[0] != commands[1]:
        raise Violation("what was saved is not what is loaded")


def _import_what_it_needs() -> None:
    """What is imported late must not count as the first input's time."""
    recording = Recording([Start(1, 1, 1), Exec(2, 1, b"make", None, [b"make"], None), Exit(3, 1, 0)])
    for choice in range(8 * len(REPORTS)):
        analyse(recording, choice)


_import_what_it_needs()
