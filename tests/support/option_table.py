"""The table in docs/reference/options.md, made of the one in options/table.py. `make goldens` writes it."""

from __future__ import annotations

from pathlib import Path

from pytest_ptreetime.options.table import OPTIONS, Option

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "options.md"
HEAD = "| option | meaning |\n|---|---|\n"


def option_table() -> str:
    return HEAD + "".join(map(_row, OPTIONS))


def with_table(text: str) -> str:
    """The page's ``text`` with the table in place of the one that it has."""
    before, _, rest = text.partition(HEAD)
    _, blank, after = rest.partition("\n\n")
    return f"{before}{option_table()}{blank[1:]}{after}"


def _row(option: Option) -> str:
    value = f"[={option.metavar}]" if option.implied is not None else f" {option.metavar}" if option.metavar else ""
    marker = " *m*" if option.marker else ""
    return f"| `{option.flag}{value}`{marker} | {option.meaning}{'; repeatable' if option.repeatable else ''} |\n"


def main() -> None:
    PAGE.write_text(with_table(PAGE.read_text()))


if __name__ == "__main__":
    main()
