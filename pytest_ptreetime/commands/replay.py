"""Run one process of two builds again and again, in turns and in a sandbox, until it is known what changed in it.

    ptreetime replay 'make -C old' 'make -C new' 'cc1*parser.c*' --setup 'make -C old clean; make -C new clean'

The commands are shell commands that build both sides; each runs once. NODE is the key of a process, or a pattern (* and
?) that one key of the first build matches; `ptreetime top` and the reports have keys. The exit status is 0 where it is
not slower, 1 where it is, 3 where that can't be told. docs/how-to/noisy-machines.md says how it is done.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys

from pytest_ptreetime.commands.ab import progress_of
from pytest_ptreetime.commands.option_values import add_options
from pytest_ptreetime.confirmation.capture import CapturedBuild
from pytest_ptreetime.confirmation.confirming import confirm
from pytest_ptreetime.decision.finding import Confirmation, Finding
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.confirmation_runs import captured_sides, replays_shown
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.wording.confirmations import confirmation_in_words

EXIT_STATUS = {"confirmed": 1, "refuted": 0, "undecided": 3, "refused": 3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="CMD_A", help="a shell command: the build to compare with")
    parser.add_argument("after", metavar="CMD_B", help="a shell command: the build in question")
    parser.add_argument("node", metavar="NODE", help="the key of the process, or a pattern that one key matches")
    parser.add_argument("--setup", metavar="CMD", help="a shell command to run before each build")
    parser.add_argument("--cwd", metavar="DIR", help="where to run all of them")
    add_options(parser, "budget")


def run(options: argparse.Namespace) -> int:
    if sys.platform != "linux":
        raise UsageError("programs are replayed on Linux only")
    before, after = (
        Build.from_arguments(  # noqa: S604 - shell commands are what this command takes
            command, shell=True, cwd=options.cwd, setup=options.setup, inherit=True
        )
        for command in (options.before, options.after)
    )
    progress = progress_of("ptreetime replay")
    try:
        with captured_sides((before, after), (), Keyer(), progress) as sides:
            key = _key_of(options.node, sides[0])
            # as if the rounds had found it: only certainty ends the measurement
            finding = Finding(key, "cpu", "regression", 0.0, 0.0)
            done = confirm([finding], sides, budget=options.budget, on_suspect=replays_shown(progress))
    finally:
        progress.finished()
    if done.processor is not None:
        print(f"each replay alone on processor {done.processor} (SCHED_FIFO)", file=sys.stderr)
    outcome = done.outcomes.get(key, Confirmation("undecided", "interrupted"))
    print(f"{shown(key)}: {_words(outcome)}")
    if done.interrupted:
        raise KeyboardInterrupt
    return EXIT_STATUS[outcome.outcome]


def _key_of(pattern: str, side: CapturedBuild) -> str:
    keys = sorted(set(side.keys))
    found = [key for key in keys if key == pattern]
    glob = f"*{pattern.replace('[', '[[]')}*"
    found = found or [key for key in keys if fnmatch.fnmatchcase(key, glob)]
    if len(found) != 1:
        some = "".join(f"\n    {shown(key)}" for key in (found or keys)[:20])
        which = "no process" if not found else f"{len(found)} processes"
        raise UsageError(f"{which} of the first build match {pattern!r}: give a pattern that one of these does{some}")
    return found[0]


def _words(outcome: Confirmation) -> str:
    text = confirmation_in_words(outcome)
    return text.replace("confirmed by", "slower, by").replace("refuted by", "not slower, by")
