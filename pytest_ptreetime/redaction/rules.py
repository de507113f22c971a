r"""Where secrets are in a command line: the default of redactor.py.

A secret follows a name that says so (names.py), has the form of one (tokens.py), or is an option's of a program that is
known to take one. Nothing of a compiler's usual options is hidden: ``-pthread``, ``-fpass-plugin=x.so``,
``-DMAX_TOKEN=100``, ``--token-table`` and ``--password-file=x`` stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter

from pytest_ptreetime.redaction.names import LONGEST_NAME, Name, is_harmless, read_name
from pytest_ptreetime.redaction.tokens import Span, form_spans, token_spans

__all__ = ["argument_spans", "command_spans", "is_telling"]

# One of these is in every argument in which a rule can find something but a token (the letters in lower case), or the
# name of one of the programs below.
_TELLING = """pass pw token secret key auth cred cookie bearer jwt login otp pat= _pat -pat sig= api :// identified
hooks upload user value body""".split()  # noqa: SIM905
_WORDS = re.compile(r"[A-Za-z0-9][\w-]*")

# A name and what stands between it and its value: = or, in headers, JSON and YAML, a colon.
_NAMED = re.compile(
    r"""(?<![\w.-])([\w.-]*\w)
    (?: (?:["']\])? (?: (?::[A-Z]{1,12})? [:?+]?=(?!=\d|~\s)>? | ([ \t]{1,4}) [:?+]?=(?!=|~\s)>? [ \t]{0,4} )
      | (["']?)[ \t]{0,4}(:)(?![:=]) ([ \t]{0,4}) )""",
    re.VERBOSE,
)
_BEFORE_A_NAME = re.compile(r"[\w.:/@+-]*")
_TAKES_THE_LINE = re.compile(r"[\w-]*(?:authorization|cookie)", re.IGNORECASE)
_LINE = re.compile(r"""[^"'\n]*""")
_SCHEME = re.compile(r"[A-Za-z]+ +")

# A word as a shell reads it, quotation included; a quotation that does not end goes to the end.
_QUOTED = r"""(?:\$\([^()]*\)|`[^`]*`|'[^']*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\\.|[^\s'"\\;&|<>()])+"""
_WHOLE_WORD = re.compile(_QUOTED, re.DOTALL)
# The rest of one: a quotation mark that ends it is of a quotation that began before.
_SHELL_WORD = re.compile(
    rf"""(?:\$\([^()]*\)|[^\s'"\\;&|<>()])+(?<![:=,%])(?=["'](?:[\s;&|)]|\Z))|{_QUOTED}""", re.DOTALL
)
_WORD_OR_END = re.compile(r"[^\s;|&()`]+|[;|&()\n`]")
_OPENS_A_VALUE = re.compile(r"""-\w["']+""")  # -p'; x'
_QUOTES = "\"'\\"

_OPTION = re.compile(r"(?!-[DIULWl])--?[A-Za-z][\w.-]*")
_LIKE_AN_OPTION = re.compile(r"--?[A-Za-z][\w-]*(?:=.*)?", re.DOTALL)
_SETS = re.compile(r"(?:[\w-]+:|--?)?(?:set|config|configure|modify)")  # `config NAME VALUE`
_SETS_IT = re.compile(r"(?:(?:re)?set|add)-?(?=\w{3})")  # `set-token VALUE`

# Programs with options for secrets whose names don't say so: with \Z the value is in the next argument, with (?=.) or
# (?!...\Z) in the same, else in either.
_PROGRAMS = {
    name: re.compile(option)
    for names, option in {
        "mysql mysqldump mysqlimport mysqlshow mariadb mariadb-dump 7z 7za 7zr 7zz rar": r"-h?p(?!thread|ipe|i?e?g?\Z)",
        "mysqladmin": r"-p(?=.)|password\Z",
        "sshpass useradd usermod vsce ovsx": r"-p",
        "zip unzip sqlcmd bcp": r"-[qrj0-9]*P",
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami": r"-w",
        "ssh-keygen security qpdf": r"(?:-[NpPk]|--encrypt)\Z",
        "redis-cli http https xh hatch": r"-a\Z",
        "signtool azuresigntool": r"(?:/p|-kvs)\Z",
        "openssl osslsigncode": r"-(?:pass(?:in|out)?|k|hmac)\Z",
        "curl etcdctl smbclient lftp": r"-[fsSLkvgiIjJlNnOqRaB#0-9]*[uUb]|--(?:proxy-)?user(?:=|\Z)",
        "dotnet nuget": r"-k\Z",
        "gem cypress choco": r"--key(?:=|\Z)",
        "mvn": r"-e?mp\Z",
        "uv codecov fly flyctl vercel doctl anaconda": r"-t\Z",
        "cargo vault snyk wandb ngrok rclone": r"(?:login|--relogin|auth|unseal|authtoken|obscure)\Z",
    }.items()
    for name in names.split()
}
# What these take as user:password, user%password or user,password: the user may be seen.
_WITH_A_USER = frozenset(("curl", "etcdctl", "smbclient", "lftp", "http", "https", "xh"))
_USER = re.compile(r"[^:,%=]*[:,%=]")
# Whatever program it is of: `login -p S`, `-u me -p S`, `secret set NAME --value S`.
_LOGS_IN = re.compile(r"login|upload|user")
_KEEPS = re.compile(r"(?:[\w-]+:)?secrets?(?::\w+)?|SecureString")
_PUTS = re.compile(r"(?:[\w-]+:)?(?:set|put|create|add)\b")
_VALUE = re.compile(r"(?:-b|--(?:value|body|data))(?:=|\Z)")
_USER_OPTION = re.compile(r"-u|--user(?:name)?(?:=.*)?")
_PASSWORD = re.compile(r"-p")
_PASSWORD_ALONE = re.compile(r"-[pP]\Z")
_ANY_NAME = Name()
_WORD = Name("pass")


def is_telling(argument: str) -> bool:
    """Whether an argument may have a secret, or say that the next one has: few do, and the rest need no closer look."""
    lowered = argument.lower()
    return (
        " -u " in f" {argument} "
        or any(word in lowered for word in _TELLING)
        or not _PROGRAMS.keys().isdisjoint(_WORDS.findall(lowered))
        or next(token_spans(argument), None) is not None
    )


def argument_spans(argument: str, *, script: bool, defined: bool = False) -> list[Span]:
    """Where secrets are in one argument.

    :param script: it is the text of a shell command, or a line of a message: then a value ends with its word.
    :param defined: it is a macro's definition, the argument of ``-D``.
    """
    if not is_telling(argument):
        return []
    spans = [*_named(argument, script, defined), *token_spans(argument)]
    spans += (span for span in form_spans(argument) if not is_harmless(argument[slice(*span)], _ANY_NAME))
    if script or " " in argument:
        spans += _in_commands(argument)
    return spans


def command_spans(args: Sequence[str]) -> Iterator[tuple[int, Span]]:
    """Where secrets are that the arguments before tell: the place of the argument, and where in it."""
    for place, begin, name in _values(args):
        if not is_harmless(args[place][begin:], name):
            yield place, (begin, len(args[place]))


def _values(args: Sequence[str]) -> Iterator[tuple[int, int, Name]]:
    """The place of each value, where in it the secret begins, and what it is called."""
    for place in range(1, len(args)):
        name = _name_before(args, place)
        if name is not None:
            yield place, 0, name
    logs_in = next((place for place in range(1, min(4, len(args))) if _LOGS_IN.fullmatch(args[place])), 0)
    if logs_in:
        yield from _values_of(args, logs_in, _PASSWORD, _WORD)
    elif any(map(_USER_OPTION.fullmatch, args)):
        yield from _values_of(args, 0, _PASSWORD_ALONE, _WORD)
    if any(map(_KEEPS.fullmatch, args)) and any(map(_PUTS.match, args)):
        yield from _values_of(args, 0, _VALUE, _ANY_NAME)
    # the program may be run by another one
    for first in [place for place, word in enumerate(args) if _file(word).lower() in _PROGRAMS][:2]:
        yield from _values_of(args, first, _PROGRAMS[_file(args[first]).lower()], _ANY_NAME)


def _name_before(args: Sequence[str], place: int) -> Name | None:
    """The name that says that this argument is secret. What looks like an option itself is not."""
    before = args[place - 1]
    sets_it = _SETS_IT.match(before)
    if before[:1] == "-":
        if not _OPTION.fullmatch(before):
            return None
    elif sets_it:
        before = before[sets_it.end() :]
    elif not any(map(_SETS.fullmatch, args[max(place - 4, 0) : place - 1])):
        return None
    else:
        before = before.rpartition(":")[2]
        before = before.partition(".")[0] if "-" in before else before  # pypi-token.pypi
    return None if _LIKE_AN_OPTION.fullmatch(args[place]) else read_name(before[-LONGEST_NAME:])


def _file(word: str) -> str:
    return word.rpartition("/")[2].removesuffix(".exe")


def _values_of(args: Sequence[str], first: int, option: re.Pattern[str], name: Name) -> Iterator[tuple[int, int, Name]]:
    """The values of an option, or of an action, of the program at the place ``first``."""
    with_a_user = _file(args[first]) in _WITH_A_USER
    for place in range(first + 1, len(args)):
        word = args[place]
        match = option.match(word)
        if match is None or (word[:1] not in "-/" and place > first + 4):
            continue
        in_it = match.end() < len(word)
        value, begin = (place, match.end()) if in_it else (place + 1, 0)
        if value < len(args) and (in_it or not _LIKE_AN_OPTION.fullmatch(args[value])):
            user = _USER.match(args[value], begin) if with_a_user else None
            if user is not None and user.end() < len(args[value]):
                begin = user.end()
            if not with_a_user or (user is not None and len(args[value]) > 1):
                yield value, begin, name


def _named(argument: str, script: bool, defined: bool) -> Iterator[Span]:
    done = 0
    for match in _NAMED.finditer(argument):
        text = match[1]
        if match.start() < done:
            continue  # it is hidden already
        name = read_name(text[-LONGEST_NAME:], defined=defined)
        if name is None or (match[4] and not _is_field(argument, match, name)):
            continue
        takes_the_line = _TAKES_THE_LINE.fullmatch(text)
        begin, end = match.end(), len(argument)
        if script or done or not _BEFORE_A_NAME.fullmatch(argument, 0, match.start()):
            value = (_LINE if takes_the_line and match[4] else _SHELL_WORD).match(argument, begin)
            end = begin if value is None else value.end()
        scheme = _SCHEME.match(argument, begin, end) if takes_the_line else None
        secret = argument[scheme.end() if scheme else begin : end]
        if not is_harmless(secret, name) and not (match[2] and name.word and secret.isalpha()):
            done = end
            yield begin, end


def _is_field(argument: str, match: re.Match[str], name: Name) -> bool:
    """Whether a colon is one of a header, of JSON or of YAML, and not a compiler's."""
    before = argument[max(0, match.start() - 40) : match.start()].rstrip(" \t-")
    if before.endswith(("$", "${")):
        return False
    if match[1][:2] in ("X-", "x-") or _TAKES_THE_LINE.fullmatch(match[1]):
        return True
    begins = not before or before[-1] in "\n{,(\"'" or (before[-1] == "=" and not name.word)
    if match[3] or match[5]:
        return begins
    if before[-1:] in ("{", ","):
        return True
    quoted = argument[match.end() : match.end() + 1] in ("", *_QUOTES)
    stands_alone = begins or before == "/" or argument[match.start() - 1].isspace()
    return stands_alone and not quoted and not name.word and match[1].lower() not in ("secret", "secrets")


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
        for place, begin, name in sorted(_values(words), key=itemgetter(0)) if len(words) > 1 else ():
            at = places[place]
            rule = _WHOLE_WORD if _OPENS_A_VALUE.fullmatch(words[place]) else _SHELL_WORD
            value = rule.match(text, at) if at >= done else None
            if value is not None:
                begin += at + value[0].find(words[place]) if begin else at
                if not is_harmless(text[begin : value.end()], name):
                    done = value.end()
                    yield begin, done
        words, places = [], []
