"""The site (`make docs`): pages are Markdown, the reference is made of docstrings and of the tables in the code."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "pytest-ptreetime"
author = "the authors of pytest-ptreetime"
copyright = author  # noqa: A001 - Sphinx calls it so
release = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[0]
html_title = f"pytest-ptreetime {release}"
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
exclude_patterns = ["pictures.py"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False
# Lines that show a shell, a message or a drawing have no language of Pygments.
highlight_language = "text"
GENERATED = Path(__file__).parent / "reference" / "generated"


def help_of_commands() -> str:
    """What each command says of itself."""
    from pytest_ptreetime import cli

    parts = ["# Options of the commands\n", "What `ptreetime COMMAND --help` says.\n"]
    for name in cli.SUBCOMMANDS:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            cli.main([name, "--help"])
        parts.append(f"## ptreetime {name}\n\n```text\n{text.getvalue().rstrip()}\n```\n")
    return "\n".join(parts)


def table_of_metrics() -> str:
    """The table of metrics.py."""
    from pytest_ptreetime.metrics import TABLE

    rows = ["| metric | in tables | unit | compared by default |", "|---|---|---|---|"]
    rows += [
        f"| `{metric.name}` | {metric.label} | {metric.unit} | {'yes' if metric.compared else 'no'} |"
        for metric in TABLE
    ]
    return "# Metrics\n\n" + "\n".join(rows) + "\n"


def write_generated_pages(_: Any) -> None:
    GENERATED.mkdir(exist_ok=True)
    for name, content in (("command-help", help_of_commands()), ("metrics", table_of_metrics())):
        (GENERATED / f"{name}.md").write_text(content, encoding="utf-8")


def link_outside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Name what lies outside of docs/ by its path in the repository: the site does not have it."""
    source[0] = re.sub(
        r"\[([^\]]+)\]\((?:\.\./)+((?:CONTRIBUTING|pytest_ptreetime|examples|README)[^)]*)\)", r"\1 (`\2`)", source[0]
    )


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_generated_pages)
    app.connect("source-read", link_outside)
