"""Say for every tracer whether it works here, why not, and the one command that would enable it.

The exit status is 0 where at least one tracer sees every process, else 1.
"""

from __future__ import annotations

import argparse

from pytest_ptreetime.commands.terminal_width import width
from pytest_ptreetime.tracers.diagnosis import diagnose, render, sees_everything


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sudo", action="store_true", help="also try what `sudo -n` allows")


def run(options: argparse.Namespace) -> int:
    findings = diagnose(sudo=options.sudo)
    print(render(findings, width=width()))
    return 0 if sees_everything(findings) else 1
