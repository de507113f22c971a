"""Fuzz with coverage: ``python tests/fuzz/drive.py [--seconds S] [--corpus DIR] [TARGET ...]``, which `make fuzz` runs.

Python's readers are driven by atheris, the C by libFuzzer (clang); a target whose driver is missing says so and is left
out. Prints a table of executions. An input that breaks a promise is kept in the directory FINDINGS and printed in
base64; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY), str(HERE.parent)]

from fuzz.targets import C_TARGETS, CORPUS, PYTHON_TARGETS, build, one_input  # noqa: E402 - the path comes first

SHOWN_BYTES = 3000  # of a bad input, in base64: where this runs in a container the file is gone with it
PYTHON_TARGET = "--python-target"  # what a run of its own is told by
LIMITS = ("-timeout=20", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1", "-close_fd_mask=1")


@dataclass
class Run:
    """What one target's run came to."""

    target: str
    executions: int
    per_second: int
    coverage: int
    finding: str
    note: str = "none found"


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers, with coverage as the guide.")
    parser.add_argument("targets", nargs="*", help="recording, ..., control; all by default")
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time")
    parser.add_argument("--corpus", type=Path, help="where new inputs are kept between runs")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where bad inputs go")
    if len(sys.argv) > 2 and sys.argv[1] == PYTHON_TARGET:
        return _fuzz_python(sys.argv[2], sys.argv[3:])
    options = parser.parse_args()
    wanted = options.targets or (*PYTHON_TARGETS, *C_TARGETS)
    with tempfile.TemporaryDirectory(prefix="ptreetime-fuzz-") as work, ThreadPoolExecutor(options.jobs) as pool:
        runs = list(pool.map(lambda target: _fuzz(target, Path(work), options), wanted))
    if options.findings.is_dir() and not any(options.findings.iterdir()):
        options.findings.rmdir()
    _print_table(runs)
    return 1 if any(run.finding for run in runs) else 0


def _fuzz(target: str, work: Path, options: argparse.Namespace) -> Run:
    program, why_not = _program(target, work)
    if why_not:
        return Run(target, 0, 0, 0, "", f"skipped: {why_not}")
    corpus = (options.corpus or work) / target
    corpus.mkdir(parents=True, exist_ok=True)
    return _run(target, program, corpus, options)


def _fuzz_python(target: str, arguments: list[str]) -> int:
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore] # has no types, and is no dependency

    with atheris.instrument_imports(include=["pytest_ptreetime"]):
        checked = one_input(target)
    atheris.Setup([sys.argv[0], *arguments], checked)
    atheris.Fuzz()
    return 0


def _program(target: str, work: Path) -> tuple[list[str], str]:
    """The command that fuzzes ``target``, or why there is none."""
    if target in PYTHON_TARGETS:
        if importlib.util.find_spec("atheris") is None:
            return [], "atheris is not installed (the extra `fuzz`)"
        return [sys.executable, str(HERE / "drive.py"), PYTHON_TARGET, target], ""
    program = work / f"fuzz-{target}"
    why_not = build(target, program)
    return [str(program)], why_not


def _run(target: str, program: list[str], corpus: Path, options: argparse.Namespace) -> Run:
    findings = options.findings / target
    findings.mkdir(parents=True, exist_ok=True)
    command = [*program, *LIMITS, f"-max_total_time={options.seconds}", f"-artifact_prefix={findings}/"]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1"}
    log = corpus.parent / f"{target}.log"
    with log.open("wb") as errors:
        done = subprocess.run(
            [*command, str(corpus), str(CORPUS / target)], stderr=errors, env=environment, check=False
        )
    said = log.read_text(errors="replace")
    finding = ""
    if done.returncode != 0:
        kept = sorted(findings.iterdir(), key=lambda path: path.stat().st_mtime)
        finding = _reason(said)
        if kept:
            finding += f" ({kept[-1]}: {base64.b64encode(kept[-1].read_bytes()[:SHOWN_BYTES]).decode()})"
    if not any(findings.iterdir()):
        findings.rmdir()
    executions = _number(r"stat::number_of_executed_units:\s*(\d+)", said) or _number(r"^#(\d+)\s", said)
    return Run(
        target,
        executions,
        _number(r"stat::average_exec_per_sec:\s*(\d+)", said),
        _number(r"\bcov: (\d+)", said),
        finding,
    )


def _number(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if re.search(r"ERROR:|Error|Violation|Exception:|runtime error", line)]
    return lines[0].strip()[:200] if lines else "it ended early"


def _print_table(runs: list[Run]) -> None:
    print(f"{'target':18}{'executions':>12}{'a second':>10}{'coverage':>10}  findings")
    for run in runs:
        print(f"{run.target:18}{run.executions:12,}{run.per_second:10,}{run.coverage:10,}  {run.finding or run.note}")
    print(f"{'all':18}{sum(run.executions for run in runs):12,}")


if __name__ == "__main__":
    sys.exit(main())
