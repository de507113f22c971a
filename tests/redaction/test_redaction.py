from __future__ import annotations

import json
import os
import shlex
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulated_processes import Simulation

from pytest_ptreetime.errors import CommandFailed
from pytest_ptreetime.recording.events import Exec, UserStartup
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.redaction.names import Name, is_harmless
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.rounds import measure
from pytest_ptreetime.session.run import record
from pytest_ptreetime.tracers.ptrace import PtraceTracer

# Every way in which the default finds a secret in an argument list.
IN_ARGUMENTS: dict[str, Callable[[str], list[str]]] = {
    "option=value": lambda secret: ["deploy", f"--password={secret}"],
    "option value": lambda secret: ["deploy", "--token", secret, "--verbose"],
    "longer option": lambda secret: ["deploy", "--github-api-token", secret],
    "single dash": lambda secret: ["keytool", "-storepass", secret],
    "key": lambda secret: ["deploy", f"--api-key={secret}"],
    "variable": lambda secret: ["make", f"DEPLOY_TOKEN={secret}", "all"],
    "env": lambda secret: ["env", f"PGPASSWORD={secret}", "psql"],
    "camel case": lambda secret: ["npm", "publish", f"--//registry/:_authToken={secret}"],
    "definition": lambda secret: ["cc", f"-DCLIENT_SECRET={secret}", "-c", "a.c"],
    "definition of a key": lambda secret: ["cmake", f"-DAPI_KEY={secret}", "."],
    "definition with a type": lambda secret: ["cmake", f"-DSIGN_PASSWORD:STRING={secret}", "."],
    "property": lambda secret: ["sonar-scanner", f"-Dsonar.login={secret}"],
    "key base": lambda secret: ["env", f"SECRET_KEY_BASE={secret}", "make"],
    "header": lambda secret: ["curl", "-H", f"Authorization: Bearer {secret}", "http://localhost"],
    "another header": lambda secret: ["curl", "-H", f"PRIVATE-TOKEN: {secret}"],
    "url": lambda secret: ["git", "clone", f"https://me:{quote(secret, safe='')}@example.org/r.git"],
    "user": lambda secret: ["curl", "-u", f"me:{secret}", "http://localhost"],
    "attached user": lambda secret: ["/usr/bin/curl", f"--user=me:{secret}"],
    "mysql": lambda secret: ["mysql", "-u", "root", f"-p{secret}", "db"],
    "sshpass": lambda secret: ["sshpass", "-p", secret, "ssh", "host"],
    "docker": lambda secret: ["docker", "login", "-u", "me", "-p", secret],
    "openssl": lambda secret: ["openssl", "enc", "-pass", f"pass:{secret}", "-in", "f"],
    "json": lambda secret: ["curl", "-d", json.dumps({"user": "me", "password": secret})],
    "aws": lambda _: ["aws", "configure", "set", "AKIAIOSFODNN7EXAMPLE"],
}
IN_A_SHELL: dict[str, Callable[[str], str]] = {
    "option=value": lambda secret: f"cd x && deploy --password={shlex.quote(secret)} y; ls",
    "option value": lambda secret: f"deploy --token {shlex.quote(secret)} --verbose",
    "variable": lambda secret: f"DEPLOY_TOKEN={shlex.quote(secret)} make all",
    "export": lambda secret: f"export API_KEY={shlex.quote(secret)}; make",
    "mysql": lambda secret: f"mysql -u root -p{shlex.quote(secret)} db",
    "sshpass": lambda secret: f"sshpass -p {shlex.quote(secret)} ssh host",
    "user": lambda secret: f"curl -s -u me:{shlex.quote(secret)} http://localhost",
    "url": lambda secret: f"git clone https://me:{quote(secret, safe='')}@example.org/r.git",
}
ANY_NAME = Name("token")


def may_be_secret(text: str) -> bool:
    """What looks like an option, a reference or a path is not hidden, nor is what it begins with in a list."""
    return not text.startswith(("-", "=")) and not is_harmless(text, ANY_NAME)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=8, max_size=40).filter(may_be_secret)


def seen(words: list[str], secret: str) -> bool:
    return any(form in word for word in words for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]))


@pytest.mark.promise("secrets-hidden")
@pytest.mark.parametrize("form", IN_ARGUMENTS)
@settings(max_examples=25)
@given(secret=SECRETS)
def test_secret_in_an_argument_is_not_in_what_is_left(form: str, secret: str) -> None:
    assume(not seen(IN_ARGUMENTS[form](""), secret))
    args = IN_ARGUMENTS[form](secret)
    assert not seen(Redactor().arguments(args), secret)
    simulation = Simulation().start().create(1001).exec(1001, *map(os.fsencode, args), cwd=b"/b")
    simulation.events.append(UserStartup(1, 1001, 1, 0, 0, b"/bin/x", [os.fsencode(word) for word in args], b"/b"))
    for event in Redactor().events(simulation.events):
        if isinstance(event, (Exec, UserStartup)):
            assert not seen([os.fsdecode(word) for word in event.args or []], secret)


@pytest.mark.promise("secrets-hidden")
@pytest.mark.parametrize("form", IN_A_SHELL)
@settings(max_examples=25)
@given(secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=40))
def test_secret_in_a_shell_command_or_a_message_is_not_in_what_is_left(form: str, secret: str) -> None:
    script = IN_A_SHELL[form](secret)
    assume(may_be_secret(secret) and not seen([IN_A_SHELL[form]("")], secret))
    assume("'" not in secret)  # quoted, it is not in the script as it is
    assert not seen(Redactor().arguments(["/bin/sh", "-c", script]), secret)
    assert not seen([Redactor().text(f"+ {script}")], secret)


ORDINARY = shlex.split("""
-pthread -pipe -pg -p -fpass-plugin=plugin.so -Rpass=inline -Rpass-missed=.* -DMAX_TOKEN=100 -DUSE_SECRET -DNO_TOKEN=1
-DYYTOKENTYPE=int --token-table --password-file=/etc/x --key=value -o token.o src/password.c lib/secrets.h PWD=/b/src
-Iinclude/auth -L/usr/lib/keyutils -lsecret-1 -Wl,-z,now --param=max-inline=3 -mllvm -debug-pass=Structure
https://example.org/token https://me@example.org/r.git ssh://git@host/r.git http://localhost:8080/a@b -C metadata=abc123
--cfg feature=tokens -Xlinker --sort-section=name monkey=3 keyboard=us OLDPWD=/x compass=north bypass=1 -fno-tokens a=b
--sysroot=/x -MD -MF .deps/auth.d -std=gnu11 --depfile=x.d ./tokenize.py --input-tokens=5 7za gzip unzip docker
""")


@pytest.mark.promise("secrets-hidden")
def test_ordinary_arguments_stay_as_they_are() -> None:
    assert Redactor().arguments(["cc", *ORDINARY]) == ["cc", *ORDINARY]
    for word in ORDINARY:
        assert Redactor().arguments(["cc", word, "a.c"]) == ["cc", word, "a.c"]
    assert Redactor().arguments(["docker", "run", "-p", "80:80", "image"])[3] == "80:80"
    text = "a.c:1:2: error: expected ';' before token: x\npasswords.c: In function 'token':\nmake: *** [all] Error 2"
    assert Redactor().text(text) == text


def test_value_that_was_hidden_is_hidden_wherever_else_it_stands() -> None:
    simulation = Simulation().start(args=(b"deploy", b"s3cretValue"))
    simulation.run(1001, b"login", b"--password=s3cretValue").run(1002, b"echo", b"xs3cretValuex", b"word")
    redactor = Redactor()
    execs = [event for event in redactor.events(simulation.end()) if isinstance(event, Exec)]
    assert [event.args for event in execs] == [
        [b"deploy", b"***"],
        [b"login", b"--password=***"],
        [b"echo", b"x***x", b"word"],
    ]
    assert redactor.text("the server says s3cretValue") == "the server says ***"


def test_words_of_the_language_are_hidden_only_where_they_are_secret() -> None:
    assert Redactor().arguments(["x", "--password=password", "password.c"]) == ["x", "--password=***", "password.c"]


def test_patterns_of_the_user_hide_their_groups_or_all_and_see_the_next_argument() -> None:
    assert Redactor(["--pin=(.*)"]).arguments(["x", "--pin=12", "--pinned"]) == ["x", "--pin=***", "--pinned"]
    assert Redactor([r"corp\.example"]).arguments(["x", "http://corp.example/a"]) == ["x", "http://***/a"]
    assert Redactor([r"^-k\s(.*)$"]).arguments(["x", "-k", "my key", "-k2", "z"]) == ["x", "-k", "***", "-k2", "z"]
    assert Redactor([r"b\sc"]).arguments(["ab", "cd"]) == ["a***", "***d"]
    assert Redactor(["a"]).arguments(["--token=b", "a"]) == ["--token=***", "***"]  # besides the default


@pytest.mark.parametrize("nothing", ["", "off"])
def test_empty_pattern_takes_the_default_away(nothing: str) -> None:
    assert Redactor([nothing]).arguments(["x", "--token=b"]) == ["x", "--token=b"]
    assert Redactor([nothing, "b"]).arguments(["x", "--token=b"]) == ["x", "--token=***"]
    events = Simulation().start(args=(b"x", b"--token=b")).end()
    assert Redactor([nothing]).events(events) == events


def test_bytes_that_are_no_unicode_stay() -> None:
    args = [b"\xff\xfe", b"--token=\xff", b"\x80token"]
    (event,) = [e for e in Redactor().events(Simulation().start(args=args).end()) if isinstance(e, Exec)]
    assert event.args == [b"\xff\xfe", b"--token=***", b"\x80token"]


@pytest.mark.parametrize(
    "word",
    """token= 'token= -eyJaaaaaaaa mysql_ ://a: --token_x authorization: curl_-u_ -u_a_-p_b_ a.b- aB1- $( p=$(a echo_a|
    x-a:_ SG.aaaaaaaaaaaaaaaaaaaa. token:_ a-live- ` {{ [?& \\ " ' = -----BEGIN_PRIVATE_KEY-----""".split(),  # noqa: SIM905
)
def test_default_takes_time_that_grows_with_an_argument_and_no_faster(word: str) -> None:
    assert_linear(lambda count: f"a b {word.replace('_', ' ') * count}")


@pytest.mark.parametrize("end", ["", "/", " ", "=", "."])
@pytest.mark.parametrize("word", ["aB1cD2eF3g", "aB1-", "a1_", "key_0", "ghp_a"])
def test_default_takes_time_that_grows_with_a_word_and_no_faster(word: str, end: str) -> None:
    assert_linear(lambda count: word * count + end)


def assert_linear(argument: Callable[[int], str]) -> None:
    def cost(count: int) -> float:
        begin = time.process_time()
        Redactor()._argument(argument(count), script=True)
        return time.process_time() - begin

    assert min(cost(8000) for _ in range(3)) < 40 * max(min(cost(1000) for _ in range(3)), 1e-3)


# Nothing that is written has it

SECRET = "Zx9qWvB7Kp3m"

TESTS = """
import sys
import pytest

LINES = {lines!r}

def build(ptreetime, **more):
    script = "import subprocess, sys\\nfor line in " + repr(LINES) + ": subprocess.run(line, executable={true!r})"
    return ptreetime([sys.executable, "-c", script, "--password={secret}"], **more)

def test_build(ptreetime):
    tree = build(ptreetime)
    assert len(tree) == len(LINES) + 1, tree

def test_that_fails(ptreetime):
    ptreetime(["/bin/sh", "-c", "echo curl -H 'Authorization: Bearer {secret}'; exit 3", "--token", "{secret}"])

def test_that_takes_too_long(ptreetime):
    ptreetime(["/bin/sh", "-c", "sleep 100; exit", "--token={secret}"], timeout=0.2)
"""


def bytes_of(directory: Path) -> dict[Path, bytes]:
    """Every file below, recordings unpacked."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_file():
            found[path] = path.read_bytes()
            if path.suffix == ".ptreetime":
                recording = Recording.load(path)
                found[path] += msgspec.json.encode([repr(recording.events), recording.command])
            elif b"\x1f\x8b" in found[path]:
                found[path] += zlib.decompress(found[path], 31)
    return found


@pytest.mark.promise("secrets-hidden")
def test_secret_in_a_build_is_in_no_byte_of_anything_that_a_session_writes(pytester: pytest.Pytester) -> None:
    lines = [form(SECRET) for name, form in IN_ARGUMENTS.items() if name != "aws"]
    lines += [["/bin/sh", "-c", form(SECRET)] for form in IN_A_SHELL.values()]
    test = pytester.makepyfile(test_it=TESTS.format(lines=lines, true="/bin/true", secret=SECRET))
    reports = [
        "json:r.json",
        "html:r.html",
        "chrome-trace:r.trace",
        "markdown:r.md",
        "openmetrics:r.om",
        "folded:r.folded",
    ]
    flags = [f"--ptreetime-report={report}" for report in reports]
    flags += ["--ptreetime-save-baseline=store", "--ptreetime-record-dir=recordings", "--ptreetime-lnt-report=lnt.json"]
    flags += [
        "--ptreetime-tracer=ptrace",
        "--ptreetime-rounds=2",
        "--ptreetime-warmup=0",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    done = pytester.runpytest_subprocess(*flags)
    done.assert_outcomes(passed=1, failed=2)
    test.unlink()  # the secret's own place
    for path in pytester.path.rglob("__pycache__/*"):
        path.unlink()
    shown = done.stdout.str() + done.stderr.str()
    assert "Authorization: ***" in shown
    assert "was ended with all its processes" in shown
    # pytest itself shows the source of what failed, and the path to it
    assert SECRET not in "\n".join(line for line in shown.splitlines() if not line.startswith(("test_it.py", "    ")))
    written = bytes_of(pytester.path)
    assert {path.name for path in written} >= {report.partition(":")[2] for report in reports} | {"lnt.json"}
    assert len([path for path in written if path.suffix == ".ptreetime"]) == 2
    assert not [
        path
        for path, content in written.items()
        if SECRET.encode() in content and path.name not in ("stdout", "stderr")
    ]
    assert any(b"***" in content for content in written.values())


def test_record_hides_by_default_and_what_it_is_told(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "exit 0", "--token=abc", "corp"]
    root = record(command, tracer="ptrace", redact=["corp"]).tree().root
    assert root.args == ["/bin/sh", "-c", "exit 0", "--token=***", "***"]
    assert record(command, tracer="ptrace", redact=[""]).command == command


def test_set_up_that_fails_shows_no_secret() -> None:
    with pytest.raises(CommandFailed, match=r"--token=\*\*\*"):
        measure(Build.from_arguments("true", setup=["false", "--token=abc"]), PtraceTracer(), rounds=1, warmup=0)


def test_profile_when_told_hides_what_matches(tmp_path: Path) -> None:
    import subprocess

    command = [sys.executable, "-m", "pytest_ptreetime.cli", "profile", "-o", str(tmp_path / "r"), "--tracer", "ptrace"]
    subprocess.run([*command, "--redact", "corp", "--", "/bin/true", "--token=abc", "corp"], check=True)
    assert Recording.load(tmp_path / "r").command == ["/bin/true", "--token=***", "***"]
    done = subprocess.run([*command, "--redact", "(", "--", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not a regular expression" in done.stderr
