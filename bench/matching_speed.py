"""How long two builds take to be matched where their keys differ, by what was changed.

    python bench/matching_speed.py [NAME...] [--repetitions 5]

Processor seconds, of which the median counts, and how many of the nodes of the smaller side found a partner. Bars: 2 s
with 10,000 nodes on either side whose keys the other side lacks, 3 s for 30,000 with 10,000 changed shell commands.
"""

from __future__ import annotations

import argparse
import random
import statistics
import string
import time
from collections.abc import Callable, Iterable, Sequence

from tabulate import tabulate

from pytest_ptreetime.decision.matching import match
from pytest_ptreetime.decision.matching_table import Row, Table

NUMBER = 10_000
FLAGS = "-O1 -g -Wall -Wextra -Iinclude -Isrc -DNDEBUG"
_Line = tuple[int, str, str, str]  # depth, name, subject, arguments


def table(lines: Iterable[_Line]) -> Table:
    """Rows as keys would name them: the names on the path, then the subject."""
    rows: list[Row] = []
    above: list[tuple[int, str]] = []
    known: set[str] = set()
    for depth, name, subject, arguments in lines:
        del above[depth:]
        parent, path = above[-1] if above else (-1, "")
        key = f"{path}{name}[{subject}]"
        above.append((len(rows), f"{path}{name}/"))
        if key not in known:
            known.add(key)
            rows.append(Row(key, parent, name, subject, tuple(arguments.split(" ")), 1.0))
    return rows


def compiles(flags: str = FLAGS, *, directory: str = "src", launcher: str = "", driver: str = "gcc") -> Table:
    lines: list[_Line] = [(0, "make", "all", "all")]
    for number in range(NUMBER):
        source = f"{directory}/module{number % 97}/file{number}.c"
        command = f"{flags} -c {source} -o {source}.o"
        if launcher:
            lines.append((1, launcher, f"{driver} {command}", f"{driver} {command}"))
        depth = 2 if launcher else 1
        lines.append((depth, driver, source, command))
        lines.append((depth + 1, "cc1", source, f"-quiet {flags} {source} -o /tmp/cc{number * 7919:08x}.s"))
    return table(lines)


def shells(flags: str, tool: str = "gcc") -> Table:
    lines: list[_Line] = [(0, "make", "all", "all")]
    for number in range(NUMBER):
        source = f"src/module{number % 97}/file{number}.c"
        command = f"{flags} -c {source}"
        text = f"echo CC {source}; {tool} {command} && touch done"
        lines.append((1, "sh", f"-c {text}", f"-c {text}"))
        lines.append((2, tool, source if tool == "gcc" else command, command))
        lines.append((3, "cc1" if tool == "gcc" else "worker", source, f"-quiet {source}"))
    return table(lines)


def tools(words: Callable[[int, random.Random], Sequence[str]], number: int, seed: int) -> Table:
    """As many runs of an ordinary program, in an order of its own."""
    chance = random.Random(seed)
    commands = [" ".join(words(one, chance)) for one in range(number)]
    chance.shuffle(commands)
    return table([(0, "make", "all", "all"), *((1, "tool", command, command) for command in commands)])


def drawn(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits, k=10))


def telling_word(number: int, chance: random.Random) -> Sequence[str]:
    return f"--tmp=/t/{drawn(chance)}", f"--in=item{number}", "-v"


def nothing_in_common(number: int, chance: random.Random) -> Sequence[str]:
    return drawn(chance), drawn(chance), drawn(chance)


def other_words(number: int, chance: random.Random) -> Sequence[str]:
    word = "".join(chance.choices(string.ascii_lowercase, k=8))
    return f"--name={word}", f"--size={chance.randrange(10)}", "--verbose", f"out/{word}.txt"


def vocabulary(number: int, chance: random.Random) -> Sequence[str]:
    """Twelve words that both sides have, rare and frequent ones, and none of the commands twice."""
    return [f"w{min(int(chance.paretovariate(0.6)), 5000)}" for _ in range(12)]


def long_commands(number: int, chance: random.Random) -> Sequence[str]:
    fixed = random.Random(number)
    words = [f"--option{place}=value{fixed.randrange(1000)}" for place in range(40)]
    for _ in range(4):
        words[chance.randrange(40)] = drawn(chance)
    return words


def programs(prefix: str) -> Table:
    lines = [(1, f"{prefix}{number}", f"run {number}", f"run {number}") for number in range(NUMBER)]
    return table([(0, "make", "all", "all"), *lines])


def of_tool(words: Callable[[int, random.Random], Sequence[str]], fewer: int) -> tuple[Table, Table]:
    return tools(words, NUMBER, 1), tools(words, NUMBER - fewer, 2)


KINDS: dict[str, Callable[[], tuple[Table, Table]]] = {
    "equal": lambda: (compiles(), compiles()),
    "a flag more": lambda: (compiles(), compiles(f"{FLAGS} -DX")),
    "another directory, a flag more": lambda: (compiles(), compiles(f"{FLAGS} -DX", directory="lib")),
    "another compiler": lambda: (compiles(), compiles(driver="clang")),
    "a launcher before each compile": lambda: (compiles(), compiles(launcher="wrap")),
    "another launcher before each compile": lambda: (compiles(launcher="wrap"), compiles(launcher="cover")),
    "shells' texts, compilers below": lambda: (shells(FLAGS), shells(f"{FLAGS} -DX")),
    "shells' texts, tools below": lambda: (shells(FLAGS, "tool"), shells(f"{FLAGS} -DX", "tool")),
    "shells' texts, other tools below": lambda: (shells(FLAGS, "tool"), shells(f"{FLAGS} -DX", "other")),
    "drawn names, a telling word": lambda: of_tool(telling_word, 0),
    "drawn names, a telling word, some gone": lambda: of_tool(telling_word, 100),
    "nothing in common": lambda: of_tool(nothing_in_common, 0),
    "nothing in common, some gone": lambda: of_tool(nothing_in_common, 100),
    "other words": lambda: of_tool(other_words, 0),
    "other words, some gone": lambda: of_tool(other_words, 100),
    "words of one vocabulary": lambda: of_tool(vocabulary, 100),
    "long commands": lambda: of_tool(long_commands, 100),
    "other programs": lambda: (programs("one"), programs("other")),
    "drawn programs": lambda: (programs("aX1b"), programs("cY2d")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what was changed; all of them without one")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for name, build in KINDS.items():
        if options.names and name not in options.names:
            continue
        before, after = build()
        seconds = []
        for _ in range(options.repetitions):
            begin = time.process_time()
            pairs = match(before, after).pairs
            seconds.append(time.process_time() - begin)
        rows.append([name, len(before), len(after), len(pairs), min(seconds), statistics.median(seconds)])
    print(tabulate(rows, ["changed", "nodes", "nodes", "paired", "least s", "median s"], floatfmt=".2f"))


if __name__ == "__main__":
    main()
