"""What `ptreetime doctor` says of this machine and of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_ptreetime.tracers import Capture, Command, builtin_tracers
from pytest_ptreetime.tracers import diagnosis as doctor
from pytest_ptreetime.tracers.diagnosis import Diagnosis, diagnose, render, sees_everything


class Patient:
    """A tracer that works, or does not for the given reason."""

    name = "patient"

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.closed = False

    def available(self) -> str | None:
        return self.reason

    def record(self, command: Command) -> Capture:
        raise AssertionError("the doctor records nothing")

    def close(self) -> None:
        self.closed = True


def test_diagnose_when_asked_has_every_builtin_tracer_in_the_order_of_auto() -> None:
    assert [one.tracer for one in diagnose()] == list(builtin_tracers())


def test_diagnose_when_several_work_marks_the_first_as_chosen() -> None:
    found = diagnose(tracers={"ebpf": lambda: Patient("no"), "ptrace": Patient, "interpose": Patient})
    assert [one.chosen for one in found] == [False, True, False]


def test_diagnose_when_done_has_closed_what_it_started() -> None:
    patient = Patient()
    diagnose(tracers={"ebpf": lambda: patient})
    assert patient.closed


@pytest.mark.parametrize(
    ("working", "expected"), [((), False), (("interpose",), False), (("ptrace",), True), (("ebpf", "interpose"), True)]
)
def test_sees_everything_when_only_the_interposer_works_is_false(working: tuple[str, ...], expected: bool) -> None:
    tracers = {
        name: (lambda reason=None if name in working else "no": Patient(reason))
        for name in ("ebpf", "ptrace", "interpose")
    }
    assert sees_everything(diagnose(tracers=tracers)) is expected


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("root lacks CAP_BPF and CAP_PERFMON here: start", "docker run --cap-add=BPF --cap-add=PERFMON ..."),
        ("Yama allows ptrace to CAP_SYS_PTRACE only: run", "sudo sysctl kernel.yama.ptrace_scope=1"),
        ("a seccomp profile forbids ptrace: in a", "docker run --cap-add=SYS_PTRACE ..."),
        ("the native helper ptreetime-recorder is missing (looked", doctor.REINSTALL),
        ("Linux 4.19 is too old: 5.10 is needed", None),
    ],
)
def test_remedy_when_a_reason_is_known_is_one_command(reason: str, remedy: str | None) -> None:
    (found,) = diagnose(tracers={"ebpf": lambda: Patient(reason)})
    assert found.remedy == remedy


def test_remedy_when_capabilities_are_missing_names_the_installed_recorder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = tmp_path / "with space" / "ptreetime-recorder"
    recorder.parent.mkdir()
    recorder.touch()
    monkeypatch.setattr(doctor, "helper", lambda name: recorder.with_name(name))
    reason = "needs root, or CAP_BPF and CAP_PERFMON on the recorder"
    (found,) = diagnose(tracers={"ebpf": lambda: Patient(reason)})
    assert found.remedy is not None
    assert found.remedy.startswith("sudo setcap cap_bpf,cap_perfmon")
    assert found.remedy.endswith(f"+ep '{recorder}'")


def test_reason_when_the_capabilities_are_there_and_do_not_work_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_has_capabilities", lambda path: True)
    monkeypatch.setattr(doctor, "helper", Path)
    (found,) = diagnose(tracers={"ebpf": lambda: Patient("needs root, or CAP_BPF and CAP_PERFMON on the recorder")})
    assert found.remedy is None
    assert found.reason is not None
    assert "nosuid" in found.reason


def test_render_when_narrow_keeps_commands_on_one_line() -> None:
    remedy = "sudo setcap cap_bpf,cap_perfmon+ep /somewhere/long/enough/to/need/wrapping/ptreetime-recorder"
    text = render(
        [
            Diagnosis("ebpf", "everything", True, "needs root, or CAP_BPF and CAP_PERFMON on the recorder", remedy),
            Diagnosis("ptrace", "every process", True, chosen=True),
            Diagnosis("interpose", "some", False, "this system has no dynamic linker"),
        ],
        width=40,
    )
    lines = text.splitlines()
    assert f"    to enable it: {remedy}" in lines
    assert "ptrace: works (taken by auto): sees" in lines
    assert "    no command would enable it here" in lines
    assert all(len(line) <= 40 for line in lines if remedy not in line)
