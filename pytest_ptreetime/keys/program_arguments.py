"""The arguments of one run, as the rules of subjects.py look at them."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Collection

__all__ = ["C_VALUED", "ProgramArguments", "is_temporary", "words_of"]


def words_of(text: str) -> frozenset[str]:
    """The words of ``text``: a table of options is easier to read so."""
    return frozenset(text.split())


#: Options of the C family's compilers, assemblers and linkers whose value is the next argument.
C_VALUED = words_of(
    "-o -MF -MT -MQ -MD -MMD -dumpbase -dumpdir -dumpbase-ext -auxbase -auxbase-strip -include -imacros -I -isystem"
    " -iquote -idirafter -iprefix -iwithprefix -isysroot -D -U -L -l -x -imultiarch -iplugindir -target -arch -Xclang"
    " -Xlinker -Xassembler -Xpreprocessor -u -T -z -m -plugin -rpath -soname -dynamic-linker -e --param -framework"
    " -install_name -current_version -compatibility_version -aux-info -wrapper -specs"
)
# What lies right in a temporary directory, and what programs make for themselves wherever TMPDIR is: gcc's ccAbC123.s,
# clang's a-1a2b3c.o, mktemp's and Python's, what is below rustc's directory, and what ccache has preprocessed.
_TEMPORARY = re.compile(
    r"""
    ^ (?: /private )? (?: /tmp | /var/tmp | /dev/shm | /var/folders/[^/]+/[^/]+/T ) / [^/]+ $
    | (?: ^ | / ) cc (?= [a-z]{0,5} [A-Z0-9] ) [A-Za-z0-9]{6} (?: \. [^/]* )? $
    | / cc [a-z]{6} \. (?: [sio] | ii | res | le | ld | args | ltrans [^/]* ) $  # one in 200 of gcc's
    | -[0-9a-f]{6,8}\.[os] $
    | (?: ^ | / ) (?: tmp\.[A-Za-z0-9]{6,12} | tmp(?=[a-z_]{0,7}[0-9])[a-z0-9_]{8} ) (?: [./] | $ )
    | (?: ^ | / ) rustc[A-Za-z0-9]{6} /
    | (?: ^ | / ) cpp_stdout [^/]* $
    """,
    re.VERBOSE,
)


class ProgramArguments:
    """The arguments of one run.

    :param text: all of them, element 0 included, with a NUL before and behind each: a text is looked through faster
        than a list.
    :param cwd: the directory in which it runs, where that is known.
    """

    __slots__ = ("_words", "cwd", "text")

    def __init__(self, text: str, cwd: str | None = None) -> None:
        self.text = text
        self.cwd = cwd
        self._words: list[str] | None = None

    @property
    def words(self) -> list[str]:
        """Them, without element 0."""
        if self._words is None:
            self._words = self.text.split("\0")[2:-1]
        return self._words

    def has(self, word: str) -> bool:
        """Whether one of them is ``word``."""
        return f"\0{word}\0" in self.text

    def value(self, option: str) -> str | None:
        """The argument after ``option``, or after ``option=``."""
        if option not in self.text:
            return None
        found = _option(option).search(self.text)
        return None if found is None else found[1]

    def first_value(self, *options: str) -> str | None:
        """The value of the first of ``options`` that has one."""
        return next(filter(None, map(self.value, options)), None)

    def output(self) -> str | None:
        """The value of ``-o``, behind it or in the same argument."""
        output = self.value("-o")
        if output is None and "\0-o" in self.text:
            output = next((word[2:] for word in self.words if word.startswith("-o") and len(word) > 2), None)
        return output

    def positional(self, valued: Collection[str] = C_VALUED) -> list[str]:
        """What is neither an option, nor the value of one of ``valued``, nor a file of arguments (``@file``)."""
        found = []
        before = ""
        for word in self.words:
            if (word[:1] not in ("-", "@", "") or word == "-") and before not in valued:
                found.append(word)
            before = word
        return found

    def before(self, *following: str) -> str | None:
        """The argument right before ``following`` arguments, of which the last may be the beginning of one."""
        place = self.text.find("\0" + "\0".join(following))
        begin = self.text.rfind("\0", 0, place)
        return None if place <= 0 or begin <= 0 else self.text[begin + 1 : place]

    def path_of(self, base: str) -> str:
        """The argument that is a path to the file ``base``, else ``base``; the last one counts."""
        ending = f"/{base}\0"
        last = self.text.rfind(ending)
        while last >= 0:
            before = self.text.rfind("\0", 0, last)
            if before <= 0:  # the program itself
                break
            path = self.text[before + 1 : last + len(ending) - 1]
            option = self.text[self.text.rfind("\0", 0, before) + 1 : before]
            if not path.startswith("-") and not option.startswith("-dump"):
                return path
            last = self.text.rfind(ending, 0, last)
        return base

    def absolute(self, path: str) -> str:
        """``path`` from the file system's root, where the working directory is known."""
        return path if self.cwd is None else posixpath.normpath(posixpath.join(self.cwd, path))


@functools.cache
def _option(option: str) -> re.Pattern[str]:
    return re.compile(f"\0{re.escape(option)}[\0=]([^\0]*)\0")


def is_temporary(path: str) -> bool:
    """Whether ``path`` is a file that some program made for itself, whose name says nothing."""
    # Nearly all files have none of these, which is told in a fraction of the time.
    telling = "tmp" in path or "cc" in path or "-" in path or "/T/" in path or "/shm/" in path or "cpp_" in path
    return (telling or "rustc" in path) and _TEMPORARY.search(path) is not None
