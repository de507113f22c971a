"""Real builds, of which one process is slower or none is, compared with --confirm."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from replayed_builds import ONLY_LINUX, BusyBuild, replayer_or_skip, suspect
from trap_programs import Programs

from pytest_ptreetime.cli import main
from pytest_ptreetime.confirmation import confirming, sequential
from pytest_ptreetime.confirmation.confirming import Confirmed, suspects_of
from pytest_ptreetime.confirmation.counting import count, counters
from pytest_ptreetime.confirmation.replaying import Replayer
from pytest_ptreetime.confirmation.verdict import apply
from pytest_ptreetime.decision.finding import BUILD_KEY, Comparison, Confirmation, Finding
from pytest_ptreetime.wording.remarks import notes_in_words

pytest_plugins = ["pytester"]

WORK = dict.fromkeys("abcd", 8_000)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def sandbox(tmp_path: Path, programs: Programs) -> None:
    """Skips where no sandbox can be made."""
    build = BusyBuild.made(tmp_path / "trial", programs, {"a": 10})
    with replayer_or_skip([suspect(build.captured())] * 2):
        pass


def ab(before: BusyBuild, after: BusyBuild, *flags: str) -> int:
    return main(["ab", "--confirm", "--rounds", "2", "--warmup", "0", *flags, *commands_of(before, after)])


def commands_of(*builds: BusyBuild) -> list[str]:
    return [f"cd {shlex.quote(str(build.directory))} && sh build.sh" for build in builds]


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
def test_process_when_it_is_slower_is_confirmed(
    tmp_path: Path, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    before = BusyBuild.made(tmp_path / "before", programs, WORK)
    after = BusyBuild.made(tmp_path / "after", programs, {**WORK, "c": 12_000})
    assert ab(before, after) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "busy c c.out" in told
    assert re.search(r", confirmed by (4|10) replays of each side in", told)
    assert "1 confirmed" in told


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
def test_budget_when_it_is_spent_leaves_suspects_undecided(
    tmp_path: Path, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    before = BusyBuild.made(tmp_path / "before", programs, WORK)
    after = BusyBuild.made(tmp_path / "after", programs, {**WORK, "c": 12_000})
    ab(before, after, "--budget", "0.000001")
    told = " ".join(capsys.readouterr().out.split())
    assert "because the time budget was used up before its turn came" in told
    assert "confirmed by" not in told


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
def test_suspects_when_two_are_hard_to_decide_both_have_a_first_look_before_the_second(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = BusyBuild.made(tmp_path / "build", programs, {"b": 300, "c": 300}).captured()
    for module in (confirming, sequential):
        monkeypatch.setattr(module, "LOOKS", (2, 3))  # too few pairs to decide anything
    turns: list[int] = []
    suspects = [Finding(key, "cpu", "regression", 0.0, 0.0, q_value=0.0) for key in build.keys if "busy" in key]
    done = confirming.confirm(
        suspects, (build, build), budget=60, on_suspect=lambda label, number, total: turns.append(number)
    )
    assert turns[:2] == [1, 2]
    assert len(done.outcomes) == 2
    assert all(len(outcome.after) >= 2 for outcome in done.outcomes.values())
    assert all(outcome.seconds > 0 for outcome in done.outcomes.values())


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("work", "outcome"), [(2000, "undecided"), (2200, "confirmed")])
def test_suspect_when_times_leave_it_open_is_counted_before_its_second_look(
    work: int, outcome: str, tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not list(counters()):
        pytest.skip("nothing that counts instructions is installed")
    before = BusyBuild.made(tmp_path / "before", programs, {"c": 2000}).captured()
    after = BusyBuild.made(tmp_path / "after", programs, {"c": work}).captured()
    for module in (confirming, sequential):
        monkeypatch.setattr(module, "LOOKS", (2, 1000))
    monkeypatch.setattr(confirming, "COUNTED_AT", 1)
    monkeypatch.setattr(sequential, "FUTILE_OF_FEW", 2.0)
    (key,) = [key for key in before.keys if "busy" in key]
    suspicious = Finding(key, "cpu", "regression", 0.0, 0.0, q_value=1.0)
    (done,) = confirming.confirm([suspicious], (before, after), budget=60).outcomes.values()
    assert (done.outcome, len(done.after)) == (outcome, 2)
    assert done.instructions == pytest.approx(work / 2000, abs=0.01)


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
@pytest.mark.promise("environments-stay-in-memory")
@pytest.mark.parametrize("how", ["against", "stored"])
def test_commit_when_it_makes_a_process_slower_is_confirmed_in_pytest(
    how: str, pytester: pytest.Pytester, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTREETIME_TEST_SECRET", "hunter2")
    project = BusyBuild.made(pytester.path, programs, WORK)
    pytester.makepyfile(
        test_it=f"""
        def test_build(ptreetime):
            ptreetime(["sh", "build.sh"], cwd={str(pytester.path)!r}, tracer="ptrace")
        """
    )
    git = ["git", "-C", str(pytester.path), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    flags = ["--ptreetime-rounds=2", "--ptreetime-warmup=0", "--ptreetime-fail-on=regression"]
    if how == "stored":
        pytester.runpytest_subprocess(*flags, "--ptreetime-save-baseline").assert_outcomes(passed=1)
    (project.directory / "c").write_text("12000\n")
    compared = "--ptreetime-against=main" if how == "against" else "--ptreetime-baseline"
    result = pytester.runpytest_subprocess(*flags, compared, "--ptreetime-confirm", "--ptreetime-report=json:r.json")
    result.assert_outcomes(failed=1)
    told = " ".join(str(result.stdout).split())
    assert "busy c c.out" in told
    assert "confirmed by" in told
    report = (pytester.path / "r.json").read_text()
    assert '"outcome": "confirmed"' in report
    assert "hunter2" not in report + told
    assert not (pytester.path / ".git" / "worktrees").exists() or not list((pytester.path / ".git/worktrees").iterdir())


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
def test_ctrl_c_when_suspects_are_left_tells_what_is_known(
    tmp_path: Path, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = BusyBuild.made(tmp_path / "before", programs, WORK)
    after = BusyBuild.made(tmp_path / "after", programs, {**WORK, "b": 12_000, "c": 12_000})
    measured = Replayer.cpu
    decided: list[bool] = []

    def count_once(*arguments: Any) -> Any:
        decided.append(True)
        return count(*arguments)

    def press(*arguments: Any) -> float:
        if decided:
            signal.raise_signal(signal.SIGINT)
        return measured(*arguments)

    monkeypatch.setattr(confirming, "count", count_once)
    monkeypatch.setattr(Replayer, "cpu", press)
    assert ab(before, after) == 130
    told = " ".join(capsys.readouterr().out.split())
    assert "confirmed by" in told
    assert "interrupted:" in told


@ONLY_LINUX
@pytest.mark.usefixtures("sandbox")
def test_replay_when_the_process_is_slower_exits_with_1(
    tmp_path: Path, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    before = BusyBuild.made(tmp_path / "before", programs, {"c": 8000})
    after = BusyBuild.made(tmp_path / "after", programs, {"c": 12_000})
    assert main(["replay", *commands_of(before, after), "busy"]) == 1
    assert "slower, by" in capsys.readouterr().out
    assert main(["replay", *commands_of(before, before), "busy"]) in (0, 3)


def found(key: str, *, metric: str = "cpu", q_value: float = 0.001, **more: object) -> Finding:
    values: dict[str, object] = {
        "label": key,
        "ratio": 1.1,
        "interval": (1.05, 1.15),
        "cost": 0.1,
        "part": 0.05,
        **more,
    }
    return Finding(key, metric, "regression", 1.0, 1.1, measured=1.1, q_value=q_value, **values)  # type: ignore[arg-type]


def outcome_of(kind: str, ratio: float = 1.06) -> Confirmation:
    interval = (ratio - 0.01, ratio + 0.01)
    reason = "" if kind == "confirmed" else "why"
    return Confirmation(kind, reason, ratio, interval, 1e-6, [1.0] * 10, [ratio] * 10, 3.0)  # type: ignore[arg-type]


def compared(*findings: Finding, suspects: tuple[Finding, ...] = ()) -> Comparison:
    return Comparison("regression" if findings else "ok", list(findings), suspects=list(suspects))


def test_finding_when_refuted_is_gone_with_all_that_it_explained() -> None:
    wall = found("make", metric="wall", explained_by="cc1", explained_by_metric="cpu")
    result = compared(found("cc1"), wall, found("ld"))
    apply(result, suspects_of(result), Confirmed({"cc1": outcome_of("refuted", 1.001), "ld": outcome_of("refused")}))
    assert [(finding.key, finding.metric) for finding in result.findings] == [("ld", "cpu")]
    assert result.verdict == "regression"
    assert "not confirmed: why" in result.sentence
    assert any(
        note.startswith("cc1: cpu +10.0 % by the rounds, refuted by 10 replays") for note in notes_in_words(result)
    )


def test_finding_that_is_confirmed_is_told_before_a_larger_one_that_is_not() -> None:
    result = compared(found("cc1"), found("ld", part=0.04))
    apply(result, suspects_of(result), Confirmed({"ld": outcome_of("confirmed")}))
    assert result.sentence.startswith("ld: cpu +6.0 %")
    assert "confirmed by 10 replays" in result.sentence
    assert result.sentence.endswith("(and 1 other cause)")


def test_verdict_when_all_is_refuted_is_ok() -> None:
    result = compared(found("cc1"))
    apply(result, suspects_of(result), Confirmed({"cc1": outcome_of("refuted", 1.0)}))
    assert (result.verdict, result.findings) == ("ok", [])


def test_suspect_when_confirmed_is_a_finding_with_the_figures_of_the_replays() -> None:
    suspect_ = found("cc1", q_value=0.9)
    result = compared(suspects=(suspect_, found("as", q_value=0.9)))
    apply(
        result,
        suspects_of(result),
        Confirmed({"cc1": outcome_of("confirmed"), "as": outcome_of("undecided")}, processor=1),
    )
    (finding,) = result.findings
    assert (result.verdict, finding.key, finding.ratio, finding.interval) == ("regression", "cc1", 1.06, (1.05, 1.07))
    assert finding.current == pytest.approx(1.06)
    assert finding.cost == pytest.approx(0.06)
    assert finding.part == pytest.approx(0.03)
    assert len(finding.confirmation.before) == 10 if finding.confirmation else False
    assert "confirmed by 10 replays of each side in 3 s: +6.0 % (+-1.0 %)" in result.sentence
    assert any("processor 1 (SCHED_FIFO): 1 confirmed, 1 undecided" in note for note in notes_in_words(result))


def test_interrupted_when_some_were_measured_says_how_many_were_not() -> None:
    result = compared(suspects=(found("cc1", q_value=0.9), found("as", q_value=0.9)))
    apply(result, suspects_of(result), Confirmed({"cc1": outcome_of("confirmed")}, interrupted=True))
    assert any("interrupted: 1 not measured" in note for note in notes_in_words(result))


def test_suspects_when_listed_are_findings_first_and_only_processes() -> None:
    result = compared(
        found(BUILD_KEY),
        found("cc1"),
        found("as", metric="sys"),
        found("sh", metric="wall"),
        found("ld", explained_by="cc1"),
        suspects=(found("cc1", q_value=0.5), found("ar", q_value=0.5)),
    )
    assert [finding.key for finding in suspects_of(result)] == ["cc1", "as", "ar"]
