"""Why a suspect can't be measured alone."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):  # it is an answer
    """The suspect can't be replayed; the message says why, of "it"."""
