"""The command ``ptreetime``: one file a subcommand in commands/, found by the table below."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from pytest_ptreetime.errors import PtreetimeError
from pytest_ptreetime.system.inherited import note_first_signals
from pytest_ptreetime.system.os_errors import MACHINE_ERRORS, message_of

__all__ = ["main", "main_after_start"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class Subcommand(Protocol):
    """A module in commands/: its docstring is the subcommand's help."""

    __doc__: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it, and return the exit status.

        :raises PtreetimeError: shown as one line; the exit status is then 2.
        """


# name: (module in commands/, one line for the overview)
SUBCOMMANDS = {
    "profile": ("profile", "run a command and record its process tree"),
    "analyze": ("analyze", "show the processes of recordings, and write an LNT report of them"),
    "top": ("top", "list what costs most in a recording"),
    "compare": ("compare", "compare recordings; exit status 1 on a regression"),
    "ab": ("ab", "run two commands in turns and compare them; exit status 1 on a regression"),
    "replay": ("replay", "run one process of two builds again and again, in turns, until its change is known"),
    "report": ("report", "write any report from recordings"),
    "history": ("history", "show how stored sessions developed, and at which commits they changed"),
    "baseline": ("baseline", "look after stored baselines: show, pin, prune, merge, export, power"),
    "lnt": ("lnt", "send reports to an LNT server, print its schema"),
    "doctor": ("doctor", "say which tracers work here, and what would enable the others"),
}


def main_after_start() -> int:
    """What the native program ``ptreetime`` becomes: the first argument says which signals were ignored then."""
    signals, *words = sys.argv[1:] or [""]
    if not re.fullmatch(r"[\d,]*", signals):  # started without it
        return main([signals, *words])
    note_first_signals(signals)
    return main(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (``sys.argv``'s by default) and return the exit status."""
    _prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in words if not word.startswith("-")), None)
    try:
        status = _run(words, chosen)
        sys.stdout.flush()
    except PtreetimeError as error:
        print(f"ptreetime {chosen}: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MACHINE_ERRORS as error:
        print(f"ptreetime {chosen}: {message_of(error)}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _prepare_streams() -> None:
    """Make it harmless to print: to a standard stream that is closed, and what its encoding does not have."""
    for number in range(3):
        if not _is_open(number):
            # None of our own files may get this number. A command that we start does not inherit it: it stays closed.
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123 - open as long as this process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as above
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _run(words: list[str], chosen: str | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ptreetime", description="Where the time of a build goes, process by process.", allow_abbrev=False
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND")
    for name, (module_name, overview) in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=overview, allow_abbrev=False)
        if name == chosen:  # the others' modules are not needed
            module = cast(Subcommand, importlib.import_module(f"pytest_ptreetime.commands.{module_name}"))
            subparser.description = module.__doc__
            subparser.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    options = parser.parse_args(words)
    if options.version:
        from importlib.metadata import version

        print(version("pytest-ptreetime"))
        return 0
    if options.subcommand is None:
        parser.print_help(sys.stderr)
        return EXIT_ERROR
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
