r"""What a secret looks like in a command line: the default of redactor.py.

Every rule is a regular expression that is tried at a telling word and goes on from there without looking back over the
text, so that the time grows with the length of an argument and no faster. A rule hides rather too much than too little,
but nothing of a compiler's usual options: ``-pthread``, ``-fpass-plugin=x.so``, ``-DMAX_TOKEN=100``,
``--token-table`` and ``--password-file=x`` stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["Span", "argument_spans", "hides_the_next", "is_telling", "tool_spans"]

Span = tuple[int, int]

# One of these is in every argument in which a rule can find something (the letters in lower case).
_TELLING = (
    *("pass", "pwd", "token", "secret", "key", "auth", "credential", "cookie", "bearer", "://"),
    *("akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "eyj", "npm_", "hf_"),
    *("sk-", "aiza", "mysql", "mariadb", "curl", "7z", "zip", "ldap", "docker", "podman", "openssl"),
)

# The end of a name that says that its value is secret. Those of the second kind begin a word of the name: no "yytoken".
_NAME_END = r"""
    (?: pass(?:word|wd|phrase|code) | secret | mysql_pwd
      | (?<![A-Za-z]) (?: db | user | http | ftp | proxy | smtp | store | srcstore | deststore | key )[_-]?pass
      | (?<![\w-])--?pass
      | (?: (?<![A-Za-z]) | (?-i: (?<=[a-z0-9]) (?=[A-Z]) | (?<=[A-Z]) (?=TOKEN) ) )
        (?: token | credentials? | auth_?token | apikey
          | (?: api | access | private | account | license | encryption | master | deploy )[_.-]?key ) )
    \d{0,3} (?![\w-])
"""
_ASSIGNED = re.compile(
    _NAME_END + r"""(?: ["']?[ \t]{0,4}=[ \t]{0,4} | "[ \t]{0,4}:[ \t]{0,4} | (?<=[de]):[ \t]{1,4} )""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED_OPTION = re.compile(_NAME_END + r"[ \t]{1,8}(?!-)", re.VERBOSE | re.IGNORECASE)
_OPTION_ALONE = re.compile(r"(?!-[DU])--?[A-Za-z][\w.-]*")
_NAME_AT_END = re.compile(_NAME_END + r"\Z", re.VERBOSE | re.IGNORECASE)
_LIKE_AN_OPTION = re.compile(r"--?[A-Za-z][\w-]*(?:=.*)?", re.DOTALL)

# -DMAX_TOKEN=100 and -DUSE_SECRET=ON are configuration.
_DEFINITION = re.compile(r"-D\s*[\w.:-]*=(?:\d{1,5}|on|off|true|false|yes|no)?", re.IGNORECASE)
LONGEST_OPTION = 100
_BEFORE_A_NAME = re.compile(r"[\w.:/@+-]*")

_HEADER = re.compile(
    r"""(?<![\w-]) (?: (?:proxy-)?authorization | x-(?:[a-z]{1,20}-){0,3}(?:token|key|secret|auth) | private-token
      | job-token | (?:set-)?cookie ) ["']? [ \t]{0,4} [:=] [ \t]{0,4}["']?""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER_VALUE = re.compile(r"""[^"'\n]+""")

# Rules whose group is the secret, whatever is around them.
_FORMS = tuple(
    re.compile(pattern, re.VERBOSE)
    for pattern in (
        r"""://[^\s/'":@]*:([^\s/'"]+)@""",
        r"""(?<=http)s?://([^\s/'":@]{20,})@""",
        r"""(?i:(?<![\w])bearer)[ \t]{1,4}([\w.~+/=-]{6,})""",
        r"""(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{12,})""",
        r"""(?<![A-Za-z0-9])((?:gh[pousr]_|github_pat_|glpat-|npm_|hf_)[A-Za-z0-9_-]{16,})""",
        r"""(?<![A-Za-z0-9])(xox[abeprs]-[A-Za-z0-9-]{10,})""",
        r"""(?<![\w-])(sk-[A-Za-z0-9_-]{20,})""",
        r"""(?<![A-Za-z0-9])(AIza[\w-]{30,})""",
        r"""(?<![A-Za-z0-9])(eyJ[\w-]{8,500}\.[\w-]{8,}(?:\.[\w-]*)?)""",
        r"""-----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----([^-]*)""",
    )
)

# The rest of a word as a shell reads it, quotation included; a quotation that does not end goes to the end.
_SHELL_WORD = re.compile(r"""(?:'[^']*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\\.|[^\s'"\\;&|<>()])+""", re.DOTALL)

# Programs with options for secrets whose names don't say so: program, option, whether its value is the next argument
# where it is not in the same one.
_TOOLS = (
    (r"mysql\w*|mariadb[\w-]*", r"-p", False),
    (r"7z[arz]?", r"-p", False),
    (r"sshpass", r"-p", True),
    (r"(?:un)?zip", r"-P", True),
    (r"ldap\w+", r"-w", True),
    (r"docker|podman", r"-p", True),
    (r"openssl", r"-pass(?:in|out)?", True),
    (r"curl", r"-u|-U|--user=?|--proxy-user=?", True),
)
_TOOL_NAMES = re.compile("|".join(f"(?:{program})" for program, _, _ in _TOOLS))
_IN_ARGUMENTS = [(re.compile(program), re.compile(option), follows) for program, option, follows in _TOOLS]
# In a text, within 300 characters after the program's name.
_IN_TEXT = [
    (
        re.compile(
            rf"(?<![\w-])(?:{program})(?=[ \t])[^;|&\n]{{0,300}}?[ \t](?:{option})" + ("[ \\t]{0,4}" if follows else "")
        ),
        program,
    )
    for program, option, follows in _TOOLS
    if program != "docker|podman"
] + [(re.compile(r"(?<![\w-])(?:docker|podman)[ \t]+login[ \t][^;|&\n]{0,300}?[ \t]?-p[ \t]{0,4}"), "docker")]


def is_telling(argument: str) -> bool:
    """Whether an argument may have a secret, or say that the next one has: few do, and the rest need no closer look."""
    lowered = argument.lower()
    return any(word in lowered for word in _TELLING)


def argument_spans(argument: str, *, script: bool) -> list[Span]:
    """Where secrets are in one argument.

    :param script: it is the text of a shell command, or a line of a message: then a value ends with its word.
    """
    if not is_telling(argument):
        return []
    return [*_assigned(argument, script), *_headers(argument, script), *_by_form(argument), *_in_text(argument, script)]


def hides_the_next(option: str, value: str) -> bool:
    """Whether ``option`` says that the argument after it is secret. What looks like an option itself is not one."""
    if option[:1] != "-" or not _OPTION_ALONE.fullmatch(option) or _LIKE_AN_OPTION.fullmatch(value):
        return False
    return _NAME_AT_END.search(option) is not None


def tool_spans(args: Sequence[str]) -> Iterator[tuple[int, list[Span]]]:
    """The secrets in the options of programs that are known to take one: the argument's place, and where in it."""
    program = args[0].rpartition("/")[2] if args else ""
    if not _TOOL_NAMES.fullmatch(program) or (program in ("docker", "podman") and "login" not in args):
        return
    for name, option, follows in _IN_ARGUMENTS:
        if not name.fullmatch(program):
            continue
        for place, word in enumerate(args):
            match = option.match(word) if place else None
            if match is None or (match.end() < len(word) and word.startswith("--") and not match.group().endswith("=")):
                continue
            if match.end() < len(word):
                yield place, [_after_user(program, word, match.end(), len(word))]
            elif follows and place + 1 < len(args):
                yield place + 1, [_after_user(program, args[place + 1], 0, len(args[place + 1]))]


def _after_user(program: str, text: str, begin: int, end: int) -> Span:
    """``user:password`` of curl: the user may be seen."""
    colon = text.find(":", begin, end) if program == "curl" else -1
    return (begin if colon < 0 else colon + 1), end


def _assigned(argument: str, script: bool) -> Iterator[Span]:
    done = 0
    for match in _ASSIGNED.finditer(argument):
        if match.start() < done:
            continue  # it is hidden already
        if not script and not done and _BEFORE_A_NAME.fullmatch(argument, 0, match.start()):
            if not _DEFINITION.fullmatch(argument):
                yield match.end(), len(argument)
            return
        word = _SHELL_WORD.match(argument, match.end())
        done = match.end() if word is None else word.end()
        yield match.end(), done


def _headers(argument: str, script: bool) -> Iterator[Span]:
    done = 0
    for match in _HEADER.finditer(argument):
        if match.start() < done:
            continue
        if match.start() == 0 and not script:
            yield match.end(), len(argument)
            return
        value = _HEADER_VALUE.match(argument, match.end())
        done = match.end() if value is None else value.end()
        yield match.end(), done


def _by_form(argument: str) -> Iterator[Span]:
    for rule in _FORMS:
        for match in rule.finditer(argument):
            yield match.span(1)


def _in_text(argument: str, script: bool) -> Iterator[Span]:
    """Options and their values that stand in one text: ``sh -c 'deploy --token x'``."""
    if not script and " " not in argument:
        return
    done = 0
    for match in _NAMED_OPTION.finditer(argument):
        if match.start() < done:
            continue
        earliest = max(0, match.start() - LONGEST_OPTION)
        begins = max(argument.rfind(before, earliest, match.start()) for before in " \t\n\"'") + 1
        word = _SHELL_WORD.match(argument, match.end()) if argument.startswith("-", begins) else None
        if word is not None:
            done = word.end()
            yield word.span()
    if _TOOL_NAMES.search(argument):
        for rule, program in _IN_TEXT:
            yield from _of_tool(rule, program, argument)


def _of_tool(rule: re.Pattern[str], program: str, argument: str) -> Iterator[Span]:
    done = 0
    for match in rule.finditer(argument):
        word = _SHELL_WORD.match(argument, match.end()) if match.start() >= done else None
        if word is not None:
            done = word.end()
            yield _after_user(program, argument, *word.span())
