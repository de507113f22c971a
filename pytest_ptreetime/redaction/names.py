r"""Which names say that their value is secret, and which values never are, whatever their name.

The last words of a name decide: ``API_KEY`` is secret, ``API_KEY_FILE`` is not. How it is written does not matter
(``clientSecret``, ``-DCLIENT_SECRET``, ``client.secret``). What only hints at a secret (``PASS_OLD``, ``key``) is one
where its value looks like a password.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["HINT", "LIKE_A_PASSWORD", "LONGEST_NAME", "Name", "is_harmless", "read_name"]

LONGEST_NAME = 100
LONGEST_HARMLESS = 1000

# -DNAME, -PNAME (Gradle), -HNAME (curl), -eNAME (docker): the letter is the option, the rest is the name.
_OPTION_LETTER = re.compile(r"-[DEFHPXe](?=[A-Za-z_])")
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Of a name in lower case, with _ before each capital. What is a `word` only has other meanings, too.
_SECRET = re.compile(
    r"""
    (?: (?<! lib ) (?: password | passwd | passphrase | passcode | ps w d? | secret ) s?
      | (?: \b | _ ) (?:
          (?: access | account | aes | api | app | auth | client | (?: de | en )? crypt (?: ion )? | deploy | hmac | job
            | licen[cs]e | master | private | refresh | secret | session | shared | signing | subscription )
            [_.-]? (?: key | token ) s?
        | credentials? | creds | (?: proxy[_.-] )? authorization | bearer | jwt | secret_?id | set_?cookie
        | x-[a-z_-]+-(?: key | api ) | sonar\.login | secret_?key[_.-]?base
        | (?: key | user | root | admin | db | [a-z]* store | ssh | sudo ) pass | pass [_.-] phrase | mnemonic
        | (?P<word> (?<! debug[_.-] | after[_.-] ) (?<! before[_.-] ) (?<! run[_.-] ) pass | [a-z]* pwd? | pat
          | o? _? auth 2? | (?<! key[_.-] ) token | psk | cookie | otp ) ) )
    (?: [_.-]? (?: \d{1,3} | value | base64 | b64 | hex | plain | text | string | raw ) )? (?: \[\d*\] )? \Z
    """,
    re.VERBOSE,
)
# What hints at a secret where a word of the name ends with it, unless the name is that of something about it.
_HINTS = re.compile(
    r"""
    (?: pass (?: w (?: or )? d | phrase | code )? | pwd? | ps[wk] | secret | token | key | api | auth
      | cred | credential | phrase | cookie | session | signature | webhook | secure_string | jwt | bearer | otp
      | (?<! [a-z] ) (?: pin | salt | seed | pat | sk | sid ) ) s? (?! [a-z] )""",
    re.VERBOSE,
)
_ABOUT = re.compile(
    r""".*
    (?: (?: alias | class | dir | digest | field | file | format | hash | host | id | kind | label | mode | name | path
        | ref | region | role | scope | sha\d* | type | ur[il] | user | version ) s? \d* \Z
      | (?<! [a-z] ) (?: cache | foreign | partition | primary | pub (?: lic )? | sort ) [_.-]? key )""",
    re.VERBOSE,
)
# What says how many there are, whether there is one, or where.
_NOT_SECRET = re.compile(r"-*(?:[\w.-]*[_.-])?(?:max|min|num|ask|skip|existing|image_?pull)[_.-]|-*no[_.-]")

_HARMLESS = re.compile(
    r"""
    # a switch
    (?: on | off | yes | no | y | n | t | f | true | false | auto | none | null | undefined | enabled? | disabled?
      | default | required? | optional | always | never | prompt | ask | missing | env | file | \d | \*+ | -
      | redacted/?
    # a reference
      | (?: [a-z]+ [ ]+ )? (?: \${1,3} (?: \w+ | (?: ENV )? \{ [^{}]* \} | \( [^()]* \) ) [:./-]? )+ | %\w+%
      | \{\{ .* \}\} | < [^<>]* > | @ [\w./:~+-]+ @? | `[^`]*` | stdin | env: /* \w+
      | (?: file | fd | vault | op | ref | arn | \w+kms ) : .*
      | (?: [\w.-]+, )? (?: id | type | src | source | target | env | name | file ) = .*
    # a pattern
      | (?: \.\* | \[\^ | \(\? | \\[SwWd(] ) .*
    # a path; in base64 a slash may be the first letter
      | (?: ~ | \.{1,2} | [A-Za-z]: )? [/\\] (?! [A-Za-z0-9/+]{39} \Z ) [^\s'"=]* (?: ,[\w.-]+=[\w.-]* )*
      | (?! [^:]*\d ) [\w.-]{1,20} (?: / [\w.-]{1,20} )+ (?: :[\w.]{1,12} )?
      | [\w./@+~-]* \w \. (?: [a-z][a-z0-9]{0,3} | keystore | keychain | properties | tfvars )
    )?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# Of a name that is a word only: a number, a port, a type, a way to authenticate, a pattern of file names.
_HARMLESS_WORD = re.compile(
    r"""
    \d{1,5} (?: [.:x]\d{1,5} ){0,3} (?: [kmgs] | /tcp | /udp )? | [\d.]{1,15} : \d{1,5} : \d{1,5}
    | string | digest | md5 | (?: scram- )? sha-? \d{1,3} | [*%] [\w./*%-]* | [a-z]{2,8} (?: ,[a-z]{2,8} )+
    | [a-z_]+ _ (?: password | token | key )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Letters of both cases and digits, and neither a path, a version nor a name with a file's ending.
_OF = r"[\w!#%^&*+=~?@-]"
LIKE_A_PASSWORD = re.compile(
    rf"""(?! - | 0x ) (?= {_OF}{{0,60}}[0-9] ) (?= {_OF}{{0,60}}[a-z] ) (?= {_OF}{{0,60}}[A-Z] )
    (?: {_OF}{{8,}} | [A-Za-z0-9+/]{{20,}}={{1,2}} ) (?! [\w./\\(:] )""",
    re.VERBOSE | re.ASCII,
)


class Name(NamedTuple):
    """A name that says that its value is secret.

    :param word: its last word, where that has other meanings, too; ``type``: it is a macro's, which may be a type.
    :param hint: it only hints at it: the value has to look like a password.
    """

    word: str = ""
    hint: bool = False


HINT = Name(hint=True)


@lru_cache(maxsize=4096)
def read_name(name: str, *, defined: bool = False) -> Name | None:
    """What ``name``, of a long one its end, says; None where it is not one of a secret."""
    if name in ("PWD", "OLDPWD"):
        return None
    letter = _OPTION_LETTER.match(name)
    hints = False
    for text in (name[letter.end() :] if letter else "", name):
        words = _WORD_BEGINS.sub("_", text).lower()
        if _NOT_SECRET.match(words):
            continue
        match = _SECRET.search(words)
        if match:
            a_type = words.endswith("token") and "." not in words and (defined or name[:2] == "-D")  # -DTOKEN=int
            return Name("type" if a_type else match["word"] or "")
        hints = hints or (_HINTS.search(words) is not None and not _ABOUT.match(words))
    return HINT if hints else None


def is_harmless(value: str, name: Name) -> bool:
    """Whether ``value`` can't be a secret, though ``name`` says so."""
    if len(value) > LONGEST_HARMLESS:
        return False
    value = value.strip("\"'\\ ")
    return bool(
        _HARMLESS.fullmatch(value)
        or (name.hint and not LIKE_A_PASSWORD.fullmatch(value.rstrip(",:;)}]")))
        or (name.word and _HARMLESS_WORD.fullmatch(value))
        or (name.word.endswith("auth") and value.isalpha())
        or (name.word == "type" and re.fullmatch(r"[A-Za-z_]{1,24}|[A-Za-z_]\w{0,20}_t|[0-9]{1,5}", value))
    )
