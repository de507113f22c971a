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
from collections.abc import Callable
from typing import Any
from urllib import parse, request

from pytest_ptreetime.errors import ReportFailed, UsageError
from pytest_ptreetime.reports.lnt import SUITES
from pytest_ptreetime.system.regular_file import read_file
from pytest_ptreetime.system.untrusted_text import clip, shown

__all__ = ["MERGE_POLICIES", "submission_url", "submit"]

MERGE_POLICIES = ("reject", "replace", "append")
ATTEMPTS = 5
TIMEOUT_SECONDS = 120.0
MAX_ANSWER_BYTES = 1 << 28  # LNT's answer to a success lists every test, and can be larger than the report
PAGE_BYTES_READ = 20_000
WORDS_SHOWN = 500
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_MARKUP = re.compile(r"<(head|script|style)\b.*?</\1\s*>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


def submission_url(url: str, suite: str, *, rest: bool = False) -> str:
    """The address that takes reports, from that of a server, a database or the full one.

    ``http://host:8000`` becomes ``http://host:8000/db_default/v4/SUITE/submitRun``.

    :raises UsageError: it is not an http or https address.
    """
    try:
        parts = parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is not a number
        known = False
    if not known or not re.fullmatch(r"[!-~]+", url):
        raise UsageError(f"{url!a} is not the address of an LNT server: give http://HOST[:PORT], in ASCII")
    path = parts.path.rstrip("/")
    if not path.endswith(("/submitRun", "/runs")):
        if "/v4/" in path:
            raise UsageError(f"{url!r}: give the server's address, or the one that ends in /submitRun")
        base, _, database = path.rpartition("/")
        if not database.startswith("db_"):
            base, database = path, "db_default"
        place = f"{database}/v4/{parse.quote(suite, safe='')}"
        path = f"{base}/api/{place}/runs" if rest else f"{base}/{place}/submitRun"
    return parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


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
        content = json.dumps(json.loads(read_file(path)), separators=(",", ":"))  # without the file's indentation
    except (OSError, ValueError) as error:
        raise ReportFailed(f"can't read the LNT report {os.fspath(path)}: {error}") from None
    asked = _request(submission_url(url, suite, rest=token is not None), content, merge, token)
    kept = f"the report is kept in {os.fspath(path)}, send it again by `ptreetime lnt submit {os.fspath(path)} {url}`"
    for attempt in range(1, attempts + 1):
        try:
            return _sent(asked)
        except ReportFailed as error:
            raise ReportFailed(
                f"{asked.full_url} refused the report: {error}; {_missing_suite(str(error))}{kept}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = shown(str(getattr(error, "reason", "") or error))
        seconds = 2.0 ** (attempt - 1)
        if attempt < attempts:
            if tell is not None:
                tell(f"{asked.full_url}: {reason}: attempt {attempt + 1} of {attempts} in {seconds:g} s")
            pause(seconds)
    raise ReportFailed(f"{asked.full_url} did not take the report, asked {attempts} times: {reason}; {kept}")


def _missing_suite(reason: str) -> str:
    """What to do where the server lacks the suite: a new instance of LNT 0.4.20 has no ``compile``."""
    suite = re.search(r"(?i)unknown test ?suite '?([\w.-]+)", reason)
    if suite is None or suite[1] not in SUITES:
        return ""
    name = suite[1]
    return (
        f"the server needs the suite's schema: `ptreetime lnt schema --suite {name} > {name}.yaml`, put that file into "
        "the directory schemas of the server's instance, and start the server again; "
    )


def _request(url: str, content: str, merge: str, token: str | None) -> request.Request:
    if token is not None:
        url += f"{'&' if parse.urlsplit(url).query else '?'}merge={merge}"
        body, headers = content, {"AuthToken": token, "Content-Type": "application/json"}
    else:  # a multipart form: URL encoding doubles JSON, and LNT 0.4.20 fails on files
        boundary = f"ptreetime-{secrets.token_hex(16)}"
        fields = {"input_data": content, "commit": "1", "merge": merge}
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        body = "".join(f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()) + f"--{boundary}--\r\n"
        headers = {"Accept": "application/json", "Content-Type": f"multipart/form-data; boundary={boundary}"}
    return request.Request(url, body.encode(), headers, method="POST")  # noqa: S310 - submission_url: http or https


class _AnyStatus(request.HTTPErrorProcessor):
    """Every answer is an answer: LNT's REST interface answers a success by 301 to the new run, not to be followed."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


def _sent(asked: request.Request) -> str:
    """Send the report; gives the line about the run.

    :raises ReportFailed: the server has understood it and does not want it.
    :raises OSError: the same may go well a second time.
    """
    with request.build_opener(_AnyStatus).open(asked, timeout=TIMEOUT_SECONDS) as response:
        status, reason, place = response.status, response.reason, response.headers.get("Location") or ""
        body = response.read(MAX_ANSWER_BYTES)
    answer = _answer(body)
    succeeded = 200 <= status < 300 and answer.get("success", "run_id" in answer)
    if succeeded or (300 <= status < 400 and asked.has_header("Authtoken") and "/runs/" in place):
        place = str(answer.get("result_url") or f"number {answer.get('run_id')}") if succeeded else place
        return f"LNT run {shown(parse.urljoin(asked.full_url, place))}"
    words = _words(answer, body)
    if 200 <= status < 300:
        raise ReportFailed(words if answer else f"it answered with something that is not JSON: {words}")
    if status in _TRANSIENT and "error" not in answer:  # LNT's own answer would be the same a second time
        raise OSError(f"{status} {reason}: {words}")
    raise ReportFailed(f"{status} {reason}: {words}")


def _answer(body: bytes) -> dict[str, Any]:
    """The server's answer as a JSON object; empty where it is something else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _words(answer: dict[str, Any], body: bytes) -> str:
    """The reason: LNT's own ``error`` and ``message``, else the beginning of the body's text, without markup."""
    reasons = [str(answer[name]).strip() for name in ("error", "msg", "message") if answer.get(name)]
    lines = [reason.splitlines()[-1] if "Traceback" in reason else reason for reason in reasons]
    page = _MARKUP.sub(" ", body[:PAGE_BYTES_READ].decode(errors="replace"))
    return clip(shown(": ".join(dict.fromkeys(lines)) or " ".join(page.split())), WORDS_SHOWN) or "no reason given"
