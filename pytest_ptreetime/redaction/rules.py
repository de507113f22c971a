r"""Where secrets are in a command line: the default of redactor.py.

A secret follows a name that says so (names.py), has the form of one (tokens.py), or is an option's of a program that is
known to take one. Nothing of a compiler's usual options is hidden: ``-pthread``, ``-fpass-plugin=x.so``,
``-DMAX_TOKEN=100``, ``--token-table`` and ``--password-file=x`` stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter

from pytest_ptreetime.redaction.names import HINT, LIKE_A_PASSWORD, LONGEST_NAME, Name, is_harmless, read_name
from pytest_ptreetime.redaction.tokens import SHORTEST_TOKEN, Span, form_spans, token_spans

__all__ = ["argument_spans", "command_spans", "is_telling"]

# One of these is in every argument in which a rule can find something but a token (the letters in lower case), or the
# name of one of the programs below.
_TELLING = re.compile(
    r"""pass|pw|ps[wk]|pin(?![a-z])|token|secret|key|auth|cred|cookie|session|bearer|jwt|login|unlock|otp|pat=|[_-]pat|sk=|sig=
    |phrase|mnemonic|salt(?![a-z])|seed(?![a-z])|webhook|api(?![a-z.])|@|://|identified|hooks|upload|user|value|body|secure
    |\ sign\ |\ push\ |\ publish\ |echo\ |printf\ |send\ |<<<|/r?[up]:|\ -[ul]\ |\ /ru\ |\ config\ |\ alias\ """,
    re.VERBOSE,
)
_WORDS = re.compile(r"[A-Za-z0-9][\w-]*")

# A name and what stands between it and its value: = or, in headers, JSON and YAML, a colon; or no more than a space, a
# bracket or a comma, where the value has to look like a password.
_NAMED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]*\w)(?=(?P<between>
      \\*["']?[\]}]? (?: (?::[A-Z]{1,12})? [:?+]?=(?!=\d|~\s|\(["'])(?:>(?=["']))?
        | (?P<apart> [ \t]{1,4} ) [:?+]?=(?!=|~\s)>? [ \t]{0,4} )
      | (?P<quoted> \\*["']? ) [ \t]{0,4} (?P<colon> : ) (?![:=]) (?P<space> [ \t]{0,4} )
      | (?P<loose> \\*["'\])}]? (?: > | (?=[ ,]) [ ]{0,3},?[ ]{0,2} (?:\\*["']?[\w.\[\]]{0,30}value\b\\*["']?[:=][ ]? )?
          | =?\([ ]? (?: \\*["'][^"']{0,60}["'],[ ]? ){0,3} ) \\*["'(]{0,2} ) ))""",
    re.VERBOSE,
)
_BEFORE_A_NAME = re.compile(r"[\w.:/@+-]*")
_TAKES_THE_LINE = re.compile(r"[\w-]*(?:authorization|cookie)", re.IGNORECASE)
_LINE = re.compile(r"""[^"'\n]*""")
_STRUCTURE = re.compile(r"""[\\"']*[{\[]\s*\\*["'][\w.-]+\\*["']\s*:""")

# A word as a shell reads it, quotation included; a quotation that does not end goes to the end.
_QUOTED = r"""(?:\$\([^()]*\)|`[^`]*`|'[^']*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\\.|[^\s'"\\;&|<>()])+"""
_WHOLE_WORD = re.compile(_QUOTED, re.DOTALL)
# The rest of one: a quotation mark that ends it is of a quotation that began before.
_SHELL_WORD = re.compile(
    rf"""(?:\$\([^()]*\)|[^\s'"\\;&|<>()])+(?<![:=,%])(?=["'](?:[\s;&|)]|\Z))|{_QUOTED}""", re.DOTALL
)
_WORD_OR_END = re.compile(r"[^\s;|&()`]+|[;|&()\n`]")
_OPENS_A_VALUE = re.compile(r"""-\w["']["'\\]*""")  # -p'; x'
_QUOTES = "\"'\\"

_OPTION = re.compile(r"(?!-[DIULWl])--?[A-Za-z][\w.-]*")
_LIKE_AN_OPTION = re.compile(r"--?[A-Za-z][\w-]*(?:=.*)?", re.DOTALL)
_A_NAME = re.compile(r"[\w.:/@+-]+")
_SETS_IT = re.compile(r"(?:re)?set[\w-]*(?:password|key|token)")
_SETS = re.compile(r"(?:[\w-]+:|--?)?(?:set|config|configure|modify)")  # `config NAME VALUE`
# What deals with accounts or secrets: what looks like a password after it is one.
_ACCOUNT = re.compile(
    r"[\w:+-]*(?:passw|passphrase|secret|login|unlock|unseal|auth|token|cred|user_?add|add_?user)[\w:-]*|config(?::?set)?|alias|user"
)
# What is asked for with a user, and the user before it.
_OF_A_USER = re.compile(r"--?[\w-]*(?:user|creds|cert|auth|login|proxy)|-[uUEx]")
_BEFORE_A_PASSWORD = re.compile(r"(?:[\w@.\\/-]*[^\w@.\\/-])*")
_SENDS = frozenset(("sign", "push", "publish"))
_NEAR_A_SECRET = re.compile(r"SecureString|/user:")
_SHORT = re.compile(r"-[pPwWaAsSkKX]|-pw|/r?p:?")

# Programs with options for secrets whose names don't say so: with \Z the value is in the next argument, with (?=.) or
# (?!...\Z) in the same, else in either.
_PROGRAMS = {
    name: re.compile(option)
    for names, option in {
        "mysql mysqladmin mysqldump mysqlimport mysqlshow mariadb": r"-p(?=.)(?!thread|ipe|g\Z)|password\Z",
        "7z 7za 7zr 7zz rar": r"-h?p(?=.)(?!thread|ipe|i?e?g\Z)",
        "sshpass useradd usermod vsce ovsx": r"-p",
        "zip unzip sqlcmd bcp": r"-[qrj0-9]*P",
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami": r"-w",
        "ssh-keygen security qpdf": r"(?:-[NpPk]|--encrypt)\Z",
        "redis-cli http https xh hatch": r"-a\Z",
        "openssl osslsigncode": r"-(?:pass(?:in|out)?|[kK]|hmac)\Z",
        "curl etcdctl smbclient lftp": r"-[fsSLkvgiIjJlNnOqRaB#0-9]*[uUb]|--(?:proxy-)?user(?:=|\Z)",
        "dotnet nuget": r"-k\Z",
        "cypress choco": r"--key(?:=|\Z)",
        "mvn": r"-(?:em?p|mp)\Z",
        "uv codecov fly flyctl vercel doctl anaconda": r"-t\Z",
        "cargo vault snyk wandb ngrok rclone": r"(?:login|--relogin|auth|unseal|authtoken|obscure)\Z",
    }.items()
    for name in names.split()
}
# What these take as user:password, user%password or user,password: the user may be seen.
_WITH_A_USER = frozenset(("curl", "etcdctl", "smbclient", "lftp", "http", "https", "xh"))
_USER = re.compile(r"[^:,%=]*[:,%=]")
_LOGS_IN = re.compile(r"login|upload|user")
_USER_OPTION = re.compile(r"-[uU](?!\w*_)|-l\Z|--?user(?:name)?(?:=.*)?\Z|/r?u(?:ser)?\b")
_PASSWORD = re.compile(r"-p")
_PASSWORD_ALONE = re.compile(r"-[pP]\Z")
_ANY_NAME = Name()
_WORD = Name("pass")


def is_telling(argument: str) -> bool:
    """Whether an argument may have a secret, or say that the next one has: few do, and the rest need no closer look."""
    lowered = argument.lower()
    return (
        _TELLING.search(f" {lowered} ") is not None
        or not _PROGRAMS.keys().isdisjoint(_WORDS.findall(lowered))
        or (len(argument) >= SHORTEST_TOKEN and next(token_spans(argument), None) is not None)
    )


def argument_spans(argument: str, *, script: bool, defined: bool = False) -> list[Span]:
    """Where secrets are in one argument.

    :param script: it is the text of a shell command, or a line of a message: then a value ends with its word.
    :param defined: it is a macro's definition, the argument of ``-D``.
    """
    if not is_telling(argument):
        return []
    commands = _in_commands(argument) if script or " " in argument else ()
    return [*_named(argument, script, defined), *token_spans(argument), *form_spans(argument), *commands]


def command_spans(args: Sequence[str], telling: Sequence[bool]) -> Iterator[tuple[int, Span]]:
    """Where secrets are that the arguments before tell: the place of the argument, and where in it.

    :param telling: of each argument, what ``is_telling`` says.
    """
    for place, begin, name in _values(args, telling):
        if not is_harmless(args[place][begin:], name):
            yield place, (begin, len(args[place]))


def _values(args: Sequence[str], telling: Sequence[bool]) -> Iterator[tuple[int, int, Name]]:
    """The place of each value, where in it the secret begins, and what it is called."""
    account = any(_ACCOUNT.fullmatch(_file(word)) for word in args[:4]) or any(map(_NEAR_A_SECRET.match, args))
    for place in range(1, len(args)):
        if not (account or telling[place - 1] or args[place - 1][:1] == "-"):
            continue
        name = _name_before(args, place)
        if name is not None and not name.hint:
            yield place, 0, name
        elif name is not None or account or _OF_A_USER.fullmatch(args[place - 1]):
            yield place, _BEFORE_A_PASSWORD.match(args[place]).end(), HINT  # type: ignore[union-attr]
    # an option -p of whatever program
    logs_in = next((place for place, word in enumerate(args[:4]) if place and _LOGS_IN.fullmatch(word)), 0)
    pairs = zip(args, (*args[1:], ""), strict=True)
    user = any(_USER_OPTION.match(word) and not (len(word) == 2 and ":" in value) for word, value in pairs)
    options = [(logs_in, _PASSWORD if logs_in else _PASSWORD_ALONE, _WORD)] if logs_in or user else []
    if logs_in or user or not _SENDS.isdisjoint(args):
        options.append((logs_in, _SHORT, HINT))
    # those of the programs that are known, which may be run by another one
    names = [(place, _file(word).lower()) for place, word in enumerate(args)]
    options += [(place, _PROGRAMS[name], _ANY_NAME) for place, name in names if name in _PROGRAMS][:2]
    for first, option, kind in options:
        yield from _values_of(args, first, option, kind)


def _name_before(args: Sequence[str], place: int) -> Name | None:
    """The name that says that this argument is secret. What looks like an option itself is not."""
    before = args[place - 1]
    if _LIKE_AN_OPTION.fullmatch(args[place]) or not (_OPTION if before[:1] == "-" else _A_NAME).fullmatch(before):
        return None
    name = read_name(before[-LONGEST_NAME:].rpartition(":")[2])
    if name is None or before[:1] == "-" or _SETS_IT.fullmatch(before):
        return name
    return name if before[:4] != "set-" and any(map(_SETS.fullmatch, args[max(place - 4, 0) : place - 1])) else HINT


def _file(word: str) -> str:
    return word.rpartition("/")[2].removesuffix(".exe")


def _values_of(args: Sequence[str], first: int, option: re.Pattern[str], name: Name) -> Iterator[tuple[int, int, Name]]:
    """The values of an option, or of an action, of the program at the place ``first``."""
    with_a_user = _file(args[first]) in _WITH_A_USER
    for place in range(first + 1, len(args)):
        match = option.match(args[place])
        if match is None or (args[place][:1] not in "-/" and place > first + 4):
            continue
        in_it = match.end() < len(args[place])
        value, begin = (place, match.end()) if in_it else (place + 1, 0)
        if value < len(args) and (in_it or not _LIKE_AN_OPTION.fullmatch(args[value])):
            user = _USER.match(args[value], begin) if with_a_user else None
            if user is not None:
                yield value, user.end(), name
            if user is None or user.end() == len(args[value]):
                yield value, begin, HINT if with_a_user else name


def _named(argument: str, script: bool, defined: bool) -> Iterator[Span]:
    done = 0
    for match in _NAMED.finditer(argument):
        name = read_name(match["name"][-LONGEST_NAME:], defined=defined) if match.start() >= done else None
        if name is None or (match["colon"] and not _is_field(argument, match, name)):
            continue
        begin, end = match.end("between"), len(argument)
        takes_the_line = match["colon"] and _TAKES_THE_LINE.fullmatch(match["name"])
        rule = LIKE_A_PASSWORD if match["loose"] else _LINE if takes_the_line else _SHELL_WORD
        if match["loose"] or script or done or not _BEFORE_A_NAME.fullmatch(argument, 0, match.start()):
            value = rule.match(argument, begin)
            end = begin if value is None else value.end()
        secret = argument[begin:end]
        quote = argument[max(match.start() - 1, 0) : match.start()]
        if (quote in ("'", '"') and match["quoted"] == "" and secret.startswith(quote)) or (
            _STRUCTURE.match(secret) or argument[end : end + 1] == "("
        ):
            continue  # "Password: ", {"name": ...}, f(...)
        if not is_harmless(secret, name) and not (match["apart"] and name.word and secret.isalpha()):
            done = end
            yield begin, end


def _is_field(argument: str, match: re.Match[str], name: Name) -> bool:
    """Whether a colon is one of a header, of JSON or of YAML, and not a compiler's."""
    before = argument[max(0, match.start() - 40) : match.start()].rstrip(" \t-")
    after = argument[match.end("between") : match.end("between") + 1]
    if match["name"][:2] in ("X-", "x-") or _TAKES_THE_LINE.fullmatch(match["name"]):
        return True
    if before[-1:] in ("{", ",") or (before in ("", "/") and argument[:1] in "-/" and after != "/"):
        return before[-2:] != "${"
    begins = before[-1:] in "\n(\"'" or (before[-1] == "=" and not name.word)
    if match["quoted"] or match["space"]:
        return begins
    of_a_task = match["name"].lower() in ("secret", "secrets", "credentials")  # rails credentials:edit
    stands_alone = begins or argument[match.start() - 1].isspace()
    return stands_alone and not name.word and not of_a_task and after not in ("", *_QUOTES)


def _in_commands(text: str) -> Iterator[Span]:
    """The text as commands, each cut into words: quoted ones too, for what is quoted may be a command."""
    done = 0
    words: list[str] = []
    places: list[int] = []
    for match in _WORD_OR_END.finditer(text + "\n"):
        word = match[0]
        if word not in ";|&()\n`":
            words.append(word if _OPENS_A_VALUE.fullmatch(word) else word.strip(_QUOTES))
            places.append(match.start())
            continue
        for place, begin, name in (
            sorted(_values(words, [True] * len(words)), key=itemgetter(0)) if len(words) > 1 else ()
        ):
            at = places[place]
            rule = _WHOLE_WORD if _OPENS_A_VALUE.fullmatch(words[place]) else _SHELL_WORD
            value = rule.match(text, at) if at >= done else None
            if value is not None:
                begin += at + value[0].find(words[place]) if begin else at
                if not is_harmless(text[begin : value.end()], name):
                    done = value.end()
                    yield begin, done
        words, places = [], []
