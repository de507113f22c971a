"""What must hold after every fault. Each check gives sentences about what does not."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from faults import kernel_objects
from faults.processes import end, remaining
from faults.project import OLD_REPORT, Project, expected_names, names, run_undisturbed
from faults.trial import PROFILE, PYTEST, Trial
from faults.victim import RECORDERS
from pytest_ptreetime.errors import PtreetimeError
from pytest_ptreetime.recording.recording import Recording

SOON_SECONDS = 3.0  # for a process that has been killed, on a busy machine
BUILD_SECONDS = 20.0  # for a build that goes on by itself to its end

_OUR_FRAME = re.compile(r'(File ".*/pytest_ptreetime/.*", line \d+|^\S*pytest_ptreetime/\S+\.py:\d+: )', re.MULTILINE)
_CTRL_C = re.compile(r"^\S+\.py:\d+: KeyboardInterrupt\r?$", re.MULTILINE)  # pytest's own notice
_KEPT_RECORDING = re.compile(r"recording-\w+\.ptreetime")
_BUILDS = re.compile(r"cc\w{6}\.\w+|GMfifo\d+")  # of a gcc or a make (from 4.4 on) that was killed
_SAID_ALL = re.compile(r"^\S*=+ \S*1 passed\S* in .*=+\S*\r?$", re.MULTILINE)
_CRASHES = ("Fatal Python error", "Segmentation fault", "Exception ignored", "never awaited", "Verifier")
_WORDS = re.compile(
    r"FAILED|ERROR|error: |KeyboardInterrupt|Interrupted|^ptreetime \w+: |^make: |\*\*\* ", re.MULTILINE
)


def check(trial: Trial, pids_before: set[int], objects_before: kernel_objects.Found, pinned_before: set[str]) -> str:
    """All of it; the outcome in a word. What is violated is added to the trial."""
    violations = trial.violations
    if trial.status == -signal.SIGINT and _was_leaving(trial):
        trial.status = 0  # everything must be there as if there had been no Ctrl-C
    violations.extend(_processes(trial, pids_before))
    if kernel_objects.can_be_looked_for():
        violations.extend(f"left in the kernel: {one}" for one in kernel_objects.left(objects_before))
        violations.extend(f"pinned: {path}" for path in kernel_objects.pinned() - pinned_before)
    if not trial.may_leave_files:
        violations.extend(f"left: {path}" for path in temporary_files(trial.project))
    violations.extend(_output(trial))
    outcome = "complete"
    if trial.fault.name != "in-a-row":
        outcome, wrong = _recordings(trial)
        violations.extend(wrong)
    if trial.kind == PYTEST and trial.earlier_sessions:
        violations.extend(_store(trial))
        violations.extend(_reports(trial))
    violations.extend(_next(trial))
    violations.extend(f"left in the kernel: {one}" for one in kernel_objects.left_probes())
    return outcome


def _was_leaving(trial: Trial) -> bool:
    """Whether the run had said all that it has to say, and Python was about to end: a signal kills it then, as any
    other program.
    """
    if trial.kind == PYTEST:
        return _SAID_ALL.search(trial.victim.output) is not None
    return any(trial.project.recordings.glob("*.ptreetime"))


def _processes(trial: Trial, before: set[int]) -> Iterator[str]:
    left = remaining(before, SOON_SECONDS if trial.must_end_everything or trial.status == 0 else BUILD_SECONDS)
    for one in left:
        kind = "recorder" if one.name.startswith(RECORDERS) else "process"
        yield f"{kind} left: {one}"
    end(left)


def temporary_files(project: Project) -> list[str]:
    """Files that are nobody's result; a recording that could not be written to its place is kept and told of."""
    found = [path for path in project.temporary.iterdir() if not _BUILDS.fullmatch(path.name)]
    found = [path for path in found if not _KEPT_RECORDING.fullmatch(path.name)]
    for directory in (project.store, project.recordings, project.reports, project.source):
        found += [path for path in directory.rglob(".*") if path.name != ".gitattributes"]
    return [str(path.relative_to(project.directory)) for path in found]


def _output(trial: Trial) -> Iterator[str]:
    output = trial.victim.output
    if _OUR_FRAME.search(_CTRL_C.sub("", output)):
        yield "the output has a traceback of ours"
    for words in _CRASHES:
        if words in output:
            yield f"the output says: {words}"
    of_the_command = trial.kind == PROFILE and (trial.status or 0) > 128  # its own signal, as a shell says it
    if trial.status not in (0, None, -9) and not of_the_command and not _WORDS.search(output):
        yield f"status {trial.status} without a word of what went wrong"


def check_recording(path: Path, tracer: str, *, whole: bool) -> tuple[bool, list[str]]:
    """Whether a recording is complete, and what is wrong with it.

    :param whole: the build itself ran undisturbed, or says that it failed.
    """
    try:
        recording = Recording.load(path)
        tree = recording.tree()
    except PtreetimeError as error:
        return False, [f"{path.name}: {error}"]
    wrong = []
    if not tree.complete and not tree.incomplete_reason:
        wrong.append(f"{path.name}: incomplete without a reason")
    if any((node.wall or 0.0) < 0 or (node.wall or 0.0) > 300 for node in tree):
        wrong.append(f"{path.name}: a wall time that can't be")
    if tree.complete and tree.exit_code == 0 and whole and names(recording) != expected_names(tracer):
        wrong.append(f"{path.name}: complete, but it has {names(recording)}")
    return tree.complete, wrong


def _recordings(trial: Trial) -> tuple[str, list[str]]:
    paths = sorted(path for path in trial.project.recordings.glob("*.ptreetime"))
    found = [check_recording(path, trial.tracer, whole=not trial.may_be_different) for path in paths]
    wrong = [words for _, several in found for words in several]
    expected = 1 if trial.kind == PROFILE else 2
    if trial.status == -9:
        return "killed", wrong
    if trial.status != 0:
        return "error", wrong
    if len(paths) < expected:
        wrong.append(f"status 0, but {len(paths)} of {expected} recordings")
    return "complete" if all(complete for complete, _ in found) else "incomplete", wrong


def _store(trial: Trial) -> Iterator[str]:
    try:
        stored = [session.session for session in trial.project.stored().sessions]
    except (PtreetimeError, ValueError) as error:
        yield f"the store can't be read: {error!r}"
        return
    lost = set(trial.earlier_sessions) - set(stored)
    if lost:
        yield f"{len(lost)} earlier sessions are lost"


def _reports(trial: Trial) -> Iterator[str]:
    for path in trial.project.report_files:
        content = path.read_bytes()
        if content == OLD_REPORT:
            if trial.status == 0:
                yield f"status 0, but {path.name} is the old one"
            continue
        whole = content == b"new"
        if path.suffix == ".html":
            whole = content.rstrip().endswith(b"</html>")
        if path.suffix == ".json":
            try:
                json.loads(content)
                whole = True
            except ValueError:
                whole = False
        if not whole:
            yield f"{path.name} is neither the old report nor a new one"


def _next(trial: Trial) -> Iterator[str]:
    """Another run in the same places works, and removes what a killed one had to leave."""
    project = trial.project
    if trial.user is not None:
        project.belongs_to(trial.user)
    in_the_way = trial.kind == PYTEST and trial.earlier_sessions and bool(temporary_files(project))
    try:
        if in_the_way:
            run_undisturbed(project, trial.command(), user=trial.user)
        command = [
            word if word != "make" else "true" for word in project.profile(trial.tracer, output="next.ptreetime")
        ]
        run_undisturbed(project, command[:-1], user=trial.user)
    except AssertionError as error:
        yield f"the next run fails: {error}"
        return
    _, wrong = check_recording(project.recordings / "next.ptreetime", trial.tracer, whole=False)
    yield from (f"the next run's {words}" for words in wrong)
    for path in temporary_files(project):
        yield f"the next run has left: {path}"
    if in_the_way:
        yield from (f"after the next run, {words}" for words in _store(trial))
