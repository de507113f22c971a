"""Real toolchains other than make and gcc: two builds of the same sources compare, wherever they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_ptreetime import Profile, record
from pytest_ptreetime.decision.alignment import align


@dataclass(frozen=True)
class Project:
    """Sources, what builds them, and programs that must have run."""

    files: dict[str, str]
    commands: str
    programs: set[str]


CARGO = {
    "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n'
    '[dependencies]\ndep = { path = "dep" }\nnothing = { path = "nothing" }\n[workspace]\n',
    "build.rs": 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }\n',
    "src/main.rs": "use nothing::nothing;\nnothing!();\nmod a;\nmod b;\n"
    'fn main() { println!("{}", a::f() + dep::g()); }\n',
    "src/a.rs": "pub fn f() -> i32 { let v: Vec<i32> = (0..10).collect(); v.iter().sum::<i32>() + crate::b::f() }\n",
    "src/b.rs": 'pub fn f() -> i32 { format!("{}", 3).len() as i32 }\n',
    "dep/Cargo.toml": '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n'
    '[lib]\ncrate-type = ["lib", "cdylib"]\n',
    "dep/src/lib.rs": "pub fn g() -> i32 { 4 }\n",
    "nothing/Cargo.toml": '[package]\nname = "nothing"\nversion = "0.1.0"\nedition = "2021"\n'
    "[lib]\nproc-macro = true\n",
    "nothing/src/lib.rs": "use proc_macro::TokenStream;\n"
    "#[proc_macro] pub fn nothing(_: TokenStream) -> TokenStream { TokenStream::new() }\n",
}
CMAKE = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.16)\nproject(app C CXX)\ninclude(CheckIncludeFile)\n"
    "check_include_file(stdint.h HAVE_STDINT)\nadd_library(one SHARED one.cpp)\nadd_library(two STATIC two.c)\n"
    "add_executable(app main.cpp)\ntarget_link_libraries(app one two)\n",
    "one.cpp": "#include <vector>\nint one() { return static_cast<int>(std::vector<int>(3).size()); }\n",
    "two.c": "int two(void) { return 2; }\n",
    "main.cpp": 'int one();\nextern "C" int two(void);\nint main() { return one() - two() - 1; }\n',
}
TWO_OF_ONE_NAME = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.16)\nproject(app C)\n"
    "add_executable(app src/main.c src/net/util.c src/db/util.c)\n",
    "src/main.c": "int net(void); int db(void); int main(void) { return net() + db(); }\n",
    "src/net/util.c": "int net(void) { return 0; }\n",
    "src/db/util.c": "int db(void) { return 0; }\n",
}
COMPARABLE = 0.99  # of the nodes: what is drawn at random is found by what is around it
PROJECTS = {
    "cargo": Project(CARGO, "cargo build --offline", {"rustc", "cc", "build-script-build"}),
    "cargo-test-release": Project(CARGO, "cargo test --offline --release", {"rustc", "cc"}),
    "cmake-ninja-clang": Project(
        CMAKE, "CC=clang CXX=clang++ cmake -G Ninja -S . -B build && ninja -C build", {"ninja", "clang"}
    ),
    "cmake-make-gcc": Project(
        CMAKE, "CC=gcc CXX=g++ cmake -G 'Unix Makefiles' -S . -B build && make -C build -j2", {"make", "cc1plus"}
    ),
}


def works(tool: str) -> bool:
    """Whether it is there and starts (rustup's cargo does only where a toolchain is installed)."""
    found = shutil.which(tool)
    return found is not None and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS.keys())
def test_two_builds_in_two_directories_are_compared_node_by_node(project: Project, tmp_path: Path) -> None:
    tools = [word for word in ("cargo", "cmake", "ninja", "make", "clang", "gcc") if word in project.commands.split()]
    for tool in tools + [word for word in ("clang", "gcc") if f"={word} " in project.commands]:
        if not works(tool):
            pytest.skip(f"needs {tool}")
    profiles = []
    for name in ("first", "second/further"):
        directory = tmp_path / name
        for file, text in project.files.items():
            path = directory / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        tree = record(["sh", "-c", project.commands], cwd=directory, env=os.environ).tree()
        assert tree.exit_code == 0
        assert tree.complete, tree.incomplete_reason
        assert project.programs <= {node.name for node in tree}
        profiles.append(Profile.from_tree(tree))
    assert align([profiles[:1]], profiles[1:]).comparable >= COMPARABLE


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["Ninja", "Unix Makefiles"])
def test_two_files_of_one_name_under_cmake_have_keys_of_their_own(generator: str, tmp_path: Path) -> None:
    for tool in ("cmake", "gcc", "ninja" if generator == "Ninja" else "make"):
        if not works(tool):
            pytest.skip(f"needs {tool}")
    for file, text in TWO_OF_ONE_NAME.items():
        path = tmp_path / "real" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    link = tmp_path / "link"  # CMake names files by $PWD, which leads through it
    link.symlink_to(tmp_path / "real")
    command = f"cd {link} && cmake -G '{generator}' -S . -B out && cmake --build out"
    tree = record(["bash", "-c", command], cwd=link, env={**os.environ, "CC": "gcc"}).tree()
    assert tree.exit_code == 0
    compiles = {node.key.partition("[")[2] for node in tree if node.name == "cc1"}
    assert compiles >= {"src/main.c]", "src/net/util.c]", "src/db/util.c]"}
    assert not [node.key for node in tree if str(link) in node.key]
    links = {node.key.partition("[")[2] for node in tree if node.name in ("collect2", "ld")}
    assert "out/app]" in links
