"""Both sides of a suspect, ready to be replayed in a process with a sandbox of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from pytest_ptreetime.confirmation.capture import Image
from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.confirmation.sandbox import places_of
from pytest_ptreetime.confirmation.worker import Answer, Opening, Replay, Side, receive, send
from pytest_ptreetime.system.figures import amount
from pytest_ptreetime.system.inherited import waiting_for_children
from pytest_ptreetime.system.temporary_files import private_directory
from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["Replayer", "Suspect", "replayer"]

#: A replay that takes so many times its wall time in the build, and these seconds, is stuck.
STUCK_TIMES, STUCK_SECONDS = 20.0, 5.0
#: How far the bytes that a replay reads or writes may lie from those of the build: paths and pids have lengths.
BYTES_PART, BYTES_LEAST = 0.01, 2048
#: With an emulator in front it takes so many times as long.
EMULATED_TIMES = 100.0


@dataclass(frozen=True)
class Suspect:
    """One side of it: how it was started, and what it did in the build."""

    image: Image
    node: ProcessNode


class Replayer:
    """Runs either side again."""

    def __init__(self, sides: Sequence[Suspect], requests: IO[bytes], answers: IO[bytes]) -> None:
        self._sides = sides
        self._requests, self._answers = requests, answers
        self.processor: int | None = None

    def open(self, places: Sequence[str], scratch: str, *, alone: bool) -> None:
        """Make the sandbox.

        :raises Refused: this machine does not allow it.
        """
        sides = [_side(suspect.image) for suspect in self._sides]
        self.processor = self._ask(Opening(sides, list(places), scratch, alone)).processor

    def cpu(self, side: int) -> float:
        """The processor seconds of one more replay.

        :raises Refused: it did not do what it did in the build.
        """
        node, image = self._sides[side].node, self._sides[side].image
        answer = self._ask(Replay(side, STUCK_TIMES * (node.wall or 0.0) + STUCK_SECONDS))
        _check(answer, node, image)
        return answer.cpu_ns / 1e9

    def run_under(self, wrapper: Callable[[bytes], Sequence[str]], side: int, result: str) -> bytes:
        """What an emulator says of one side, in the file ``result``.

        :param wrapper: the words in front of the command, by its argument 0.
        :raises Refused: it does not work.
        """
        wall, words = self._sides[side].node.wall or 0.0, wrapper(self._sides[side].image.args[0])
        answer = self._ask(Replay(side, EMULATED_TIMES * wall + 10 * STUCK_SECONDS, list(words), result))
        if answer.timed_out or answer.status != 0:
            raise Refused(f"under {Path(words[0]).name} it does not end with 0")
        return answer.result

    def _ask(self, request: Opening | Replay) -> Answer:
        try:
            send(self._requests, request)
            data = receive(self._answers)
        except BrokenPipeError:
            data = None
        if data is None:
            raise Refused("the process that replays it has died")
        answer = msgspec.msgpack.decode(data, type=Answer)
        if answer.refused is not None:
            raise Refused(answer.refused)
        return answer


@contextmanager
def replayer(sides: Sequence[Suspect], *, alone: bool = True) -> Iterator[Replayer]:
    """A process with both sides; it ends, and with it all that its replays wrote, at the end of the block.

    :param alone: let each replay have a processor for itself where that is permitted.
    :raises Refused: no sandbox can be made here, or a side can't be replayed.
    """
    images = [suspect.image for suspect in sides]
    places = sorted({place for image in images for place in _places(image)}, key=len)
    places = [place for place in places if not any(place.startswith(f"{other}/") for other in places)]
    with private_directory() as scratch, waiting_for_children():
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest_ptreetime.confirmation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # it finds what this one found
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            made = Replayer(sides, process.stdin, process.stdout)
            made.open(places, str(scratch), alone=alone)
            yield made
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):
                process.stdin.close()


def _places(image: Image) -> list[str]:
    temporary = os.fsdecode(image.env.get(b"TMPDIR", b"/tmp"))
    return places_of(os.fsdecode(image.cwd), map(os.fsdecode, image.args[1:]), temporary)


def _side(image: Image) -> Side:
    regular = image.stdin.startswith(b"/") and not image.stdin.startswith(b"/dev/")
    return Side(image.exe, image.args, image.env, image.cwd, image.stdin if regular else None, image.personality)


def _check(answer: Answer, node: ProcessNode, image: Image) -> None:
    if answer.timed_out:
        raise Refused("its replay does not end")
    if answer.status == -signal.SIGSYS:
        raise Refused("it talks to a server, whose work is not its own")
    if answer.status != 0:
        how = f"is killed by signal {-answer.status}" if answer.status < 0 else f"ends with exit status {answer.status}"
        raise Refused(f"its replay {how}: what it needs is gone, or not available in a sandbox")
    for verb, did, does in (
        ("reads", node.read_bytes, answer.read_bytes),
        ("writes", node.written_bytes, answer.written_bytes),
    ):
        if did is None or does is None or abs(did - does) <= max(BYTES_PART * did, BYTES_LEAST):
            continue
        pipe = verb == "reads" and image.stdin.startswith((b"pipe:", b"socket:"))
        why = ", which came from a pipe" if pipe else ": its input is gone, or it does something else"
        raise Refused(f"its replay {verb} {amount(does, 'B')} instead of {amount(did, 'B')}{why}")
