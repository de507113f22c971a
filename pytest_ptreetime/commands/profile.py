"""Run a command with your own terminal, input and output, and record its process tree.

    ptreetime profile -o build.ptreetime -- make -j8

With --live the running processes and the CPUs that they fill are shown in the last lines of the terminal while the
build scrolls above them; where standard error is no terminal, a line says so much every ten seconds.

The exit status is the command's (128 + the signal's number where a signal ended it). Ctrl-C goes to the command; what
was recorded until then is written all the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from pytest_ptreetime.errors import CommandFailed, ReportFailed
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.session.measure import record
from pytest_ptreetime.settings import parse_interpose, parse_redaction, parse_seconds
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.untrusted_text import shell_line, shown
from pytest_ptreetime.tracers import builtin_tracers, choose

if TYPE_CHECKING:
    from pytest_ptreetime.commands.live_view import Shown

EXIT_NOT_STARTED = 127


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write the recording")
    parser.add_argument("-v", "--verbose", action="store_true", help="say which tracer was taken and what was seen")
    parser.add_argument("--live", action="store_true", help="show the running processes while they run")
    parser.add_argument("--tracer", default="auto", metavar="NAME", help="auto, ebpf, ptrace, dtrace, interpose")
    parser.add_argument(
        "--interpose",
        type=_interpose,
        default=True,
        metavar="{true,false,log}",
        help="load a library into the command's programs where the tracer has a use for one (the default); log: the "
        "one that logs each start and end",
    )
    parser.add_argument(
        "--no-interpose", dest="interpose", action="store_const", const=False, help="the same as --interpose false"
    )
    parser.add_argument("--sudo", action="store_true", help="allow a privileged tracer to be started by `sudo -n`")
    parser.add_argument(
        "--timeout", type=parse_seconds, metavar="SECONDS", help="end the whole process tree after this"
    )
    parser.add_argument(
        "--redact",
        action="append",
        default=[],
        type=_redaction,
        metavar="PATTERN",
        help="hide what matches in command lines, besides what looks like a password or a token (an empty pattern "
        "takes this default away); repeatable",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD...", help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    choice = choose(options.tracer, builtin_tracers(sudo=options.sudo))
    if options.verbose:
        print(f"tracer {choice.explain()}", file=sys.stderr)
    try:
        with _live_view(command, options) as live:
            recording = record(
                command,
                tracer=choice.tracer,
                interpose=options.interpose,
                timeout=options.timeout,
                redact=options.redact,
                on_events=None if live is None else live.events,
            )
    except KeyboardInterrupt as interrupt:
        interrupted: Recording | None = getattr(interrupt, "recording", None)
        if interrupted is None:
            raise
        recording = interrupted  # the command has got the signal too, and has ended as it likes
    except CommandFailed as error:
        print(f"ptreetime profile: {error}", file=sys.stderr)
        return EXIT_NOT_STARTED
    finally:
        choice.tracer.close()
    _keep(recording, options)
    tree = recording.tree()
    if tree.root.signal is not None:
        return 128 + tree.root.signal
    return tree.exit_code if tree.exit_code is not None else 0


def _interpose(text: str) -> bool | Literal["log"]:
    try:
        return parse_interpose(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _redaction(text: str) -> str:
    try:
        return parse_redaction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def _keep(recording: Recording, options: argparse.Namespace) -> None:
    try:
        recording.save(options.output)
    except OSError as error:
        raise ReportFailed(
            f"the recording can't be written to {options.output}: {error.strerror}: choose another file"
        ) from None
    tree = recording.tree()
    if options.verbose:
        print(f"{len(tree)} processes recorded in {options.output}", file=sys.stderr)
    if tree.incomplete_reason is not None:
        print(f"warning: the recording is not complete: {shown(tree.incomplete_reason)}", file=sys.stderr)
