"""Make README's pictures from a real build: `python docs/pictures.py`.

Plays the demo's story in a temporary directory and keeps what it looked like: the failing test on a terminal as SVG
(by rich), the HTML report of both builds' recordings in Chromium as PNG (by its own --screenshot). Needs the package
with its test extra, and chromium on PATH or in PTREETIME_CHROMIUM.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
COLUMNS = 100
ROUNDS = 5
TEST = "test_build_performance.py::test_clean_build_compiles_each_source_once_and_links_once"
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1400,990",
]  # fmt: skip


def pytest(directory: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=yes", "-q", TEST, *options]
    environment = {**os.environ, "COLUMNS": str(COLUMNS)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def terminal(output: str, to: Path) -> None:
    """The output of a command as a picture of a terminal."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi("$ pytest --ptreetime-baseline\n" + output))
        console.save_svg(str(to), title="pytest-ptreetime")


def browser(page: Path, to: Path) -> None:
    """The upper part of a page as Chromium shows it."""
    chromium = os.environ.get("PTREETIME_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("docs/pictures.py: chromium is not installed")
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", f"--screenshot={to}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def ptreetime(directory: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest_ptreetime.cli", *arguments]
    subprocess.run(command, cwd=directory, capture_output=True, check=False)  # 1 says that there is a regression


def compared(directory: Path) -> Path:
    """The page of ROUNDS builds of calc as it was, and with the slower header, in turns."""
    header, slower = directory / "calc/src/search.h", directory / "regression/search.h"
    original = (EXAMPLES / "calc/src/search.h").read_bytes()
    sides: dict[str, list[str]] = {"before": [], "now": []}
    for number in range(ROUNDS):
        for side, content in (("before", original), ("now", slower.read_bytes())):
            header.write_bytes(content)
            subprocess.run(["make", "-s", "-C", "calc", "clean"], cwd=directory, check=True)
            sides[side].append(f"{side}{number}.ptreetime")
            ptreetime(directory, "profile", "-q", "-o", sides[side][-1], "--", "make", "-s", "-C", "calc", "-j2")
    ptreetime(directory, "compare", *sides["before"], "--with", *sides["now"], "--report", "html:report.html")
    return directory / "report.html"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ptreetime-pictures-") as name:
        directory = Path(name)
        shutil.copytree(EXAMPLES, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "__pycache__"))
        for _ in range(3):
            pytest(directory, "--ptreetime-save-baseline", "--ptreetime-rounds=10")
        shutil.copy(directory / "regression" / "search.h", directory / "calc" / "src" / "search.h")
        output = pytest(directory, "--ptreetime-baseline", "--ptreetime-rounds=10")
        pictures = HERE / "pictures"
        pictures.mkdir(exist_ok=True)
        terminal(output, pictures / "regression.svg")
        browser(compared(directory), pictures / "timeline.png")


if __name__ == "__main__":
    main()
