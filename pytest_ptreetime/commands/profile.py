"""Run a command with your own terminal, input and output, and record its process tree.

    ptreetime profile -o build.ptreetime -- make -j8

With --live the running processes and the CPUs that they fill are shown in the last lines of the terminal while the
build scrolls above them; where standard error is no terminal, a line says so much every ten seconds.

The command is started as your shell would start it: with the descriptors, the ignored signals, the environment and the
directory that this program was given. The exit status is the command's (128 + the signal's number where a signal ended
it; 124 where --timeout did). Ctrl-C goes to the command; what was recorded until then is written all the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ptreetime.commands.option_values import add_options
from pytest_ptreetime.errors import CommandFailed, CommandTimedOut, ReportFailed, UsageError
from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.session.leak_check import failed_leak_check, leak_check_advice
from pytest_ptreetime.session.run import Interrupted, record
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.os_errors import message_of
from pytest_ptreetime.system.untrusted_text import shell_line, shown
from pytest_ptreetime.tracers import builtin_tracers, choose
from pytest_ptreetime.tree.process_tree import ProcessTree
from pytest_ptreetime.wording.outside import outside_in_words

if TYPE_CHECKING:
    from pytest_ptreetime.commands.live_view import Shown

EXIT_ERROR = 2
EXIT_NOT_STARTED = 127
EXIT_TIMED_OUT = 124  # as timeout(1)
OUTLIVING_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write the recording (required)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong with the recording")
    parser.add_argument("-v", "--verbose", action="store_true", help="say which tracer was taken and what was seen")
    parser.add_argument("--live", action="store_true", help="show the running processes while they run")
    add_options(parser, "tracer", "interpose", "sudo", "timeout", "redact")
    parser.add_argument(
        "--no-interpose", dest="interpose", action="store_const", const=False, help="the same as --interpose false"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD...", help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    command = _command(options)
    choice = choose(options.tracer, builtin_tracers(sudo=options.sudo))
    if options.verbose:
        print(f"tracer {choice.explain()}", file=sys.stderr)
    status = None
    try:
        with _live_view(command, options) as live:
            recording = record(
                command,
                tracer=choice.tracer,
                interpose=options.interpose,
                timeout=options.timeout,
                redact=options.redact,
                on_events=None if live is None else live.events,
                inherit=True,
            )
    except Interrupted as interrupt:
        recording = interrupt.recording  # the command has got the signal too, and has ended as it likes
    except CommandTimedOut as error:
        print(f"ptreetime profile: {error}", file=sys.stderr)
        recording, status = error.recording, EXIT_TIMED_OUT
    except CommandFailed as error:
        print(f"ptreetime profile: {error}", file=sys.stderr)
        return EXIT_NOT_STARTED
    finally:
        choice.tracer.close()
    tree = recording.tree()
    if status is None:
        status = tree.exit_code or 0 if tree.root.signal is None else 128 + tree.root.signal
    return _keep(recording, tree, status, options)


def _command(options: argparse.Namespace) -> list[str]:
    """The command, once it is sure that nothing is missing and that the recording can be written.

    :raises UsageError: it is not.
    """
    words: list[str] = options.command
    if words[:1] == ["--"]:
        words = words[1:]
    elif words and words[0].startswith("-"):
        raise UsageError(f"unknown option {words[0]} before the command: `ptreetime profile --help` lists them")
    if options.output is None:
        raise UsageError("-o FILE is missing: say where to write the recording")
    if not words:
        raise UsageError("there is no command to run: give it after the options, ptreetime profile -o FILE -- CMD...")
    directory = os.path.dirname(options.output) or "."  # noqa: PTH120 - Path.parent needs no directory, this does
    if not os.access(directory, os.W_OK | os.X_OK):
        reason = "it can't be written" if Path(directory).is_dir() else "there is no such directory"
        raise ReportFailed(f"the recording can't be written to {options.output}: {reason}: choose another file")
    return words


def _live_view(command: list[str], options: argparse.Namespace) -> AbstractContextManager[Shown | None]:
    if not options.live:
        return nullcontext()
    from pytest_ptreetime.commands.live_view import view_for

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    terminal = sys.stderr.fileno() if sys.stderr.isatty() else None
    title = shell_line(Redactor(options.redact).arguments(command))
    return view_for(title, write, terminal=terminal, cpus=host_facts().cpu_count, term=os.environ.get("TERM"))


def _keep(recording: Recording, tree: ProcessTree, status: int, options: argparse.Namespace) -> int:
    """Write the recording, say what is to be said of it, and return the exit status."""
    place = options.output
    try:
        recording.save(place)
    except OSError as error:
        place = _saved_elsewhere(recording)
        where = "it is lost" if place is None else f"it is in {place}"
        print(
            f"ptreetime profile: the recording can't be written to {options.output}: {message_of(error)}; {where}",
            file=sys.stderr,
        )
        return status or EXIT_ERROR
    for line in _told(recording, tree, status, options):
        print(line, file=sys.stderr)
    return status


def _saved_elsewhere(recording: Recording) -> str | None:
    """Where it was written instead: a build may have taken hours."""
    try:
        descriptor, place = tempfile.mkstemp(prefix="recording-", suffix=".ptreetime")
        os.close(descriptor)
        recording.save(place)
    except OSError:
        return None
    return place


def _told(recording: Recording, tree: ProcessTree, status: int, options: argparse.Namespace) -> Iterator[str]:
    if tree.incomplete_reason is not None:
        yield f"warning: the recording is not complete: {shown(tree.incomplete_reason)}"
    outliving = [brief(node.name or "?", node.args or ()) for node in tree if node.still_running]
    if outliving and not options.quiet:
        names = ", ".join(map(shown, outliving[:OUTLIVING_SHOWN])) + (", ..." if outliving[OUTLIVING_SHOWN:] else "")
        outlive = "outlives" if len(outliving) == 1 else "outlive"
        yield f"warning: {counted(len(outliving), 'process')} {outlive} the build, unrecorded from now on: {names}"
    if not options.quiet:
        yield from (f"warning: {shown(said)}" for said in outside_in_words([tree]))
    if status != 0 and (program := failed_leak_check(tree)) is not None:
        yield f"warning: {leak_check_advice(shown(program), prefix='--')}"
    if not options.quiet:
        processes = counted(sum(node.previous_image is None for node in tree), "process")
        begin = "" if status == 0 else f"warning: the command {_how_it_ended(tree, status)}: "
        yield f"{begin}{processes} recorded in {shown(options.output)}; next: analyze, top or report it"


def _how_it_ended(tree: ProcessTree, status: int) -> str:
    if status == EXIT_TIMED_OUT and tree.exit_code != status:
        return "ran out of time"
    return f"was ended by signal {tree.root.signal}" if tree.root.signal else f"ended with exit status {status}"
