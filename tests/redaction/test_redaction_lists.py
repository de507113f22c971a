"""How much is hidden, and how much wrongly, on lists of realistic commands (tests/redaction)."""

from __future__ import annotations

import os
import random
import re
import shlex
import string
from pathlib import Path

import pytest

from pytest_ptreetime.recording.events import UserStartup
from pytest_ptreetime.redaction.redactor import Redactor

LISTS = Path(__file__).parent
VALUES = ("q7Zk2Vt9Lw4XbN8s", "hunter2-Blue", "correct-horse")  # the last one can be told by its name only
LETTERS = {
    "": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "A": string.ascii_uppercase + "234567",
    "d": string.digits,
}


def lines(name: str) -> list[str]:
    """The entries of a list. One with a quotation that does not end goes on in the next line."""
    text = (LISTS / f"{name}.txt").read_text()
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


def commands(name: str) -> list[list[str]]:
    found = []
    unfinished = ""
    for line in lines(name):
        unfinished += ("\n" if unfinished else "") + line
        try:
            found.append(shlex.split(unfinished))
        except ValueError:  # no closing quotation yet
            continue
        unfinished = ""
    assert not unfinished
    return found


def hidden(args: list[str]) -> list[str]:
    """The arguments as a recording has them."""
    event = UserStartup(1, 1001, 1, 0, 0, b"/bin/x", [os.fsencode(word) for word in args], b"/b")
    (event,) = (found for found in Redactor().events([event]) if isinstance(found, UserStartup))
    return [os.fsdecode(word) for word in event.args or []]


def token(form: str, rng: random.Random) -> str:
    """A token of a form of the list."""
    made = re.sub(r"\{([hAd]?)(\d+)\}", lambda part: "".join(rng.choices(LETTERS[part[1]], k=int(part[2]))), form)
    return made.replace("\\n", "\n")


@pytest.mark.promise("secrets-hidden")
@pytest.mark.parametrize("in_a_shell", [False, True])
def test_secrets_of_realistic_commands_are_hidden_in_95_of_100(in_a_shell: bool) -> None:
    forms = [[word.replace("§", value) for word in args] for args in commands("secret_commands") for value in VALUES]
    assert len(forms) > 2000
    shown = [
        args
        for args in forms
        if any(
            value in word for value in VALUES for word in hidden(["sh", "-c", shlex.join(args)] if in_a_shell else args)
        )
    ]
    assert len(shown) <= 0.05 * len(forms), shown


@pytest.mark.promise("secrets-hidden")
@pytest.mark.parametrize("around", ["{}", "a {} b", '"{}"', "--x={}"])
def test_tokens_are_known_by_their_form_in_95_of_100(around: str) -> None:
    rng = random.Random(1)
    forms = [line.split("\t")[1] for line in lines("token_formats")]
    assert len(forms) > 200
    shown = [form for form in forms if re.search(r"[A-Za-z0-9]{16}", hidden(["x", around.format(token(form, rng))])[1])]
    assert len(shown) <= 0.05 * len(forms), shown


@pytest.mark.promise("secrets-hidden")
def test_of_ordinary_arguments_1_in_100_is_hidden_at_most() -> None:
    pairs = [pair for args in commands("ordinary_commands") for pair in zip(args, hidden(args), strict=True)]
    assert len(pairs) > 5000
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(wrong) <= 0.01 * len(pairs), wrong
