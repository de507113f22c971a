r"""Secrets that are told by their form, or by what stands directly around them, whatever the argument is.

Each pattern begins with what is rare, or at the beginning of a word, and goes on without looking back over the text:
time grows with the length of an argument and no faster. What is secret is the group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_ptreetime.redaction.names import HINT, Name, is_harmless

__all__ = ["SHORTEST_TOKEN", "Span", "form_spans", "token_spans"]

Span = tuple[int, int]
SHORTEST_TOKEN = 16

# What providers document, so that leaked tokens can be found; the letters and digits of a token come after it.
_PREFIXES = """ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- glcbt- gldt- glrt- glsoat- glagent- glft- glimt-
gloas- glffct- npm_ pypi-A hf_ fo1_ figd_ ntn_ secret_ whsec_ sntryu_ glsa_ lin_api_ dckr_pat_ dckr_oat_ dop_v1_
doo_v1_ dor_v1_ shpat_ shpca_ shpss_ shppa_ pscale_pw_ pscale_tkn_ sbp_ rubygems_ sq0atp- sq0csp- pul- bkua_ sgp_
xoxa- xoxb- xoxe- xoxe. xoxp- xoxr- xoxs- xapp- tskey- CLOJARS_ GOCSPX- HRKU- NRAK- PMAK- ATATT ATBB AKCp AIza hvs.
hvb. hvr. dp.ct. dp.pt. dp.st. dp.sa. dp.scim. ya29. SG. dt0c01. cio lsv2_pt_ lsv2_sk_ rdme_ snyk_uat. snyk_sat. sk-
sk_live_ sk_test_ sk_prod_ rk_prod_ rk_live_ rk_test_ 1//0 amzn.mws. pplx- FLWSECK api_org_ CFPAT- ATCTT BBDC- CCIPAT_
CCIPRJ_ duffel_test_ duffel_live_ EZAK EZTK EAAA EAAC EAAM fio-u- GR1348941 sha256~ pscale_oauth_ xoxc- xoxd- xoxo-
xkeysib- xsmtpsib- sm_aat_ sm_pat_ sm_sat_ p8e- LTAI cmVmd NRII- sl.u. sb_secret_ access-sandbox- access-production-
pdl_live_ pdl_sdbx_ shippo_live_ shippo_test_ lin_oauth_ rlwy_ hcaik_ AKID s-s4t2ud- s-s4t2af- sntryi_ gsk_ xai- tvly-
nfp_ apify_api_""".split()  # noqa: SIM905
_TOKEN = re.compile(
    rf"(?<![A-Za-z0-9_])(?=[\w.:/~$|-]{{16}})(?: (?:{'|'.join(map(re.escape, _PREFIXES))})"
    r""" (?= (?: [\w.-]{0,60}? (?: \d[A-Za-z] | [a-z][A-Z] ) ){2} ) [\w.-]{16,} =*  # no words
    | (?: A3T | AKIA | ASIA | ABIA | ACCA | AGE-SECRET-KEY-1 ) [A-Z0-9]{12,} | A3(?: -[A-Z0-9]{5,11} ){5,6}
    | eyJ [\w-]{8,500} \. [\w-]{8,} (?: \. [\w-]* )?
    | \d{8,10} : AA [\w-]{30,}
    | [MNO] [A-Za-z0-9]{23,25} \. [\w-]{6} \. [\w-]{27,}
    | (?: pat )? [A-Za-z0-9]{14} \. (?: atlasv1 \. [\w-]{20,} | [0-9a-f]{64} )
    | [0-9a-f]{32} -us \d{1,2} \b
    | [\w.-]{3} \dQ~ [\w.~-]{31,34} | oy2 [a-z0-9]{43} \b
    | (?: fm\d[ar]?_ | glc_ | sntrys_ | ops_eyJ | ABSK | access_token\$ | v1\.0-[0-9a-f]{24}- ) [\w/+=$]{40,}
    | \d{15,16} \| [\w-]{27,}
    # whoever's: a hash or UUID after what says that it is a token, or after a few letters
    | (?<![-_]) (?: SK | dapi | (?! sha | md5 | git | rev | obj | tmp | lib | id ) [a-z]{2,4}_
        | (?: [a-z0-9]{1,9}[_-] ){0,2} [a-z]{0,5} (?: key|pat|token|auth|live|test|prod|secret|sdk|sk|api )
          [a-z]{0,5} [_-] (?: [a-z]{1,3}\d[_-] )? ) [0-9a-f-]{32,64} (?: [_-]\w+ )? (?! [\w./] ) )""",
    re.VERBOSE,
)
# Whoever's: letters of both cases and digits in such a mixture as no word, path or hash has.
_WORD = re.compile(r"(?<![\w./+$%-])(?!sha\d|md5|h1:|_Z|AAAA[BCE])[A-Za-z0-9][\w.-]{19,}={0,2}(?![\w/+-])")
_MIXED = re.compile(
    r"((?:[A-Za-z][A-Za-z0-9]{0,11}[._-](?:[A-Za-z0-9]{1,12}[._-]){0,3})?)([A-Za-z0-9]{20,})(?!\.[a-z]\w{0,4}\Z)"
)
_RUN = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_LEAST_RUNS = 0.42  # for each letter; chance makes 0.6 of them, and names with numbers in them fewer
_LEAST_OF_ONE_CASE = 26  # letters of one case and digits, which are no hash
_LEAST_RUNS_OF_ONE_CASE = 0.3  # for each letter; chance makes 0.4 of them
_HASH = re.compile(r"[0-9a-fA-F]+|[0-9a-df-np-sv-z]+")  # hexadecimal, or in the base 32 of Nix

_ECHO = r"""\b(?:echo|printf)[ ](?:-n[ ]|["']?%s(?:\\n)?["']?[ ])?"""
_AROUND = tuple(
    (re.compile(pattern, re.VERBOSE | re.IGNORECASE), name)
    for name, patterns in {
        Name(): (
            r"""://[^\s/'":@]*:([^\s/'"]+)@""",  # a URL's password
            r"""(?<=http)s?://([^\s/'":@]{16,})@""",
            r"""(?<!\w)bearer[ \t]{1,4}([\w.~+/=-]{6,})""",
            r"""[?&](?:[\w-]{0,20}[_-])?(?:sig|signature)=([^\s&'"]+)""",  # of a signed URL
            r"""(?:hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|webhook\.office\.com/|/hooks/catch/)([\w@/.-]+)""",
            r"""://[^/\s]+/t/([^/\s]{8,})/""",  # of a channel
            r"""-----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----([^-]*)""",
            r"""(?:identified[ ](?:with[ ]\w{1,40}[ ])?by|(?:with|encrypted)[ ]password|password[ ]for[ ]\w{1,40}[ ]=)
                [ ]{1,3}['"]{1,5}([^'"]*)""",  # SQL
            r"""\blogin[ ][^\s"']{1,80}[ ]password[ ]([^\s"']+)""",  # a netrc file
            r"""(?:^|=)pass:(.+)""",
            # what a program is given to read as its password
            rf"{_ECHO}([^\s|;&]+)[ ]{{0,2}}\|(?=[^|;&\n]{{0,200}}?(?:-stdin|-with-token|sudo[ ]-S|chpasswd))",
        ),
        HINT: (
            rf"""{_ECHO}["']?(?:\w{{1,30}}:)?([^\s|;&"':]+)["']?[ ]{{0,2}}\|""",
            r"""(?:<<<[ ]{0,2}|\bsend[ ])["']{0,2}(?:\w{1,30}:)?([^\s|;&"':\\]+)""",
            r"""://([^\s/'":@]{8,})(?::[^\s/@]{0,99})?@""",
            r"""(?<![\w/.])\w{1,30}[:/]([^\s/'":@]{8,64})@""",  # user:password@host, user/password@database
        ),
    }.items()
    for pattern in patterns
)


def token_spans(text: str) -> Iterator[Span]:
    """Where tokens are."""
    yield from (match.span() for match in _TOKEN.finditer(text))
    yield from (match.span() for match in _WORD.finditer(text) if _is_random(match[0]))


def _is_random(word: str) -> bool:
    match = _MIXED.match(word)
    if match is None:
        return False
    runs = _RUN.findall(match[2])
    length = len(match[2])
    longest = max((len(run) for run in runs if run.islower()), default=0)
    if not any(run.isdigit() for run in runs) or longest > length // 4:
        return False
    if any(run.isupper() for run in runs) and longest:
        return length >= (20 if match[1] else 24) and len(runs) >= _LEAST_RUNS * length
    return (
        length >= _LEAST_OF_ONE_CASE and len(runs) >= _LEAST_RUNS_OF_ONE_CASE * length and not _HASH.fullmatch(match[2])
    )


def form_spans(text: str) -> Iterator[Span]:
    """Where secrets are that are told by what stands around them."""
    for rule, name in _AROUND:
        yield from (match.span(1) for match in rule.finditer(text) if not is_harmless(match[1], name))
