"""The subjects and the commands of the nodes of one tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pytest_ptreetime.keys.arguments import ArgumentNormalizer, printable
from pytest_ptreetime.keys.decoding import Decoded, encoded_args
from pytest_ptreetime.keys.directories import Directories
from pytest_ptreetime.keys.identity import ARROW, FORK
from pytest_ptreetime.keys.program_arguments import ProgramArguments
from pytest_ptreetime.keys.subjects import File, Rule, Subject, is_driver, may_name_output, rule_of
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["NodeSubjects"]

_Command = tuple[str, bytes | None, tuple[bytes, ...]]  # a name, the directory, the arguments

MOST_WORDS = 4_000
LONGEST_WORD = 2_000
MOST_LEVELS = 16  # of programs that work on what their parent works on
_PID = re.compile(r"(?<!\d)\d{3,7}(?!\d)")  # fewer digits are a version or an amount too often


class NodeSubjects:
    """What each node of a tree works on.

    It is worked out once for each argument and each command, but for those of compilers' inner programs, which differ
    all the time: they have temporary files' names. A large build has millions of nodes, and few that differ.

    Where one main file is compiled to several outputs, the output belongs to the subject: ``a.c -> pic/a.o``. That is
    known when all of the tree has been looked at, so learn_outputs() comes first.

    :param wrapped: the nodes that only pass a command on, and what each passes it to (wrappers.py).
    :param normalize_hook: gives a node's words; None leaves them to the rules.
    """

    def __init__(
        self,
        directories: Directories,
        substitutions: Substitutions,
        decoded: Decoded,
        wrapped: Mapping[ProcessNode, ProcessNode | None],
        normalize_hook: Callable[[ProcessNode], Sequence[str] | None] | None = None,
    ) -> None:
        self._normalizer = ArgumentNormalizer(directories, substitutions, decoded)
        self._substitutions = substitutions
        self._decoded = decoded
        self._wrapped = wrapped
        self._hook = normalize_hook
        self._names: dict[str, str] = {}
        self._commands: dict[_Command, str] = {}
        self._inner: set[str] = set()  # names of inner programs
        self._outputs: dict[str, set[str]] = {}  # by main file
        self._compiles: dict[_Command, Subject | None] = {}

    def learn_outputs(self, nodes: Iterable[ProcessNode]) -> None:
        """Which main files are compiled to several outputs."""
        decoded = self._decoded
        names: dict[str, bool] = {}
        for node in nodes:
            name = decoded.names[node]
            known = names.get(name)
            if known is None:
                known = names[name] = may_name_output(name)
            program = node._program
            if not known or program is None or program.args is None:
                continue
            command = name, program.cwd, program.args
            if command in self._compiles:
                continue
            cwd = decoded.cwd(node)
            self._compiles[command] = found = self._found(node, self._rule(node), cwd)
            if found is None:
                continue
            if found.made is not None:
                self._outputs.setdefault(self._own(cwd, found), set()).add(self._part(cwd, found.made))
            for source in found.sources:
                self._outputs.setdefault(self._part(cwd, source), set()).add(self._own(cwd, found))

    def name(self, name: str) -> str:
        """The name of a program, after the user's substitutions."""
        if not self._substitutions:
            return name
        stable = self._names.get(name)
        if stable is None:
            stable = self._names[name] = self._substitutions.apply(name) or name
        return stable

    def of(self, node: ProcessNode, levels: int = MOST_LEVELS) -> str:
        """The subject as one line of text, uncut; empty where there is nothing to say."""
        if self._hook is not None and (given := self._hook(node)) is not None:
            return " ".join(map(printable, filter(None, given)))
        if not node._execed and node.forked_only:
            return FORK
        inner = self._wrapped.get(node)
        if inner is not None and levels and self._is_known(inner):
            return f"{self.name(self._decoded.names[inner])} {self.of(inner, levels - 1)}".rstrip()
        name = self._decoded.names[node]
        program = node._program
        if program is None or program.args is None or name in self._inner:
            return self._worked_out(node, name, levels, None)
        command = name, program.cwd, program.args
        known = self._commands.get(command)
        if known is None:
            known = self._worked_out(node, name, levels, self._compiles.get(command))
            if name not in self._inner:
                self._commands[command] = known
        return known

    def _is_known(self, node: ProcessNode) -> bool:
        """Whether its program has a rule, or it passes on one that has."""
        for _ in range(MOST_LEVELS):
            inner = self._wrapped.get(node)
            if inner is None:
                break
            node = inner
        return self._rule(node) is not None

    def _rule(self, node: ProcessNode) -> Rule | None:
        args = encoded_args(node)
        if args is None:
            return None
        return rule_of(self._decoded.names[node], self._decoded[args[1]] if len(args) > 1 else "")

    def _worked_out(self, node: ProcessNode, name: str, levels: int, found: Subject | None) -> str:
        args, cwd = encoded_args(node), self._decoded.cwd(node)
        if args is None:
            return ""
        rule = self._rule(node) if found is None else None
        found = found or self._found(node, rule, cwd)
        if found is None:
            # Asking a compiler for its version is the same everywhere.
            directory = self._normalizer.directory(cwd) if rule is None else ""
            return self._all_arguments(cwd, directory, name, args)
        if found.of_parent or not is_driver(name):
            self._inner.add(name)
        own = self._own(cwd, found)
        if found.made is not None and len(self._outputs.get(own, ())) > 1:
            return own + ARROW + self._part(cwd, found.made)
        return self._with_parent(node, found, own, levels)

    def _found(self, node: ProcessNode, rule: Rule | None, cwd: str | None) -> Subject | None:
        return None if rule is None else rule(ProgramArguments(self._decoded.text(node), cwd))

    def _own(self, cwd: str | None, found: Subject) -> str:
        return " ".join(filter(None, [self._part(cwd, part) for part in found.parts]))

    def _part(self, cwd: str | None, part: str) -> str:
        if not isinstance(part, File):
            return self._normalizer.part(cwd, part)
        file = self._normalizer.file(cwd, part)
        return "" if file == "." else file

    def _with_parent(self, node: ProcessNode, found: Subject, own: str, levels: int) -> str:
        """``own``, or what the parent works on, where it knows better."""
        parent = node.previous_image or node.parent
        while parent is not None and parent.forked_only:
            parent = parent.previous_image or parent.parent
        if parent is None or not levels:
            return own
        drives = is_driver(self._decoded.names[parent])
        if found.of_parent or (found.of_driver and drives):
            words = [] if found.of_driver else [own]
            return " ".join(filter(None, [*words, self.of(parent, levels - 1)]))
        if drives:
            main = own.rpartition(" ")[2]
            driver = self.of(parent, levels - 1)
            if driver.startswith(main + ARROW):
                return own + driver[len(main) :]
            if driver != main and len(self._outputs.get(main, ())) > 1:  # it compiles and links
                return own + ARROW + driver
        return own

    def _all_arguments(self, cwd: str | None, directory: str, name: str, args: Sequence[bytes | str]) -> str:
        words = self._normalizer.arguments(cwd, args[self._begin(name, args) :])
        return " ".join([f"{directory}:", *words] if directory else words)

    def words(self, node: ProcessNode) -> tuple[str, ...]:
        """Its command: the normalised arguments; of a program of the build itself, which one comes first."""
        if self._hook is not None and (given := self._hook(node)) is not None:
            return tuple(map(printable, given))
        decoded, normalizer = self._decoded, self._normalizer
        args = encoded_args(node)
        if not args or node.forked_only:
            return ()
        cwd = decoded.cwd(node)
        begin = self._begin(decoded.names[node], args)
        words = _without_own_pids(node, normalizer.arguments(cwd, args[begin : begin + MOST_WORDS]))
        if max(map(len, words), default=0) > LONGEST_WORD:
            words = [word[:LONGEST_WORD] for word in words]
        program = decoded[args[begin - 1]]
        if begin == 1 and "/" not in program:
            program = decoded.exe(node) or ""
        path = normalizer.file_of_build(cwd, program) if "/" in program else ""
        return (path[:LONGEST_WORD], *words) if path else tuple(words)

    def _begin(self, name: str, args: Sequence[bytes | str]) -> int:
        """Where the arguments begin that a program was given: a script's own name comes after its interpreter's."""
        decoded = self._decoded
        return 2 if len(args) > 1 and decoded[args[1]].endswith(name) and not decoded[args[0]].endswith(name) else 1


def _without_own_pids(node: ProcessNode, words: Sequence[str]) -> Sequence[str]:
    """``*`` for the number of the process or of one above it: ``conf$$.file``, ``--parent=$$``."""
    if not any(map(_PID.search, words)):
        return words
    pids: set[str] = set()
    above: ProcessNode | None = node
    while above is not None:
        pids.add(str(above.pid))
        above = above.parent
    return [_PID.sub(lambda number: "*" if number[0] in pids else number[0], word) for word in words]
