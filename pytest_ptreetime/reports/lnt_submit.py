"""Sending an LNT report to a server, by the standard library alone.

``submitRun`` is the form that a web browser would send and needs no token; with a token, the report goes to the REST
interface instead. A server's own policy for a second report at one order is to reject it; ``lnt import`` on the command
line replaces the first one. Here nothing is replaced unless ``merge`` says so.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from pytest_ptreetime.errors import ReportFailed, UsageError
from pytest_ptreetime.system.regular_file import read_file
from pytest_ptreetime.system.untrusted_text import clip, shown

__all__ = ["MERGE_POLICIES", "submission_url", "submit"]

MERGE_POLICIES = ("reject", "replace", "append")
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 120.0
MAX_ANSWER_BYTES = 1 << 28  # LNT's answer to a success lists every test, and can be larger than the report
WORDS_SHOWN = 500
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


def submission_url(url: str, suite: str, *, rest: bool = False) -> str:
    """The address that takes reports, from that of a server, a database or the full one.

    ``http://host:8000`` becomes ``http://host:8000/db_default/v4/SUITE/submitRun``.

    :raises UsageError: it is not an http or https address.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        known = False
    if not known or not re.fullmatch(r"[!-~]+", url):
        raise UsageError(f"{url!a} is not the address of an LNT server: give http://HOST[:PORT], in ASCII")
    path = parts.path.rstrip("/")
    if not path.endswith(("/submitRun", "/runs")):
        database = path.rsplit("/", 1)[-1] if path.rsplit("/", 1)[-1].startswith("db_") else ""
        base = path.removesuffix(f"/{database}") if database else path
        if "/v4/" in path:
            raise UsageError(f"{url!r}: give the server's address, or the one that ends in /submitRun")
        database = database or "db_default"
        name = urllib.parse.quote(suite, safe="")
        path = f"{base}/api/{database}/v4/{name}/runs" if rest else f"{base}/{database}/v4/{name}/submitRun"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def submit(
    path: str | os.PathLike[str],
    url: str,
    *,
    suite: str = "compile",
    merge: str = "reject",
    token: str | None = None,
    attempts: int = ATTEMPTS,
    pause: Callable[[float], object] = time.sleep,
    tell: Callable[[str], object] | None = None,
) -> str:
    """Send the report in ``path``; the file stays whatever happens.

    A server that can't be reached or is overloaded is asked again, after 1, 2, 4 ... seconds.

    :param tell: called with a line before each pause: why, and when it is tried again.
    :returns: one line about the run that was made.
    :raises UsageError: the address or the policy makes no sense.
    :raises ReportFailed: the server refused, in its own words, or could not be reached.
    """
    if merge not in MERGE_POLICIES:
        raise UsageError(f"there is no merge policy {merge!r}: choose one of {', '.join(MERGE_POLICIES)}")
    try:
        report = json.loads(read_file(path))
    except (OSError, ValueError) as error:
        raise ReportFailed(f"can't read the LNT report {os.fspath(path)}: {error}") from None
    content = json.dumps(report, separators=(",", ":"))  # without the file's indentation
    request = _request(submission_url(url, suite, rest=token is not None), content, merge, token)
    kept = f"the report is kept in {os.fspath(path)}, send it again by `ptreetime lnt submit {os.fspath(path)} {url}`"
    for attempt in range(1, attempts + 1):
        try:
            return _answer(request)
        except _Refused as refused:  # noqa: PERF203 - a loop of attempts, each of which may fail
            raise ReportFailed(f"{request.full_url} refused the report: {refused}; {kept}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = shown(str(getattr(error, "reason", "") or error))
            if attempt == attempts:
                raise ReportFailed(
                    f"{request.full_url} did not take the report, asked {attempts} times: {reason}; {kept}"
                ) from None
            seconds = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            if tell is not None:
                tell(f"{request.full_url}: {reason}: attempt {attempt + 1} of {attempts} in {seconds:g} s")
            pause(seconds)
    raise AssertionError("the last attempt returns or raises")


class _Refused(Exception):
    """The server has understood the report and does not want it."""


def _request(url: str, content: str, merge: str, token: str | None) -> urllib.request.Request:
    if token is not None:
        separator = "&" if urllib.parse.urlsplit(url).query else "?"
        headers = {"AuthToken": token, "Content-Type": "application/json"}
        return urllib.request.Request(  # noqa: S310 - submission_url lets nothing but http and https through
            f"{url}{separator}merge={merge}", data=content.encode(), headers=headers, method="POST"
        )
    body, content_type = _form({"input_data": content, "commit": "1", "merge": merge})
    headers = {"Accept": "application/json", "Content-Type": content_type}
    return urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - as above


def _form(fields: dict[str, str]) -> tuple[bytes, str]:
    """A multipart form and its content type: URL encoding doubles JSON, and LNT 0.4.20 fails on files."""
    boundary = f"ptreetime-{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return f"{''.join(parts)}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """LNT answers a success of its REST interface by 301 to the new run: followed, it would be read, not sent."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(request: urllib.request.Request) -> str:
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return _verdict(response.read(MAX_ANSWER_BYTES), request)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(MAX_ANSWER_BYTES)
            location = error.headers.get("Location") or ""
        if 300 <= error.code < 400 and request.has_header("Authtoken") and "/runs/" in location:
            return f"LNT run {urllib.parse.urljoin(request.full_url, location)}"
        words = _words(body)
        if error.code in _TRANSIENT and not _is_verdict(body):
            raise OSError(f"{error.code} {error.reason}: {words}") from None
        raise _Refused(f"{error.code} {error.reason}: {words}") from None


def _verdict(body: bytes, request: urllib.request.Request) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        raise _Refused(f"it answered with something that is not JSON: {_words(body)}") from None
    if not isinstance(answer, dict) or not answer.get("success", "run_id" in answer):
        raise _Refused(_words(body))
    where = answer.get("result_url") or f"number {answer.get('run_id')}"
    return f"LNT run {shown(urllib.parse.urljoin(request.full_url, str(where)))}"


def _is_verdict(body: bytes) -> bool:
    """Whether an error's body is LNT's own answer to the report, which would be the same a second time."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "error" in answer


def _words(body: bytes) -> str:
    """The reason in ``body``: LNT's own ``error`` and ``message``, else its text without markup."""
    text = body.decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        return clip(shown(_without_markup(text)), WORDS_SHOWN) or "no reason given"
    if isinstance(answer, dict):
        reasons = [str(answer[name]).strip() for name in ("error", "msg", "message") if answer.get(name)]
        lines = [reason.splitlines()[-1] if "Traceback" in reason else reason for reason in reasons]
        if lines:
            return clip(shown(": ".join(dict.fromkeys(lines))), WORDS_SHOWN)
    return clip(shown(text), WORDS_SHOWN)


def _without_markup(text: str) -> str:
    from html.parser import HTMLParser

    words: list[str] = []
    hidden = 0

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            nonlocal hidden
            hidden += tag in ("script", "style", "head")

        def handle_endtag(self, tag: str) -> None:
            nonlocal hidden
            hidden -= tag in ("script", "style", "head") and hidden > 0

        def handle_data(self, data: str) -> None:
            if not hidden:
                words.extend(data.split())

    Reader().feed(text)
    return " ".join(words)
