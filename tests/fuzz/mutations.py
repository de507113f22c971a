"""Inputs out of a corpus without a fuzzer: the same for the same seed, everywhere."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

# What parsers trip over: limits of integers, floats that are none, half of a pair, depth.
TOKENS = (
    *(b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"9" * 25, b"-9223372036854775809", b"18446744073709551616", b"null"),
    *(
        b'"\\ud800"',
        b"\xff",
        b"\xed\xa0\x80",
        b"\0",
        b"\x1b[2J",
        b"\n",
        b"[" * 1100,
        b'{"a":' * 1100,
        b"(" * 60,
        b"(a|a)*",
    ),
    *(
        b"\xdd\xff\xff\xff\xff",
        b"\xcf" + b"\xff" * 8,
        b"\xd3\x80" + b"\0" * 7,
        b"\xc0",
        b"\x91" * 1100,
        b"\xcb\x7f\xf8" + b"\0" * 6,
    ),
)


def mutated(corpus: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """``count`` inputs, each made from one of ``corpus`` by one to four changes."""
    random_ = random.Random(seed)
    for _ in range(count):
        data = random_.choice(corpus)
        for _ in range(random_.randint(1, 4)):
            data = _changed(random_, data, corpus)
        yield data[: 1 << 16]


def _changed(random_: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    begin = random_.randint(0, len(data))
    end = min(len(data), begin + random_.choice((0, 1, 1, 2, 4, 16, 64)))
    kind = random_.randrange(8)
    if kind == 0:
        return data[:begin] + bytes([random_.randrange(256)]) + data[begin + 1 :]
    if kind == 1:
        return data[:begin] + data[end:]
    if kind == 2:
        return data[:begin] + data[begin:end] * random_.choice((2, 3, 40)) + data[end:]
    if kind == 3:
        return data[:begin] + random_.choice(TOKENS) + data[end:]
    if kind == 4:
        other = random_.choice(corpus)
        return data[:begin] + other[random_.randint(0, len(other)) :]
    if kind == 5:
        return data[:begin]
    if kind == 6:
        number = random_.choice(TOKENS)
        found = list(re.finditer(rb"\d+", data))
        if not found:
            return data + number
        match = random_.choice(found)
        return data[: match.start()] + number + data[match.end() :]
    lines = data.splitlines(keepends=True)
    random_.shuffle(lines)
    return b"".join(lines)
