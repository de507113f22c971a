"""Names that attack a terminal, a browser, an encoding or a recursion; and builds too large for whoever is careless.

A recording with such names goes through everything that shows, keeps or compares it.
"""

from __future__ import annotations

import importlib
import io
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from simulated_processes import ROOT, Simulation

from pytest_ptreetime.baselines.store import Session, Store
from pytest_ptreetime.cli import main
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report, report_names
from pytest_ptreetime.reports.process_tables import aggregate_table, top_table
from pytest_ptreetime.reports.results import SessionResult, decode, encode, from_recordings
from pytest_ptreetime.reports.terminal import failure_text, summary_text
from pytest_ptreetime.reports.tree_drawing import draw_tree
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.untrusted_text import valid_unicode

pytestmark = pytest.mark.promise("names-hostile")

# What takes a terminal over, hides or reorders text; newlines are the reports' own.
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

NAMES = [
    "new\nline",
    "carriage\rreturn",
    "\x1b[2J\x1b]0;title\x07\x1b[31m",
    "\x9b31m",
    "\u202eevil\u2066",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "'\"`$(touch owned)${x}\\",
    "{{ 7 * 7 }}{% x %}",
    "::error file=x::owned",
    "|a|b\n|---|---|",
    "-o",
    "[x](javascript:alert(1))",
    "\udcff\udc80",
    "\u200b\ufeff",
    "%s%n",
    "a;b;c 5",
    'le="+Inf"} 1\n# EOF',
    " ",
    "x" * 255,
]


def session_of(*recordings: Recording, name: str = "test_x::test_y") -> SessionResult:
    """A finished session with a regression: everything that can be shown of one."""
    session = from_recordings(recordings, name=name)
    measurement = session.measurements[0]
    profiles = measurement.profiles
    slower = [
        Profile(
            {key: {metric: value * 3 for metric, value in metrics.items()} for key, metrics in one.totals.items()},
            one.parents,
        )
        for one in profiles
    ]
    measurement.comparison = compare([profiles, profiles, profiles], slower)
    measurement.baseline = profiles[0]
    return session


def rendered(session: SessionResult) -> dict[str, bytes]:
    """Every registered report of the session."""
    done = {}
    for name in report_names():
        if name == "parquet":
            try:
                importlib.import_module("pyarrow")
            except ImportError:
                continue
        out = io.BytesIO()
        find_report(name).render(session, out)
        done[name] = out.getvalue()
    return done


class Page(HTMLParser):
    """What a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.images = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.images += tag == "img"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def hostile_recording() -> Recording:
    simulation = Simulation().start(args=[b"make", *map(os.fsencode, NAMES)])
    for number, name in enumerate(NAMES):
        word = os.fsencode(name)
        file_name = word.replace(b"/", b"_")[:15]
        simulation.create(2000 + number).exec(2000 + number, word, word, b"-c", name=file_name, exe=b"/" + file_name)
        simulation.use(2000 + number, 5_000_000, 4_000_000, 1_000_000).exit(2000 + number, number % 3)
    return Recording(
        simulation.end(alive=0), host=host_facts(), tracer="ptrace", command=["make", *NAMES], incomplete_reason=None
    )


def assert_harmless(text: str) -> None:
    found = CONTROLS.search(text)
    assert found is None, repr(text[max(found.start() - 60, 0) : found.end() + 60])


def on_the_terminal(session: SessionResult) -> list[str]:
    """All that is printed of a session."""
    measurement = session.measurements[0]
    tree = measurement.tree
    return [
        summary_text(session, width=120, colour=False, verbosity=2),
        failure_text(measurement, width=120),
        *(draw_tree(tree, width=width) for width in (20, 80, 300)),
        top_table(tree, width=100),
        aggregate_table([tree.root], width=100),
        *Keyer().keys(tree).values(),
    ]


def test_names_that_attack_reach_no_terminal_and_break_no_report() -> None:
    session = session_of(hostile_recording(), name="test_x.\x1b[31m\u202e::test_<y>")
    for text in on_the_terminal(session):
        assert_harmless(text)
    reports = rendered(session)
    for name in ("terminal", "markdown", "folded", "folded-cpu", "openmetrics"):
        assert_harmless(reports[name].decode())
    for name in ("json", "chrome-trace", "lnt", "lnt-ptreetime"):
        json.loads(reports[name])
    page = Page()
    page.feed(reports["html"].decode())
    assert_harmless(reports["html"].decode())
    plain = Page()
    plain_session = session_of(Recording(Simulation().start().run(2000, b"cc").end(), host=host_facts()))
    plain.feed(rendered(plain_session)["html"].decode())
    assert (page.scripts, page.images, set(page.handlers)) == (plain.scripts, plain.images, set(plain.handlers))
    assert "::error file=x::owned" not in [line.strip() for line in reports["markdown"].decode().splitlines()]
    for line in reports["folded"].decode().splitlines():
        assert re.fullmatch(r".+ \d+", line)
    assert reports["openmetrics"].decode().count("# EOF\n") == 1
    assert encode(decode(encode(session))) == encode(session)


def test_names_that_attack_survive_a_file_and_a_store(tmp_path: Path) -> None:
    recording = hostile_recording()
    recording.save(tmp_path / "r.ptreetime")
    loaded = Recording.load(tmp_path / "r.ptreetime")
    assert loaded.events == recording.events
    assert loaded.command == recording.command
    profile = Profile.from_tree(loaded.tree())
    for test in map(valid_unicode, NAMES):  # pytest writes what is no Unicode as escapes
        store = Store(tmp_path / "store")
        path = store.add(f"test.py::{test}", host_facts(), Session.from_profiles([profile], commit=None, tracer="x"))
        assert path.parent == tmp_path / "store" / "main"
        assert (
            store.load(f"test.py::{test}", host_facts()).sessions[0].profiles()[0].totals.keys()
            == profile.totals.keys()
        )
    assert len(store.files()) == len(NAMES)
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in store.files())


REAL = """
import os, subprocess, sys
for name in {names!r}:
    raw = os.fsencode(name)
    file = raw.replace(b"/", b"_").replace(b"\\0", b"")[:200]
    path = os.path.join(b".", file)
    os.symlink("/bin/true", path)
    subprocess.run([raw, raw, b"--", raw], executable=path)
"""


def test_real_build_of_such_programs_is_recorded_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = REAL.format(names=[name for name in NAMES if name != "-o"])
    assert main(["profile", "--tracer=ptrace", "-o", "r", "-v", "--", sys.executable, "-c", script]) == 0
    assert len(Recording.load("r").tree()) == len(NAMES)
    for words in (
        ["analyze", "--show-tree", "r"],
        ["top", "r"],
        ["compare", "r", "r"],
        ["report", "markdown", "r", "-o", "/dev/stdout"],
    ):
        assert main(words) in (0, 3)
    written = capsys.readouterr()
    assert_harmless(written.out)
    assert_harmless(written.err)
    assert "evil" in written.out


FAILING = r"""
SCRIPT = r"printf '\033]0;owned\007\033[31mred\033[m \342\200\256tfel\n\tfile \377\n'; exit 1"

def test_it(ptreetime):
    ptreetime(["/bin/sh", "-c", SCRIPT, "{name}"])

def test_name(ptreetime):
    ptreetime(["\x1b[2J\u202e/nonexistent\udcff"])
"""


def test_failure_message_of_a_build_does_nothing_to_a_terminal(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING.replace("{name}", "\\x9b31m\\u202e"))
    done = pytester.runpytest_subprocess(
        "--ptreetime-tracer=ptrace", "-p", "no:cacheprovider", "--color=no", "--tb=short"
    )
    done.assert_outcomes(failed=2)
    text = done.stdout.str() + done.stderr.str()
    assert "red \\u202etfel" in text
    assert "        file" in text
    assert_harmless(text.replace("\t", " "))


# As large as it gets


def one_name(count: int) -> Recording:
    simulation = Simulation(step_ns=1000).start()
    for number in range(count):
        pid = 2000 + number
        simulation.create(pid).exec(pid, b"cc", b"-c", b"src/f%d.c" % number, name=b"cc").use(pid, 1000, 500, 500).exit(
            pid
        )
    return Recording(simulation.end(), host=host_facts(), tracer="ebpf", command=["make"])


def deep(count: int) -> Recording:
    simulation = Simulation(step_ns=1000).start()
    pids = [ROOT, *range(2000, 2000 + count)]
    for parent, pid in itertools.pairwise(pids):
        simulation.create(pid, parent).exec(pid, b"sh", b"-c", b"make -C %d" % pid).use(pid, 1000, 500, 500)
    for pid in reversed(pids[1:]):
        simulation.exit(pid)
    return Recording(simulation.end(), host=host_facts(), tracer="ebpf", command=["make"])


def chain_of_execs(count: int) -> Recording:
    simulation = Simulation(step_ns=1000).start()
    for number in range(count):
        simulation.exec(ROOT, b"sh", b"%d" % number)
    return Recording(simulation.end(), host=host_facts(), tracer="ebpf", command=["make"])


def long_arguments() -> Recording:
    """2 MiB in all: one of 128 KiB after the other, then many short ones."""
    simulation = Simulation(step_ns=1000).start(args=[b"make", *[bytes([65 + n]) * 131_071 for n in range(16)]])
    simulation.run(2000, b"cc", *[b"%d" % n for n in range(200_000)])
    simulation.run(2001, b"cc", b"token=" * 20_000, b"/tmp/" * 25_000, b"-" * 131_071)
    return Recording(simulation.end(), host=host_facts(), tracer="ebpf", command=["make", "x" * (1 << 21)])


LARGE: dict[str, Callable[[], Recording]] = {
    "60,000 of one name": lambda: one_name(60_000),
    "10,000 deep": lambda: deep(10_000),
    "10,000 execs": lambda: chain_of_execs(10_000),
    "2 MiB of arguments": long_arguments,
}
SECONDS = 60  # of processor time, for any one step: a step whose time grows with the square would take far longer


SLOW = {"60,000 of one name"}
SIZES = [pytest.param(what, marks=pytest.mark.slow if what in SLOW else ()) for what in LARGE]


@pytest.mark.seconds
@pytest.mark.parametrize("what", SIZES)
def test_large_recording_goes_through_everything_in_bounded_time(what: str, tmp_path: Path) -> None:
    took: dict[str, float] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        begin = time.process_time()
        work()
        took[name] = time.process_time() - begin

    recording = LARGE[what]()
    path = tmp_path / "r.ptreetime"
    step("save", lambda: recording.save(path))
    step("load", lambda: Recording.load(path).tree())
    session: list[SessionResult] = []
    step("compare", lambda: session.append(session_of(Recording.load(path))))
    step("terminal", lambda: assert_harmless("".join(on_the_terminal(session[0]))))
    for name in report_names():
        if name != "parquet":
            step(name, lambda name=name: find_report(name).render(session[0], io.BytesIO()))  # type: ignore[misc] # bound now
    step("worker", lambda: decode(encode(session[0])))
    store = Store(tmp_path / "store")
    profiles = session[0].measurements[0].profiles
    step("store", lambda: store.add("t", host_facts(), Session.from_profiles(profiles, commit=None, tracer="x")))
    step("stored", lambda: store.load("t", host_facts()).sessions[0].profiles())
    assert max(took.values()) < SECONDS, took


@pytest.mark.seconds
@pytest.mark.parametrize("what", SIZES[:2])
def test_command_line_shows_a_large_recording(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    LARGE[what]().save("r")
    for words in (["analyze", "--show-tree", "r"], ["top", "r"]):
        begin = time.process_time()
        assert main(words) == 0
        assert time.process_time() - begin < SECONDS, words
    assert_harmless(capsys.readouterr().out)
