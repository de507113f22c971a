"""Something that the run needs is used up: a disk, a permission, descriptors, processes, memory."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from faults.project import as_user
from faults.trial import DTRACE, PROFILE, PYTEST, Fault, NotHere, Trial
from faults.victim import Missed

PLACES = {"store": (PYTEST,), "recordings": (PROFILE, PYTEST), "reports": (PYTEST,), "temporary": (PROFILE, PYTEST)}
FIRST_USER = 61_000  # users of nobody, so that their numbers of processes are this trial's own
MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2
MS_REC, MS_PRIVATE, CLONE_NEWNS = 0x4000, 0x40000, 0x20000

_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, str(target), kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(target))


def mount_privately() -> None:
    """Whatever this process mounts from now on goes away with it, however it ends."""
    if os.geteuid() == 0 and _libc.unshare(CLONE_NEWNS) == 0:
        _mount("none", Path("/"), None, MS_REC | MS_PRIVATE)


@contextmanager
def _mounted(target: Path, source: str, kind: str | None, flags: int, data: str | None = None) -> Iterator[None]:
    if os.geteuid() != 0:
        raise NotHere("only root may mount")
    content = Path(f"{target}-before")
    shutil.copytree(target, content)
    try:
        _mount(source, target, kind, flags, data)
    except OSError as error:
        raise NotHere(f"nothing can be mounted here: {error}") from None
    try:
        shutil.copytree(content, target, dirs_exist_ok=True)
        if target.name == "tmp":
            target.chmod(0o1777)
        yield
        shutil.rmtree(content)
        shutil.copytree(target, content)
    finally:
        _libc.umount2(str(target).encode(), MNT_DETACH)
        shutil.copytree(content, target, dirs_exist_ok=True)
        shutil.rmtree(content)


def _directory(trial: Trial, place: str) -> Path:
    directory: Path = getattr(trial.project, place)
    return directory


def disk_full(trial: Trial, place: str) -> None:
    trial.add_store()
    directory = _directory(trial, place)
    trial.may_be_different = place == "temporary"
    with _mounted(directory, "faults", "tmpfs", 0, "size=16m,nr_inodes=400"):
        trial.start()
        _begin(trial)
        fillers = _fill_inodes(directory) if trial.random.random() < 0.3 else _fill(directory)
        trial.finish()
        for filler in fillers:
            filler.unlink(missing_ok=True)


def _begin(trial: Trial) -> None:
    """The fault is there from a random moment on, sometimes from the very first."""
    if trial.kind == PYTEST or (trial.tracer == DTRACE and trial.random.random() < 0.7):
        trial.until_measuring()
    trial.moment(trial.measuring_seconds if trial.kind == PYTEST else 0.4)


def _fill(directory: Path) -> list[Path]:
    filler = directory / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    return [filler]


def _fill_inodes(directory: Path) -> list[Path]:
    fillers = []
    with suppress(OSError):
        for number in range(1000):
            fillers.append(directory / f"filler-{number}")
            fillers[-1].touch()
    return fillers


def read_only(trial: Trial, place: str) -> None:
    trial.add_store()
    directory = _directory(trial, place)
    trial.may_leave_files = place == "temporary"  # nothing can be removed there
    if os.geteuid() == 0 and (trial.tracer in ("ebpf", DTRACE) or trial.random.random() < 0.5):
        with _mounted(directory, str(directory), None, MS_BIND):
            trial.start()
            _begin(trial)
            _remount(trial, directory, MS_RDONLY)
            trial.finish()
            _mount("none", directory, None, MS_REMOUNT | MS_BIND)
        return
    if os.geteuid() == 0:
        trial.user = _some_user(trial)
    trial.start()
    _begin(trial)
    modes = {path: path.stat().st_mode & 0o7777 for path in [directory, *directory.rglob("*")] if path.is_dir()}
    for path in modes:
        path.chmod(0o555)
    trial.finish()
    for path, mode in modes.items():
        if path.exists():
            path.chmod(mode)


def _remount(trial: Trial, directory: Path, flags: int) -> None:
    """A mount is busy as long as a file in it is open for writing."""
    done = False
    while trial.victim.running and not done:
        with suppress(OSError):
            _mount("none", directory, None, MS_REMOUNT | MS_BIND | flags)
            done = True
    if not done:
        raise Missed


def _some_user(trial: Trial) -> int:
    if shutil.which("setpriv") is None or shutil.which("prlimit") is None:
        raise NotHere("there is no setpriv and prlimit to run and limit another user's processes")
    return FIRST_USER + trial.random.randrange(4000)


def _limit(pid: int, what: int, soft: int) -> None:
    try:
        _, hard = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (soft, hard))
    except ProcessLookupError:
        raise Missed from None


def _measurer_or_recorder(trial: Trial) -> int:
    trial.until_measuring()
    trial.moment(trial.measuring_seconds)
    recorder = trial.victim.recorder()
    return recorder.pid if recorder is not None and trial.random.random() < 0.3 else trial.victim.process.pid


def descriptor_limit(trial: Trial) -> None:
    trial.may_be_different = True
    trial.start()
    pid = _measurer_or_recorder(trial)
    try:
        used = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, ValueError):
        raise Missed from None
    _limit(pid, resource.RLIMIT_NOFILE, used + 1 + trial.random.randrange(10))
    trial.finish()


def process_limit(trial: Trial) -> None:
    """Root has no limit of processes."""
    trial.may_be_different = True
    if os.geteuid() != 0:
        raise NotHere("the limit is counted over all processes of a user: only root can take another user")
    trial.user = _some_user(trial)
    trial.start()
    trial.until_measuring()
    trial.moment(trial.measuring_seconds)
    used = sum(1 for path in Path("/proc").glob("[0-9]*") if _user_of(path) == trial.user)
    soft = f"{used + trial.random.randrange(6)}:"
    # by that user: even root may lack the capability for limits of others
    command = ["prlimit", f"--pid={trial.victim.process.pid}", f"--nproc={soft}"]
    if subprocess.run(as_user(trial.user, command), stderr=subprocess.DEVNULL).returncode != 0:
        raise Missed
    trial.finish()


def _user_of(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def memory_limit(trial: Trial) -> None:
    trial.may_be_different = True
    trial.start()
    pid = _measurer_or_recorder(trial)
    try:
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        raise Missed from None
    _limit(pid, resource.RLIMIT_AS, used + trial.random.choice((0, 1, 4, 16, 64)) * (1 << 20))
    trial.finish()


FAULTS = [
    *(Fault(f"disk-full-{place}", partial(disk_full, place=place), victims) for place, victims in PLACES.items()),
    *(Fault(f"read-only-{place}", partial(read_only, place=place), victims) for place, victims in PLACES.items()),
    Fault("descriptor-limit", descriptor_limit),
    Fault("process-limit", process_limit, tracers=("ptrace", "interpose")),
    Fault("memory-limit", memory_limit),
]
