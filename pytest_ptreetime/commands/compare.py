"""Compare recordings of two builds: before, and now.

    ptreetime compare before.ptreetime now.ptreetime
    ptreetime compare a1.ptreetime a2.ptreetime a3.ptreetime --with b1.ptreetime b2.ptreetime b3.ptreetime

Several files on a side are rounds of one build. The exit status is 0 for ok and improvement, 1 for a regression, 3 for
inconclusive. One recording a side shows changes of structure exactly and says what it can't tell of times. Where they
are from two machines only counts are compared.

--report html:FILE, or any other, writes a report of the comparison.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_ptreetime.commands.verdict import (
    EXIT_STATUS,
    add_decision_arguments,
    decision_terms,
    show_verdict,
    wanted_reports,
)
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.options.values import parse_substitution
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.session.evaluation import evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("baseline", nargs="+", metavar="BASELINE", help="recordings from before")
    parser.add_argument("candidate", metavar="CANDIDATE", help="a recording of now; with --with, of before too")
    parser.add_argument(
        "--with", dest="current", nargs="+", metavar="FILE", help="the recordings of now, where there are several"
    )
    parser.add_argument("--sub-arg", action="append", default=[], metavar="PATTERN=REPLACEMENT", help="as in pytest")
    parser.add_argument(
        "--allow-other-machine", action="store_true", help="compare times of two different machines, too"
    )
    add_decision_arguments(parser)


def run(options: argparse.Namespace) -> int:
    before, after = [*options.baseline], [options.candidate]
    if options.current:
        before, after = [*before, *after], options.current
    try:
        substitutions = [parse_substitution(text) for text in options.sub_arg]
    except ValueError as error:
        raise UsageError(f"--sub-arg: {error}") from None
    terms, reports = decision_terms(options), wanted_reports(options)
    keyer = Keyer(substitutions=substitutions)
    old, new = ([Recording.load(path) for path in paths] for paths in (before, after))
    sides = [[Profile.from_tree(recording.tree(), keyer) for recording in recordings] for recordings in (old, new)]
    session = from_recordings(new, name=Path(after[0]).stem, baseline=old, substitutions=substitutions)
    difference = _difference(old, new)
    if difference is not None and not options.allow_other_machine:
        terms["metrics"] = ()
        session.measurements[0].message = (
            f"times not compared, only counts: the recordings are from different machines ({difference}); "
            "--allow-other-machine compares times, too"
        )
    evaluate(session.measurements[0], [sides[0]], sides[1], **terms)
    status = show_verdict(session, reports)
    return EXIT_STATUS["inconclusive"] if status == 0 and session.measurements[0].message is not None else status


def _difference(old: Sequence[Recording], new: Sequence[Recording]) -> str | None:
    """What sets the machines of the recordings apart, where they are known."""
    hosts = [recording.host for recording in (*new, *old) if recording.host is not None]
    return next(filter(None, (hosts[0].difference(other) for other in hosts[1:])), None)
