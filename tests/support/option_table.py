"""README's table of options, made of the one in settings.py. `make goldens` writes it."""

from __future__ import annotations

from pathlib import Path

from pytest_ptreetime.settings import OPTIONS, Option

README = Path(__file__).parents[2] / "README.md"
HEAD = "| option | meaning |\n|---|---|\n"


def option_table() -> str:
    return HEAD + "".join(map(_row, OPTIONS))


def with_table(text: str) -> str:
    """``text``, README's, with the table in place of the one that it has."""
    before, _, rest = text.partition(HEAD)
    return f"{before}{option_table()}\n{rest.partition(chr(10) * 2)[2]}"


def _row(option: Option) -> str:
    value = f"[={option.metavar}]" if option.implied is not None else f" {option.metavar}" if option.metavar else ""
    marker = " *m*" if option.marker else ""
    return f"| `{option.flag}{value}`{marker} | {option.meaning}{'; repeatable' if option.repeatable else ''} |\n"


def main() -> None:
    README.write_text(with_table(README.read_text()))


if __name__ == "__main__":
    main()
