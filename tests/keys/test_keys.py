from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import ROOT, Simulation, simulations

from pytest_ptreetime.errors import NativeHelperMissing, TracerUnavailable, UsageError
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.keys.program_arguments import is_temporary
from pytest_ptreetime.keys.subjects import subject
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.session.run import record
from pytest_ptreetime.tree.process_tree import ProcessNode, build_tree

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "calc"


def key_of(*args: str, cwd: str = "/b", root_cwd: str = "/b", keyer: Keyer | None = None, pid: int = 20) -> str:
    """The key of one process below ``make``, without ``make/``."""
    simulation = Simulation().start(cwd=root_cwd.encode()).create(pid)
    simulation.exec(pid, *(word.encode("utf-8", "surrogateescape") for word in args), cwd=cwd.encode()).exit(pid)
    tree = build_tree(simulation.end())
    return (keyer or Keyer()).keys(tree)[tree.root.children[0]].removeprefix("make/")


def keys(simulation: Simulation) -> list[str]:
    return [node.key for node in build_tree(simulation.end())]


def test_command_has_a_star_for_the_number_of_the_process_and_of_those_above_it() -> None:
    """``$$`` in a container is small, and no other build has that number."""

    def words(shell: int) -> tuple[str, ...]:
        simulation = Simulation().start().create(shell).exec(shell, b"sh", b"x.sh")
        own = b"--pid=%d" % (shell + 1)
        simulation.run(shell + 1, b"cp", b"a", b"conf%d.file" % shell, own, b"-l559x", b"-b1000559", parent=shell)
        tree = build_tree(simulation.exit(shell).end())
        return Keyer().named(tree)[1][tree.find(name="cp")[0].key].words

    assert words(588) == ("a", "conf*.file", "--pid=*", "-l559x", "-b1000559")
    assert words(120) == words(588)


@pytest.mark.parametrize("drawn", ["ccpcyomq", "ccAb12Cd", "ccABCDEF"])
def test_gccs_temporary_files_are_known_whatever_name_is_drawn(drawn: str) -> None:
    assert is_temporary(f"scratch/{drawn}.ltrans0.ltrans.o")
    assert is_temporary(f"/builds/scratch/{drawn}.s")
    assert not is_temporary("src/ccsource.c")


@pytest.mark.parametrize("drawn", [b"ccXy12Zz", b"ccabcdef", b"ccABCDEF", b"cc123456"])
def test_assembler_works_on_what_its_driver_does_whatever_name_is_drawn_wherever_tmpdir_is(drawn: bytes) -> None:
    simulation = Simulation().start().create(1).exec(1, b"gcc", b"-o", b"app", b"app.c")
    files = [b"/builds/tmp/%s.%s" % (drawn, suffix) for suffix in (b"o", b"s")]
    found = keys(simulation.run(2, b"as", b"--64", b"-o", *files, parent=1).exit(1))
    assert found == ["make", "make/gcc[app]", "make/gcc/as[app]"]


class TestPaths:
    def test_key_is_the_names_from_the_root_and_the_own_arguments(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"gcc", b"-c", b"a.c").run(2, b"cc1", b"a.c", parent=1)
        assert keys(simulation.exit(1)) == ["make", "make/gcc[a.c]", "make/gcc/cc1[a.c]"]

    @pytest.mark.parametrize(("program", "renamed"), [(b"gcc", 0), (b"generator", 1)])
    def test_changed_option_renames_its_node_where_the_program_is_not_known_and_nothing_below(
        self, program: bytes, renamed: int
    ) -> None:
        def build(option: bytes) -> list[str]:
            simulation = Simulation().start().create(1).exec(1, program, option, b"a.c")
            return keys(simulation.run(2, b"cc1", option, b"a.c", parent=1).exit(1))

        before, after = build(b"-O2"), build(b"-O3")
        assert sum(old != new for old, new in zip(before, after, strict=True)) == renamed

    def test_program_that_was_copied_to_a_temporary_file_is_what_argument_0_says(self) -> None:
        """proot runs its loader, under a drawn name, in place of every program."""
        simulation = Simulation().start((b"proot", b"make"))
        loader = {"name": b"prooted-12011-W", "exe": b"/tmp/prooted-12011-W0YHmT"}
        simulation.create(1).exec(1, b"make", **loader).create(2, 1).exec(2, b"/usr/bin/gcc", b"-c", b"a.c", **loader)
        simulation.create(3, 2).exec(3, b"/usr/lib/gcc/cc1", b"-quiet", b"a.c", b"-o", b"/tmp/ccAb12Cd.s", **loader)
        found = keys(simulation.exit(3).exit(2).exit(1))
        assert found == ["proot[make]", "make", "make/gcc[a.c]", "make/gcc/cc1[a.c]"]

    def test_exec_in_place_and_fork_give_the_same_path(self) -> None:
        script = (b"sh", b"-c", b"true && gcc $FLAGS a.c")
        forked = Simulation().start().create(1).exec(1, *script).run(2, b"gcc", b"-g", b"a.c", parent=1).exit(1)
        in_place = Simulation().start().create(1).exec(1, *script).exec(1, b"gcc", b"-g", b"a.c").exit(1)
        assert keys(forked) == keys(in_place)

    def test_subshell_is_not_in_the_path(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh", b"x.sh").create(2, 1).run(3, b"gcc", parent=2)
        assert keys(simulation.exit(2).exit(1))[2:] == ["make/sh/sh(fork)", "make/sh/gcc"]

    @pytest.mark.promise("stable-keys")
    @pytest.mark.parametrize(
        "wrapper",
        [
            [b"env", b"CC=gcc"], [b"nice", b"-n", b"10"], [b"time", b"-p"], [b"ccache"],
            [b"bwrap", b"--unshare-net", b"--"], [b"strace", b"-f", b"-o", b"/tmp/trace"],
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("forks", [False, True])
    def test_wrapper_on_top_renames_nothing_below(self, wrapper: list[bytes], forks: bool) -> None:
        command = [b"/usr/bin/gcc", b"-c", b"a.c"]
        plain = Simulation().start().create(1).exec(1, *command).run(2, b"cc1", b"a.c", parent=1).exit(1)
        wrapped = Simulation().start().create(5).exec(5, *wrapper, b"gcc", b"-c", b"a.c")
        if forks:
            wrapped.create(1, 5).exec(1, *command).run(2, b"cc1", b"a.c", parent=1).exit(1).exit(5)
        else:
            wrapped.exec(5, *command).run(2, b"cc1", b"a.c", parent=5).exit(5)
        added = set(keys(wrapped)) - set(keys(plain))
        assert len(added) == 1
        assert set(keys(plain)) <= set(keys(wrapped))

    def test_wrapper_around_the_root_renames_nothing_below(self) -> None:
        wrapped = Simulation().start((b"time", b"make", b"-j2")).create(7).exec(7, b"make", b"-j2")
        wrapped.run(8, b"gcc", b"a.c", parent=7).exit(7)
        assert keys(wrapped)[1:] == keys(Simulation().start().run(8, b"gcc", b"a.c"))

    def test_wrapper_that_runs_helpers_renames_nothing_below(self) -> None:
        """fakeroot is a script that runs getopt and faked before the command."""
        make = (b"make", b"-C", b"src")
        alone = Simulation().start(make, cwd=b"/w").create(2).exec(2, b"gcc", b"-c", b"a.c", cwd=b"/w/src").exit(2)
        wrapped = Simulation().start((b"/bin/sh", b"/usr/bin/fakeroot", *make), cwd=b"/w")
        wrapped.run(3, b"getopt", b"--", *make).run(4, b"faked").create(5).exec(5, *make, cwd=b"/w")
        wrapped.create(6, 5).exec(6, b"gcc", b"-c", b"a.c", cwd=b"/w/src").exit(6).exit(5)
        assert keys(alone) == ["make", "make/gcc[a.c]"]
        assert keys(wrapped)[-2:] == keys(alone)
        shell = Simulation().start((b"sh", b"-c", b"umask 2; fakeroot make -C src"), cwd=b"/w").create(2)
        shell.exec(2, b"/bin/sh", b"/usr/bin/fakeroot", *make, name=b"fakeroot", cwd=b"/w").run(3, b"faked", parent=2)
        shell.create(5, 2).exec(5, *make, cwd=b"/w").create(6, 5).exec(6, b"gcc", b"-c", b"a.c", cwd=b"/w/src")
        assert keys(shell.exit(6).exit(5).exit(2))[-2:] == keys(alone)

    def test_sandbox_that_forks_itself_renames_nothing_below(self) -> None:
        wrapped = Simulation().start().create(5).exec(5, b"bwrap", b"--", b"gcc", b"a.c").create(6, 5)
        wrapped.create(7, 6).exec(7, b"gcc", b"a.c").run(8, b"cc1", b"a.c", parent=7).exit(7).exit(6).exit(5)
        assert keys(wrapped)[-1] == "make/gcc/cc1[a.c]"

    def test_launcher_that_changes_the_arguments_is_known_by_name(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"gcc", b"a.c", exe=b"/usr/bin/ccache")
        simulation.run(2, b"gcc", b"-E", b"a.c", parent=1).run(3, b"gcc", b"-c", b"x.i", parent=1).exit(1)
        assert keys(simulation)[2:] == ["make/gcc[-E a.c]", "make/gcc[x.i]"]

    @pytest.mark.parametrize(
        "script", [b"gcc -c 'a.c'", b": && gcc   -c a.c && :", b"exec gcc -c a.c", b"cd s; gcc -c a.c >log 2>&1"]
    )
    def test_shell_around_one_command_is_not_in_the_path(self, script: bytes) -> None:
        simulation = Simulation().start().create(1).exec(1, b"/bin/sh", b"-c", script)
        simulation.run(2, b"gcc", b"-c", b"a.c", parent=1).exit(1)
        assert keys(simulation)[2] == "make/gcc[a.c]"

    def test_shell_around_several_commands_is_in_the_path(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh", b"-c", b"gcc a.c; gcc b.c")
        simulation.run(2, b"gcc", b"a.c", parent=1).run(3, b"gcc", b"b.c", parent=1).exit(1)
        assert keys(simulation)[2:] == ["make/sh/gcc[a.c]", "make/sh/gcc[b.c]"]

    @pytest.mark.promise("order-of-events")
    @given(simulations(), st.randoms(use_true_random=False))
    def test_keys_do_not_depend_on_the_order_of_events(self, events: list[Event], randomness: random.Random) -> None:
        shuffled = list(events)
        randomness.shuffle(shuffled)
        assert [node.key for node in build_tree(shuffled)] == [node.key for node in build_tree(events)]

    def test_keys_of_a_parallel_build_are_those_of_the_serial_one(self) -> None:
        serial = Simulation().start().run(1, b"gcc", b"a.c").run(2, b"gcc", b"b.c")
        parallel = Simulation().start().create(2).create(1).exec(2, b"gcc", b"b.c").exec(1, b"gcc", b"a.c")
        assert sorted(keys(serial)) == sorted(keys(parallel.exit(1).exit(2)))


class TestCompilers:
    @pytest.mark.parametrize(
        ("command", "key"),
        [
            ("cc1 -quiet -I . src/lvm.c -quiet -dumpbase lvm.c -dumpbase-ext .c -O2 -o /tmp/ccv.s", "cc1[src/lvm.c]"),
            ("cc1plus -D_GNU_SOURCE /b/x/y.cc -quiet -dumpdir o/ -dumpbase y.cc -o /tmp/cc0.s", "cc1plus[x/y.cc]"),
            ("cc1 -E -quiet a.c -dumpbase a.c", "cc1[-E a.c]"),
            ("cc1 -fpreprocessed a.i -quiet", "cc1[a.i]"),
            (
                "clang-17 -cc1 -triple x86_64-linux-gnu -emit-obj -main-file-name lvm.c -o lvm.o -x c src/lvm.c",
                "clang-17[-cc1 x86_64-linux-gnu src/lvm.c]",
            ),
            ("clang -cc1as -triple arm64-apple -main-file-name a.s -o a.o a.s", "clang[-cc1as arm64-apple a.s]"),
            ("as --64 -o lvm.o /tmp/ccX.s", "as[lvm.o]"),
            ("as --64 -o /tmp/ccX.o /tmp/ccY.s", "as"),
            ("collect2 -plugin lto.so -dynamic-linker /lib64/ld.so -o lua /usr/lib/crt1.o lua.o", "collect2[lua]"),
            ("ld /usr/lib/crt1.o a.o", "ld[a.out]"),
            ("x86_64-linux-gnu-ld.bfd -o lib/x.so a.o", "x86_64-linux-gnu-ld.bfd[lib/x.so]"),
            ("ld.lld --version", "ld.lld[--version]"),
            ("ld -v -o x a.o", "ld[x]"),
            (
                "swift-frontend -frontend -c -primary-file Sources/A.swift Sources/B.swift -module-name Core -o A.o",
                "swift-frontend[Core Sources/A.swift]",
            ),
            (
                "rustc --crate-name serde /home/me/.cargo/crates.io-6f17d22bba15001f/serde/lib.rs --crate-type lib",
                "rustc[serde lib ~/.cargo/crates.io-6f17d22bba15001f/serde/lib.rs]",
            ),
            (
                "rustc --crate-name syn /root/.cargo/registry/src/index.example-6f17/syn-2.0.1/src/lib.rs",
                "rustc[syn syn-2.0.1/src/lib.rs]",
            ),
        ],
    )
    def test_inner_program_is_named_by_its_main_file(self, command: str, key: str) -> None:
        assert key_of(*command.split()) == key

    def test_main_file_is_relative_to_the_root_wherever_the_compiler_runs(self) -> None:
        assert key_of("cc1", "../src/a.c", "-dumpbase", "a.c", cwd="/b/lib") == "cc1[src/a.c]"
        assert key_of("cc1", "/b/src/a.c", "-dumpbase", "a.c", cwd="/b/lib") == "cc1[src/a.c]"

    def test_argument_with_a_nul_from_a_made_up_file_is_let_be(self) -> None:
        subject("cc1", ["cc1", "-dumpbase", "a.c", "q\0q\0q/a.c"])

    @pytest.mark.parametrize("program", ["lldb", "aspell", "cold", "python3", "makeinfo", "clang-tidy", "git-ar-x"])
    def test_ordinary_program_keeps_its_arguments(self, program: str) -> None:
        assert subject(program, [program, "-o", "x"]) is None

    @given(
        st.sampled_from(["cc1", "as", "ld", "collect2", "rustc", "swift-frontend", "clang", "f951"]),
        st.lists(
            st.sampled_from(
                ["-cc1", "-frontend", "-triple", "-main-file-name", "-dumpbase", "-o", "-E", "", "a.c", "-"]
            ),
            max_size=6,
        ),
    )
    def test_any_arguments_give_a_key(self, program: str, args: list[str]) -> None:
        assert key_of(program, *args).startswith(program)

    @pytest.mark.parametrize(
        ("command", "key"),
        [
            ("gcc -O2 -DV=1 -c src/a.c -o a.o", "gcc[src/a.c]"),
            ("x86_64-linux-gnu-gcc-12 -c a.c -o CMakeFiles/p.dir/a.c.o", "x86_64-linux-gnu-gcc-12[a.c]"),
            ("cc -fPIC -c a.c -o a.pic.o", "cc[a.c -> a.pic.o]"),
            ("cc -c a.c -o .libs/a.o", "cc[a.c -> .libs/a.o]"),
            ("gcc -E a.c -o a.i", "gcc[-E a.c]"),
            ("g++ -shared -o libx.so a.o b.o", "g++[libx.so]"),
            ("gcc -O2 --version", "gcc[-O2 --version]"),
            ("ar rcs libl.a a.o b.o", "ar[libl.a]"),
            ("ar x libl.a", "ar[x libl.a]"),
            ("strip -s bin/x", "strip[bin/x]"),
            ("cc1 src/net/util.c -quiet -dumpdir d/ -dumpbase util.c.c -dumpbase-ext .c", "cc1[src/net/util.c]"),
            ("cc1 -E /w/ccache/tmp/cpp_stdout.Ab.i -quiet -dumpbase a.c -dumpbase-ext .c", "cc1[-E a.c]"),
            ("lto1 -fltrans -dumpbase ./x.ltrans0.ltrans /tmp/ccAbCd12.ltrans0.o", "lto1[-fltrans x.ltrans0.ltrans]"),
            ("ccache gcc -O2 -c a.c", "ccache[a.c]"),
            ("compile -o /tmp/go-build1/b2/_pkg_.a -p net/http -buildid x/y -goversion go1.19", "compile[net/http]"),
            ("link -o /tmp/go-build17/b001/exe/a.out -importcfg i -buildid z", "link[b001/exe/a.out]"),
            ("rustc --crate-name build_script_build --edition=2021 build.rs", "rustc[build script build.rs]"),
            ("build-script-build", "build-script-build"),
            ("javac -d out -cp x.jar A.java", "javac[out]"),
            ("tsc -p web --incremental", "tsc[web]"),
            ("ocamlopt.opt -O3 -c -o x.cmx x.ml", "ocamlopt.opt[x.ml]"),
            ("make -j3 -C sub CFLAGS=-O1 all", "make[sub all]"),
            ("make -j 3 -k", "make"),
            ("ninja -C out -j4 app", "ninja[out app]"),
            ("cmake --build out -j 3 --target x", "cmake[--build out x]"),
            ("cmake -E cmake_echo_color --progress-num=3 Building", "cmake[-E cmake_echo_color Building]"),
        ],
    )
    def test_known_program_is_named_by_what_it_works_on(self, command: str, key: str) -> None:
        assert key_of(*command.split()) == key

    @pytest.mark.parametrize(
        "commands",
        [
            ("gcc -c x.c -o CMakeFiles/a.dir/x.c.o", "gcc -DB -c x.c -o CMakeFiles/b.dir/x.c.o"),
            ("gcc -c x.c -o x.o", "gcc -fPIC -c x.c -o objs/x.o"),
            ("gcc -c x.c", "gcc -fPIC -c x.c -o x.lo"),
            ("g++ -g -c src/x.cc -o Debug/x.o", "g++ -O2 -c src/x.cc -o Release/x.o"),
            ("ccache gcc -c x.c -o a/x.o", "ccache gcc -c x.c -o b/x.o"),
            ("gcc -E x.c -o x.i", "gcc -E -DB x.c -o y.i"),
        ],
    )
    def test_one_file_compiled_to_several_outputs_has_a_key_for_each(self, commands: tuple[str, str]) -> None:
        def build(commands: Sequence[str]) -> list[str]:
            simulation = Simulation().start()
            for pid, command in enumerate(commands):
                simulation.create(10 * pid + 10).exec(10 * pid + 10, *command.encode().split())
                source = next(word for word in command.encode().split() if word.endswith((b".c", b".cc")))
                simulation.run(10 * pid + 11, b"cc1", source, b"-quiet", parent=10 * pid + 10)
                simulation.run(10 * pid + 12, b"as", b"-o", b"/tmp/ccAb1234.o", parent=10 * pid + 10)
                simulation.exit(10 * pid + 10)
            return keys(simulation)

        both = build(commands)
        drivers = [key for key in both if key.startswith(("make/g", "make/ccache")) and key.count("/", 0, 10) == 1]
        assert len(set(drivers)) == 2
        assert build(commands[::-1])[1:] == [*both[4:], *both[1:4]]
        assert len(set(build(commands * 2))) == len(set(both))  # the same once more
        assert all(" -> " not in key for key in build(commands[:1]))
        if "-E" not in commands[0] and "ccache" not in commands[0]:
            assert len(set(both)) == 7

    def test_file_that_one_driver_compiles_and_another_compiles_and_links_has_a_key_for_each(self) -> None:
        def build(*commands: str) -> set[str]:
            simulation = Simulation().start()
            for pid, command in enumerate(commands):
                simulation.create(10 * pid + 10).exec(10 * pid + 10, *command.encode().split())
                for place, word in enumerate(command.encode().split()):
                    if word.endswith(b".c"):
                        simulation.run(10 * pid + 11 + place % 9, b"cc1", word, b"-quiet", parent=10 * pid + 10)
                simulation.exit(10 * pid + 10)
            return {key for key in keys(simulation) if "cc1" in key}

        library = "gcc -shared -fPIC x.c y.c -o libxy.so"
        assert build("gcc -c x.c", library) == {
            "make/gcc/cc1[x.c -> x.o]",
            "make/gcc/cc1[x.c -> libxy.so]",
            "make/gcc/cc1[y.c]",
        }
        assert build("gcc t.c x.c -o t", "gcc u.c x.c -o u") == {
            f"make/gcc/cc1[{file}]" for file in ("t.c", "u.c", "x.c -> t", "x.c -> u")
        }
        assert build(library) == {"make/gcc/cc1[x.c]", "make/gcc/cc1[y.c]"}

    def test_inner_programs_of_temporary_files_are_named_after_their_parent(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"gcc", b"-c", b"a.c", b"-o", b"a.pic.o")
        simulation.run(2, b"cc1", b"a.c", b"-quiet", b"-dumpbase", b"a.pic.c", parent=1)
        simulation.run(3, b"as", b"-o", b"/tmp/ccAb1234.o", b"/tmp/ccAb1235.s", parent=1).exit(1)
        assert [key.partition("[")[2] for key in keys(simulation)[1:]] == ["a.c -> a.pic.o]"] * 3

    def test_linker_of_rustc_is_named_after_the_crate(self) -> None:
        simulation = Simulation().start().create(1)
        simulation.exec(1, b"rustc", b"--crate-name", b"app", b"src/main.rs").create(2, 1)
        simulation.exec(2, b"cc", b"/tmp/rustcAbCdEf/symbols.o", b"-o", b"app-e27601").run(
            3, b"ld", b"-o", b"app-e27601", parent=2
        )
        assert [key.partition("[")[2] for key in keys(simulation.exit(2).exit(1))[1:]] == ["app src/main.rs]"] * 3

    def test_build_scripts_of_two_packages_have_keys_of_their_own(self) -> None:
        registry = "/root/.cargo/registry/src/index.example-6f17d22bba15001f"
        found = {key_of("/b/x/build-script-build", cwd=f"{registry}/{name}") for name in ("libc-0.2.5", "syn-2.0.1")}
        assert found == {"build-script-build[libc-0.2.5]", "build-script-build[syn-2.0.1]"}


class TestArguments:
    @pytest.mark.parametrize(
        "command", [["make", "-C", "{}"], ["sh", "-c", "make -C {}"], ["sh", "-c", "cd {} && make"]]
    )
    def test_directory_in_which_the_build_works_is_not_in_the_keys(self, command: list[str]) -> None:
        def build(directory: str) -> list[str]:
            words = [word.format(directory).encode() for word in command]
            where = f"/w/proj/{directory}".encode()
            simulation = Simulation().start(tuple(words), cwd=b"/w/proj")
            parent = ROOT
            if words[0] == b"sh":
                parent = 9
                inner = [b"make", b"-C", directory.encode()] if b"-C" in words[2] else [b"make"]
                simulation.create(9).exec(9, *inner, cwd=b"/w/proj" if len(inner) > 1 else where)
            simulation.create(10, parent).exec(10, b"gcc", b"-c", b"a.c", cwd=where).exit(10)
            return keys(simulation if parent == ROOT else simulation.exit(9))

        assert build("old") == build("new")
        assert build("old")[-1] == "make/gcc[a.c]"

    @pytest.mark.parametrize(
        ("argument", "stable"),
        [
            ("-I/b/include", "-Iinclude"),
            ("-DSRC=\"/b/src\"", "-DSRC=\"src\""),
            ("-ffile-prefix-map=/b=.", "-ffile-prefix-map=.=."),
            ("-isystem/b", "-isystem."),
            ("/b", "."),
            ("/bc/x", "/bc/x"),
            ("x/b/y", "x/b/y"),
            ("a:/b/c:/b", "a:c:."),
            ("/tmp/ccAbCdEf.s", "TMP/ccAbCdEf.s"),
            ("/tmp/run/tmp/a.o", "TMP/run/tmp/a.o"),
            ("-o/tmp/x8JqA2/out.o", "-oTMP/out.o"),
            ("/tmp/tmp.Ab3dEf9h12/a.c:/tmp/go-build12345678/b001", "TMP/a.c:TMP/b001"),
            ("/tmp/pytest-of-me/pytest-12/test_a0/a.c", "TMP/test_a0/a.c"),
            ("/scratch/tmp/pytest-of-me/pytest-12/test_a0/a.c", "TMP/test_a0/a.c"),
            ("/var/folders/ab/cdef012345/T/x.swift", "TMP/x.swift"),
            ("/dev/shm/sem.1234", "TMP/sem.1234"),
            ("/srv/tmp/a.c", "/srv/tmp/a.c"),
            ("/home/someone/x.c", "~/x.c"),
            ("-L/Users/someone/lib", "-L~/lib"),
            ("/homes/x", "/homes/x"),
            ("tmp.Ab3dEf9h12", "tmp.Ab3dEf9h12"),
            ("libx-0123456789abcdef.rlib", "libx-0123456789abcdef.rlib"),
            ("-DBUILT=2026-11-23 17:01:02", "-DBUILT=2026-11-23 17:01:02"),
            ("-O2", "-O2"),
            ("-std=c++20", "-std=c++20"),
        ],
    )  # fmt: skip
    def test_argument_is_made_stable(self, argument: str, stable: str) -> None:
        assert key_of("tool", argument) == f"tool[{stable}]"

    @pytest.mark.promise("stable-keys")
    def test_two_directories_give_the_same_keys(self) -> None:
        def build(top: str) -> list[str]:
            simulation = Simulation().start(cwd=f"{top}/build".encode()).create(1)
            for args in (
                ["gcc", f"-I{top}/src/include", "-c", f"{top}/src/a.c", "-o", f"{top}/build/a.o"],
                ["cc1", f"{top}/src/a.c", "-dumpbase", "a.c"],
            ):
                simulation.exec(1, *(word.encode() for word in args), cwd=f"{top}/build/lib".encode())
            return keys(simulation.exit(1))

        assert build("/home/me/project") == build("/tmp/x9/other") == build("/srv/ci/agents/7/work")
        assert build("/home/me/project")[1] == "make/gcc[../src/a.c]"

    def test_directory_of_a_process_tells_equal_commands_apart(self) -> None:
        assert key_of("tool", "a.c", cwd="/b/lib") == "tool[lib: a.c]"
        assert key_of("tool", "a.c", cwd="/b") == "tool[a.c]"
        assert key_of("gcc", "-c", "a.c", cwd="/b/lib") == "gcc[lib/a.c]"

    def test_script_is_named_once(self) -> None:
        simulation = Simulation().start().create(1)
        simulation.exec(1, b"/bin/sh", b"./configure", b"--prefix=/usr", name=b"configure").exit(1)
        assert keys(simulation)[1] == "make/configure[--prefix=/usr]"

    def test_long_arguments_are_cut_and_stay_different(self) -> None:
        one, two = (key_of("tool", "-I" + "x" * 500, middle, "y" * 500, "last.c") for middle in ("a", "b"))
        assert one != two
        assert max(len(one), len(two)) < 170
        assert one.endswith("last.c]")

    def test_deep_path_is_cut(self) -> None:
        simulation = Simulation().start()
        for pid in range(ROOT + 1, ROOT + 300):
            simulation.create(pid, pid - 1).exec(pid, b"program%d" % pid)
        for pid in range(ROOT + 299, ROOT, -1):
            simulation.exit(pid)
        found = keys(simulation)
        assert max(map(len, found)) < 400
        assert len(set(found)) == len(found)

    def test_key_can_be_printed_and_encoded_whatever_the_argument(self) -> None:
        key = key_of("x", "a\n\x1b[31mred\u202e", "\udcff<script>")
        assert key == "x[a \\x1b[31mred\\u202e \\udcff<script>]"

    @given(st.lists(st.text(max_size=30), max_size=4))
    def test_key_of_any_arguments_is_one_printable_line(self, args: list[str]) -> None:
        words = [
            word.encode("utf-8", "surrogatepass").replace(b"\0", b"").decode("utf-8", "surrogateescape")
            for word in args
        ]
        key = key_of("x", *words)
        assert key.isprintable()
        key.encode()


class TestRealBuilds:
    def test_two_builds_of_the_example_in_two_directories_have_the_same_keys(self, tmp_path: Path) -> None:
        found = []
        for directory, jobs in (("one", "-j1"), ("deeper/down/two", "-j2")):
            project = tmp_path / directory
            shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("build"))
            command = ["nice", "-n", "1", "make", jobs, "CFLAGS=-O0"] if jobs == "-j2" else ["make", jobs, "CFLAGS=-O0"]
            try:
                tree = record([*command], cwd=project, tracer="ptrace").tree()
            except (NativeHelperMissing, TracerUnavailable) as error:
                pytest.skip(f"no tracer: {error}")
            assert tree.exit_code == 0
            assert tree.complete, tree.incomplete_reason
            found.append(Counter(node.key for node in tree if node.name not in ("nice", "make")))
        assert found[0] == found[1]
        assert found[0]["make/gcc/cc1[src/lexer.c]"] == 1


class TestUserRules:
    def test_substitutions_are_applied_and_empty_arguments_dropped(self) -> None:
        keyer = Keyer(["-O[0-3]", r"v(\d+)=version\1", ("a=b", "c")])
        assert key_of("tool", "-O2", "v7", "a=b", keyer=keyer) == "tool[version7 c]"

    def test_substitutions_apply_to_main_files_too(self) -> None:
        assert key_of("cc1", "gen-77/a.c", "-dumpbase", "a.c", keyer=Keyer([r"gen-\d+=gen"])) == "cc1[gen/a.c]"

    @pytest.mark.parametrize("rule", ["(", "[a", r"a=\1", r"a=\g<name>", "*x", "(?P<x>a)(?P<x>b)", "a{2,1}"])
    def test_wrong_rule_is_a_usage_error(self, rule: str) -> None:
        with pytest.raises(UsageError, match=r"is wrong|is not a regular expression"):
            Keyer([rule])

    @pytest.mark.parametrize("rule", ["(?:/[a-z]+)+=D", "(?:a|b)+=D", "(?:[a-z]+/?)+=D"])
    def test_rule_with_nested_repeats_is_taken_as_the_original_took_it(self, rule: str) -> None:
        assert "D" in key_of("tool", "/ab/ba", keyer=Keyer([rule]))

    @pytest.mark.parametrize("rule", [".*/foo=foo", r"\d+\.\d+=N", "(?i)a+b+c+", "x{2,5}", "(abc)+", r"[0-9a-f]+-\w*$"])
    def test_ordinary_rule_is_taken_and_quick(self, rule: str) -> None:
        keyer = Keyer([rule])
        begin = time.process_time()
        key_of("x", "a" * 100_000, "x" * 100_000, "0" * 100_000, keyer=keyer)
        assert time.process_time() - begin < 5  # a guard against exponential time, not a measurement

    def test_key_hook_decides_alone(self) -> None:
        def hook(node: ProcessNode) -> str | None:
            return "the compiler\n" if node.name == "gcc" else None

        assert key_of("gcc", "a.c", keyer=Keyer(key_hook=hook)) == "the compiler"
        assert key_of("ld", keyer=Keyer(key_hook=hook)) == "ld[a.out]"

    def test_normalize_hook_replaces_the_arguments(self) -> None:
        def hook(node: ProcessNode) -> Sequence[str] | None:
            return ["only", "", "/b/this"] if node.name == "gcc" else None

        assert key_of("gcc", "a.c", keyer=Keyer(normalize_hook=hook)) == "gcc[only /b/this]"

    def test_keys_of_a_tree_are_those_of_its_nodes(self) -> None:
        tree = build_tree(Simulation().start().run(1, b"gcc", b"a.c").end())
        assert Keyer().keys(tree) == {node: node.key for node in tree}
        assert list(Keyer(["a=b"]).keys(tree)) == list(tree)
        assert tree.root.children[0].key == "make/gcc[a.c]"
