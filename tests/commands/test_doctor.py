"""What `ptreetime doctor` says of this machine and of others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from pytest_ptreetime.errors import Obstacle, TracerUnavailable
from pytest_ptreetime.tracers import Capture, Command, Unavailable, builtin_tracers, choose, remedies
from pytest_ptreetime.tracers.diagnosis import Diagnosis, diagnose, render, sees_everything
from pytest_ptreetime.tracers.remedies import REINSTALL, unavailable

NO_CAPABILITIES = "needs root, or CAP_BPF and CAP_PERFMON on the recorder"


class Patient:
    """A tracer that works, or does not for the given reason."""

    name = "patient"

    def __init__(self, reason: str | Unavailable | None = None) -> None:
        self.reason = reason
        self.closed = False

    def available(self) -> str | Unavailable | None:
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
    ("obstacle", "remedy"),
    [
        ("capabilities-of-root", "docker run --cap-add=BPF --cap-add=PERFMON ..."),
        ("yama", "sudo sysctl kernel.yama.ptrace_scope=1"),
        ("seccomp", "docker run --cap-add=SYS_PTRACE ..."),
        ("native-helper", REINSTALL),
        (None, None),
    ],
)
def test_remedy_when_the_obstacle_is_known_is_one_command(obstacle: Obstacle | None, remedy: str | None) -> None:
    reason = unavailable(TracerUnavailable("whatever the words", obstacle))
    assert reason == Unavailable("whatever the words", remedy)
    (found,) = diagnose(tracers={"ebpf": lambda: Patient(reason)})
    assert (found.reason, found.remedy) == ("whatever the words", remedy)


def test_remedy_of_a_plugins_tracer_is_what_it_says() -> None:
    (found,) = diagnose(tracers={"mine": lambda: Patient(Unavailable("it is off", "turn-it-on"))})
    assert (found.reason, found.remedy) == ("it is off", "turn-it-on")


def test_plugins_tracer_that_answers_with_a_plain_text_has_a_reason_and_no_remedy() -> None:
    (found,) = diagnose(tracers={"mine": lambda: Patient("it is off")})
    assert (found.reason, found.remedy) == ("it is off", None)
    with pytest.raises(TracerUnavailable, match="mine: it is off"):
        choose("auto", {"mine": lambda: Patient("it is off")})


def test_tracer_that_was_asked_for_and_does_not_work_is_refused_with_its_remedy() -> None:
    with pytest.raises(TracerUnavailable, match=r"\(mine: it is off\): to enable it: turn-it-on$"):
        choose("mine", {"mine": lambda: Patient(Unavailable("it is off", "turn-it-on"))})


def test_recorder_names_no_obstacle_that_has_no_remedy() -> None:
    sources = Path(__file__).parents[2].joinpath("libptreetime", "recorder").glob("*.c")
    code = "".join(source.read_text(encoding="utf-8") for source in sources)
    used = re.findall(r'PTREETIME_OBSTACLE\(.*?"([^"]+)"\)', code, re.DOTALL)
    assert set(used) == set(get_args(Obstacle)) - {"native-helper"}


def test_remedy_when_capabilities_are_missing_names_the_installed_recorder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = tmp_path / "with space" / "ptreetime-recorder"
    recorder.parent.mkdir()
    recorder.touch()
    monkeypatch.setattr(remedies, "helper", lambda name: recorder.with_name(name))
    reason = unavailable(TracerUnavailable(NO_CAPABILITIES, "capabilities"))
    (found,) = diagnose(tracers={"ebpf": lambda: Patient(reason)})
    assert found.remedy is not None
    assert found.remedy.startswith("sudo setcap cap_bpf,cap_perfmon")
    assert found.remedy.endswith(f"+ep '{recorder}'")


def test_reason_when_the_capabilities_are_there_and_do_not_work_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "_has_capabilities", lambda path: True)
    monkeypatch.setattr(remedies, "helper", Path)
    reason = unavailable(TracerUnavailable(NO_CAPABILITIES, "capabilities"))
    (found,) = diagnose(tracers={"ebpf": lambda: Patient(reason)})
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


@pytest.mark.parametrize(
    ("ebpf", "ptrace", "line"),
    [
        (
            "only the tracer ptrace counts them",
            None,
            "counted by ptrace; not by ebpf: only the tracer ptrace counts them",
        ),
        ("only the tracer ptrace counts them", "there is no counter", "not to be had: there is no counter"),
        (None, None, "counted by ebpf and ptrace"),
    ],
)
def test_render_says_in_one_line_whether_instructions_are_to_be_had(
    ebpf: str | None, ptrace: str | None, line: str
) -> None:
    found = [Diagnosis("ebpf", "all", True, uncounted=ebpf), Diagnosis("ptrace", "all", True, uncounted=ptrace)]
    assert render(found, width=200).splitlines()[-1] == f"the metric instructions: {line}"


def test_render_says_that_no_tracer_counts_instructions_where_ptrace_does_not_work() -> None:
    text = render([Diagnosis("ptrace", "all", True, "forbidden"), Diagnosis("interpose", "some", False)])
    assert text.splitlines()[-1] == "the metric instructions: not to be had: no tracer that counts them works"
