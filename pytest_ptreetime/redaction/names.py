r"""Which names say that their value is secret, and which values never are, whatever their name.

The last words of a name decide: ``API_KEY`` is secret, ``API_KEY_FILE`` is not. How it is written does not matter
(``clientSecret``, ``-DCLIENT_SECRET``, ``client.secret``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["LONGEST_NAME", "Name", "is_harmless", "read_name"]

LONGEST_NAME = 100
LONGEST_HARMLESS = 1000

# -DNAME, -PNAME (Gradle), -HNAME (curl), -eNAME (docker): the letter is the option, the rest is the name.
_OPTION_LETTER = re.compile(r"-[DEFHPXe](?=[A-Za-z_])")
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Of a name in lower case, with _ before each capital. What is a `word` only has other meanings, too.
_SECRET = re.compile(
    r"""
    (?: (?<! lib ) (?: password | passwd | passphrase | passcode | pswd | secret ) s?
      | (?: \b | _ ) (?:
          (?: access | account | admin | api | app | auth (?: entication )? | bearer | client | consumer | csrf
            | (?: de | en )? crypt (?: ion )? | deploy | hmac | id | ingest | instrumentation | job | jwt | licen[cs]e
            | master | private | refresh | sas | secret | security | session | shared | signature | ssh | subscription
            | write | xsrf ) [_.-]? (?: key | token ) s?
        | credentials? | creds | (?: proxy[_.-] )? authorization | bearer | jwt | secret_?id | set_?cookie
        | x-[a-z_-]+-(?: key | api ) | sonar\.login | secret_?key[_.-]?base
        | (?: key | keystore | user | db | (?: src | dest | trust )? store | ssh | sudo ) pass
        | (?P<word> (?<! debug[_.-] ) (?<! after[_.-] ) (?<! before[_.-] ) pass | pwd | pw | pat | o? _? auth 2?
          | (?<! key[_.-] ) token | psk | cookie | otp | sign (?: ing )? [_.-]? key
          | key | api ) ) )
    (?: [_.-]? (?: \d{1,3} | value | base64 | b64 | hex | plain | text | string | raw ) )? (?: \[\d*\] )? \Z
    """,
    re.VERBOSE,
)
# What says how many there are, whether there is one, or where.
_NOT_SECRET = re.compile(r"-*(?:[\w.-]*[_.-])?(?:max|min|num|ask|skip|existing|image_?pull)[_.-]|-*no[_.-]")

_HARMLESS = re.compile(
    r"""
    # a switch
    (?: on | off | yes | no | y | n | t | f | true | false | auto | none | null | nil | undefined | enabled? | disabled?
      | default | required? | optional | always | never | prompt | ask | missing | omit | include | same-origin | env
      | file | [0-9] | \*+ | -
    # a reference
      | (?: \${1,3} (?: \w+ | (?: ENV )? \{ [^{}]* \} | \( [^()]* \) ) [:./-]? )+ | %\w+% | \{\{ .* \}\} | < [^<>]* >
      | @ [\w./~+-]+ @? | env: /* \w+ | (?: file | fd | vault | op | ref | arn | keychain | \w+kms | pkcs11 ) : .*
      | `[^`]*` | stdin | (?: [\w.-]+, )? (?: id | type | src | source | target | env | name | file ) = .*
    # a path; in base64 a slash may be the first letter
      | (?: ~ | \.{1,2} | [A-Za-z]: )? [/\\] (?! [A-Za-z0-9/+]{39} \Z ) [^\s'"=]*
      | (?! .*\d ) [\w.-]{1,20} (?: / [\w.-]{1,20} )+
      | [\w./@+~-]* \w \. (?: [a-z][a-z0-9]{0,3} | keystore | keychain | properties | tfvars )
    )?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# Of a name that is a word only: a number, a port, a type, a way to authenticate, a pattern of file names.
_HARMLESS_WORD = re.compile(
    r"""
    \d{1,5} (?: [.:x]\d{1,5} ){0,3} [kmgs]? | [\d.]{1,15} : \d{1,5} : \d{1,5} | \d{1,5} : \d{1,5} /(?:tcp|udp)
    | int | char | bool | str | string | any | object | basic | digest | ntlm | negotiate | trust | reject | peer
    | ident | ldap | pam | gss | saml | oauth2? | oidc | kerberos | krb5 | md5 | scram-sha-256 | plain | login
    | publickey | web | legacy | shadow | arguments | structure | executions | details | [*%] [\w./*%-]* | \.\*.*
    | [a-z]{2,8} (?: ,[a-z]{2,8} )+
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What a key of unknown kind has to be to be secret, and what one to sign with is that is not.
_MIXED = re.compile(r"(?=[^0-9]*[0-9])(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[\w+/=-]{14,}")
_KEY_ID = re.compile(r"(?:0x)?(?:[0-9A-Fa-f]{8}){1,2}")
# What a macro stands for: -DUSE_PASSWORD=1, -DTOKEN=AppToken.
_IDENTIFIER = re.compile(r"[A-Za-z_]{1,24}|[A-Za-z_]\w{0,20}_t")


class Name(NamedTuple):
    """A name that says that its value is secret.

    :param word: its last word, where that has other meanings, too.
    :param defined: it is a macro's, after ``-D``.
    """

    word: str = ""
    defined: bool = False


@lru_cache(maxsize=4096)
def read_name(name: str, *, defined: bool = False) -> Name | None:
    """What ``name``, of a long one its end, says; None where it is not one of a secret."""
    letter = _OPTION_LETTER.match(name)
    for text in (name[letter.end() :] if letter else "", name):
        words = _WORD_BEGINS.sub("_", text).lower() if text not in ("PWD", "OLDPWD") else ""
        match = None if _NOT_SECRET.match(words) else _SECRET.search(words)
        if match:
            defined = defined or name.startswith("-D")
            return Name(match["word"] or ("token" if defined and words.endswith("token") else ""), defined)
    return None


def is_harmless(value: str, name: Name) -> bool:
    """Whether ``value`` can't be a secret, though ``name`` says so."""
    if len(value) > LONGEST_HARMLESS:
        return False
    value = value.strip("\"'\\ ")
    return bool(
        _HARMLESS.fullmatch(value)
        or (name.word and _HARMLESS_WORD.fullmatch(value))
        or (name.word in ("key", "api") and not _MIXED.fullmatch(value))
        or (name.word.endswith("key") and _KEY_ID.fullmatch(value))
        or (name.defined and value.isdecimal() and len(value) < 6)
        or (name.defined and name.word == "token" and _IDENTIFIER.fullmatch(value))
    )
