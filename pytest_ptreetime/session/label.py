"""The names of a measurement."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Label"]


@dataclass(frozen=True)
class Label:
    """What a measurement is called: by pytest, in reports, and in the store.

    ``shown_as`` is file stem and test, short and the same in every session; ``stored_as`` is the whole node id, which
    two test files of the same name don't share. Both end in the name that the call was given, or in ``#2``, ``#3``
    for further calls without one.
    """

    test: str
    shown_as: str
    stored_as: str

    @classmethod
    def unique(cls, test: str, name: str | None, taken: set[str]) -> Label:
        """The label for a call in ``test``; ``taken`` holds what the test has used and gets the new one."""
        path, _, rest = test.partition("::")
        short = "::".join(part for part in (path.rsplit("/", 1)[-1].removesuffix(".py"), rest) if part)
        suffix = f"[{name}]" if name else ""
        number = 1
        while suffix in taken:
            number += 1
            suffix = f"[{name}]#{number}" if name else f"#{number}"
        taken.add(suffix)
        return cls(test, short + suffix, test + suffix)
