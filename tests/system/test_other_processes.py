"""What other processes have used: each for itself, and what began meanwhile as part of what started it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_ptreetime.system.other_processes import ListeningSockets, Process, ancestors, processes, used_between


def test_process_that_was_there_before_stands_for_itself() -> None:
    before = {1: Process(0, 0, 5.0), 2: Process(1, 10, 1.0)}
    after = {1: Process(0, 0, 5.5), 2: Process(1, 10, 3.0)}
    assert used_between(before, after) == {1: 0.5, 2: 2.0}


def test_process_that_began_meanwhile_is_part_of_its_ancestor() -> None:
    before = {1: Process(0, 0, 5.0)}
    after = {1: Process(0, 0, 5.0), 2: Process(1, 10, 1.0), 3: Process(2, 11, 0.25)}
    assert used_between(before, after) == {1: 1.25}


def test_child_that_was_waited_for_does_not_bring_what_it_had_used_before() -> None:
    before = {1: Process(0, 0, 5.0), 2: Process(1, 10, 7.0)}
    after = {1: Process(0, 0, 12.5)}
    assert used_between(before, after) == {1: pytest.approx(0.5)}


def test_number_that_another_process_has_got_is_not_the_same_process() -> None:
    before = {1: Process(0, 0, 5.0), 2: Process(1, 10, 7.0)}
    after = {1: Process(0, 0, 5.0), 2: Process(1, 99, 0.5)}
    assert used_between(before, after) == {1: 0.5}


def test_numbers_that_make_a_circle_are_nobodys() -> None:
    after = {1: Process(0, 0, 5.0), 2: Process(3, 10, 1.0), 3: Process(2, 11, 1.0)}
    assert used_between({1: Process(0, 0, 5.0)}, after) == {1: 0.0}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_clock_of_this_process_goes_on_with_its_work_and_that_of_its_children() -> None:
    before = processes()
    began = time.process_time()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    own = time.process_time() - began
    used = used_between(before, processes())[os.getpid()]
    assert used > own
    assert os.getpid() in ancestors(before)
    assert os.getppid() in ancestors(before)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_listening_sockets_of_a_process_have_their_names() -> None:
    name = f"ptreetime-listening-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as local, socket.socket() as tcp, socket.socket(socket.AF_UNIX) as idle:
        local.bind(f"\0{name}")
        local.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        idle.bind(f"\0{name}-idle")
        found = ListeningSockets().of(os.getpid())
        assert {f"@{name}".encode(), b"port %d" % tcp.getsockname()[1]} <= found
        assert f"@{name}-idle".encode() not in found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_name_of_a_socket_with_an_end_of_the_line_in_it_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as odd, socket.socket(socket.AF_UNIX) as plain:
        odd.bind("odd\nx x x x x x x")
        odd.listen()
        plain.bind("plain")
        plain.listen()
        assert b"plain" in ListeningSockets().of(os.getpid())
