"""Ordinary changes to a build, and what an engineer would say of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ADD_TINY_UNIT", "BY_NAME", "COSTLY_WRAPPERS", "C_CHANGES", "LONG_STEP", "WRAPPERS", "Row"]


class Row(NamedTuple):
    """``change`` is a shell script that runs in the project; the rest is as in Outcome.expect().

    ``blames``: what the key of each cause of a regression has.
    """

    name: str
    change: str
    verdict: str
    says: str = ""
    needs: str = "make"
    rounds: int = 1
    blames: str = ""
    flags: tuple[str, ...] = ()


def flags(added: str) -> str:
    return f"sed -i 's/^CFLAGS = -O1/& {added}/' Makefile"


COMPILE = r"\t\$(CC) \$(CFLAGS) -Isrc -c -o \$@ \$<"
ADD_UNIT = "sed 's/parse_/fresh_/g' src/parse.c > src/fresh.c; sed -i 's/^UNITS = .*/& fresh/' Makefile"

#: An assembler's run takes a few milliseconds, and the build some seconds.
ADD_TINY_UNIT = "touch src/tiny.s; sed -i 's/^build.libunits.a:.*/&\\n\\tas -o build\\/tiny.o src\\/tiny.s/' Makefile"
LONG_STEP = "sed -i 's/^exec/awk \"BEGIN { while (n < 30000000) n++ }\"\\n&/' build.sh"

HEAVIER_HEADER = 'for n in $(seq 20000); do echo "struct s$n { int a, b; struct s$n *next; };"; done >> src/all.h'

C_CHANGES = (
    Row("nothing", ":", "ok"),
    Row("define", flags("-DVERSION=123"), "ok", r"^command changed: 12 x gcc, \+ -DVERSION=123$"),
    Row("option moved", "sed -i 's/ -Isrc -c / -Isrc /; s/(CC) .(CFLAGS)/(CC) -c $(CFLAGS)/' Makefile", "ok"),
    Row("more jobs", "sed -i s/-j2/-j3/ build.sh", "ok", "^command changed: make, -j3 instead of -j2$"),
    Row("hash in a define", flags("-DREV=$(git rev-parse --short HEAD)"), "ok", r"12 x gcc, \+ -DREV="),
    Row("date in a define", flags("-DDATE=$(date +%s)"), "ok", r"12 x gcc, \+ -DDATE="),
    Row(
        "costlier optimisation",
        "sed -i s/-O1/-O2/ Makefile",
        "slower",
        r"^cc1 src/\w+(/\w+)?\.c: (cpu|user|wall) (\+|x).*because its command has -O2 instead of -O1 \(as 11 more\)",
        rounds=5,
        blames=r"/(gcc|cc1|as)\[|^\(",
    ),
    Row(
        "costliest optimisation",
        "sed -i s/-O1/-O3/ Makefile",
        "regression",
        r"^cc1 src/parse\.c: (cpu|user|wall) (\+|x).*because its command has -O3 instead of -O1 \(as 11 more\)",
        rounds=3,
        blames=r"/(gcc|cc1|as)\[|^\(",
    ),
    Row("heavier header", HEAVIER_HEADER, "slower", rounds=3, blames=r"/(gcc|cc1)\[|^\("),
    Row("cheaper optimisation", "sed -i s/-O1/-O0/ Makefile", "not worse", "12 x gcc, -O0 instead of -O1"),
    Row(
        "unit removed",
        "sed -i 's/= parse/=/' Makefile",
        "not worse",
        r"cc1 src/parse.c no longer runs: -.* of the build",
    ),
    Row("unit added", ADD_UNIT, "regression", r"^cc1 src/fresh.c is new: \+.* of processor time, .* % of the build"),
    Row(
        "trifle added",
        "sed -i 's/^all: .*/&\\n\\ttrue > build\\/done\\n\\tchmod +x build\\/done/' Makefile",
        "ok",
        r"chmod \+x build/done is new: \+.* of processor time, .* % of the build",
    ),
    Row(
        "every unit compiled twice",
        f"sed -i 's/^{COMPILE}$/&\\n&/' Makefile",
        "regression",
        r"^cc1 src/parse.c runs twice instead of once: \+.* of the build",
    ),
    Row("warm ccache", "sed -i 's/^CC = /&ccache /' Makefile; ./build.sh; make clean", "not worse", "", "ccache"),
    Row(
        "unit added that costs less than the smallest effect that matters",
        ADD_UNIT,
        "ok",
        r"^cc1 src/fresh.c is new: \+.* of processor time, .* % of the build",
        flags=("--ptreetime-min-effect=structure=60",),
    ),
    Row(
        "echo in each recipe",
        r"sed -i 's/^\t.(CC).*-c -o.*/\techo CC $@\n&/' Makefile",
        "ok",
        r"^12 x echo are new: \+",
    ),
    Row(
        "a program for each of 150 words",
        r"""sed -i 's/^\t.(AR).*/&\n\tfor n in $$(seq 150); do expr $$n + 1; done >\/dev\/null/' Makefile""",
        "regression",
        r"^sh -c for n in .*expr.* is new: \+.* of processor time, .* % of the build",
    ),
    Row(
        "all of it again by another make",
        r"printf 'all: again\nagain: build/app\n\tmake -s clean\n\tmake -s build/app\n' >> Makefile",
        "regression",
        r"^(12 x cc1 compile files again|cc1 src/parse.c is new, so that its file is compiled twice.*): \+",
    ),
    Row(
        "arguments in a file",
        r"""sed -i 's/^\t.(CC) .*-c -o.*/\techo "$(CFLAGS) -Isrc -c -o $@ $<" > $@.rsp\n\t$(CC) @$@.rsp/' Makefile""",
        "ok",
        r"command changed: gcc, \+ @build/",
    ),
    Row("two units swapped", "sed -i 's/parse lexer/lexer parse/' Makefile", "ok"),
    Row("unit renamed", "git mv src/json.c src/jason.c; sed -i s/json/jason/ Makefile", "ok"),
    Row("directory renamed", "git mv src code; sed -i s/src/code/g Makefile", "ok", "12 x gcc, code instead of src"),
    Row("mkdir added", r"sed -i 's/^\t.(AR)/\tmkdir -p build\/more\n&/' Makefile", "ok", "^mkdir -p build/more is new"),
    Row("recipe in a shell", r"sed -i 's/^\(\t.*-c -o.*\)$/\tsh -c \"\1\"/' Makefile", "ok"),
    Row("a variable of make", "sed -i 's/all$/V=1 all/' build.sh", "ok", r"command changed: make, \+ V=1"),
    Row(
        "compiler by another name",
        "sed -i 's/^CC = .*/CC = x86_64-linux-gnu-gcc/' Makefile",
        "ok",
        "",
        "x86_64-linux-gnu-gcc",
    ),
    Row(
        "a script as the compiler",
        """printf '#!/bin/sh\\ngcc "$@"\\n' > mycc; chmod +x mycc; sed -i 's/^CC = .*/CC = .\\/mycc/' Makefile""",
        "ok",
        "mycc.* stands? in front now",
    ),
)

BY_NAME = {row.name: row for row in C_CHANGES}

#: Programs in front of make; what runs below them is compared with itself.
WRAPPERS = (
    "env A=b",
    "time",
    "nice -n 1",
    "timeout 600",
    "fakeroot",
    "eatmydata",
    "faketime 2020-01-01",
    "flock lock -c",
    "su -c",
    "script -qec",
    "env -S",
    "bash -c",
    "env A=b nice -n 1 time",
)
#: These cost 9 % and more of a build, which the build's own row may say.
COSTLY_WRAPPERS = ("strace -f -o /dev/null", "proot")
