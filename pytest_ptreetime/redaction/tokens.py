r"""Secrets that are told by their form, or by what stands directly around them, whatever the argument is.

Each pattern begins with what is rare, or at the beginning of a word, and goes on without looking back over the text:
time grows with the length of an argument and no faster. What is secret is the group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Span", "form_spans", "has_token", "token_spans"]

Span = tuple[int, int]

# The prefixes are those that the providers document, so that leaked tokens can be found.
_TOKEN = re.compile(
    r"""(?<![A-Za-z0-9])(?=[\w.:-]{16})(?:
      (?: AKIA | ASIA ) [A-Z0-9]{12,}
    | (?: gh[pousr]_ | github_pat_ | npm_ | hf_ | fo1_ | figd_ | ntn_ | secret_ | whsec_ | sntry[su]_ | glc_ | glsa_
        | lin_api_ | dckr_pat_ | do[por]_v1_ | shp[a-z]{2}_ | pscale_[a-z]{2,6}_ | sbp_ | rubygems_ | sq0[a-z]{3}-
        | pul- | bkua_ | sgp_ | tskey-[a-z]{2,9}- | CLOJARS_ | GOCSPX- | HRKU- | NRAK- | PMAK- ) [A-Za-z0-9-]{16} [\w-]*
    | (?: gl (?: pat | ptt | cbt | dt | rt | soat | agent | ft | imt | oas | ffct ) - | pypi-A | xox[a-z]- | xapp-
        | ATATT | AKCp | hv[sbr]\. | dp\.[a-z]{2,5}\. | ya29\. | cio (?= [A-Za-z0-9]{32} ) | AIza ) [\w-]{10,} [\w.=-]*
    | [sr]k_ (?: live | test | prod ) _ \w{10,}
    | [a-z]{3,12} _ (?: live | test | prod ) _ (?= [A-Za-z]{0,20} \d ) [A-Za-z0-9]{20,}
    | sk- (?= \D{0,60} \d ) [\w-]{20,}
    | (?: SG | dt0[a-z]\d\d ) \. [\w-]{16,} \. [\w-]{16,}
    | [A-Za-z0-9]{14} \. atlasv1 \. [\w-]{20,}
    | (?: SK | key- | dapi ) [0-9a-f]{32} \b [\w-]*
    | pat [A-Za-z0-9]{14} \. [0-9a-f]{64}
    | [0-9a-f]{32} -us \d{1,2} \b
    | \d{8,10} : AA [\w-]{30,}
    | AGE-SECRET-KEY-1 [A-Z0-9]{20,}
    | eyJ [\w-]{8,500} \. [\w-]{8,} (?: \. [\w-]* )?
    # another provider's: a prefix, then letters and digits in such a mixture as no word and no hash has
    | (?! sha\d | md5 ) [A-Za-z][A-Za-z0-9]{1,11} [_-] (?: [a-z0-9]{1,8} [_-] )?
        (?= (?: [A-Za-z]{0,30} [0-9] ){3} ) (?= [a-z0-9]{0,60} [A-Z] ) (?= [A-Z0-9]{0,60} [a-z] ) [A-Za-z0-9]{28,}
    )""",
    re.VERBOSE,
)
_AROUND = tuple(
    re.compile(pattern, re.VERBOSE | re.IGNORECASE)
    for pattern in (
        r"""://[^\s/'":@]*:([^\s/'"]+)@""",  # a URL's password
        r"""(?<=http)s?://([^\s/'":@]{20,})@""",
        r"""(?<!\w)bearer[ \t]{1,4}([\w.~+/=-]{6,})""",
        r"""[?&](?:[\w-]{0,20}[_-])?(?:sig|signature)=([^\s&'"]+)""",  # of a signed URL
        r"""(?:hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|webhook\.office\.com/|/hooks/catch/)([\w@/.-]+)""",
        r"""-----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----([^-]*)""",
        r"""(?:identified[ ]by|with[ ](?:encrypted[ ])?password)[ ]{1,3}['"]{1,5}([^'"]*)""",  # SQL
        r"""\blogin[ ][^\s"']{1,80}[ ]password[ ]([^\s"']+)""",  # a netrc file
        # what a program is given to read as its password
        r"""\b(?:echo|printf)[ ](?:-n[ ]|["']?%s(?:\\n)?["']?[ ])?([^\s|;&]+)[ ]{0,2}\|
            (?=[^|;&\n]{0,200}?(?:-stdin|-with-token|sudo[ ]-S|chpasswd))""",
    )
)


def has_token(text: str) -> bool:
    """Whether something in ``text`` has the form of a token."""
    return _TOKEN.search(text) is not None


def token_spans(text: str) -> Iterator[Span]:
    """Where tokens are."""
    return (match.span() for match in _TOKEN.finditer(text))


def form_spans(text: str) -> Iterator[Span]:
    """Where secrets are that are told by what stands around them."""
    return (match.span(1) for rule in _AROUND for match in rule.finditer(text))
