"""Installing the package: from its source distribution, as a wheel, editable, with nothing but a C compiler around."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_ptreetime.errors import NativeHelperMissing
from pytest_ptreetime.native import helper

REPOSITORY = Path(__file__).parent.parent
HIDDEN = ("cmake", "ctest", "cpack", "ninja", "samu", "clang", "zig")
HELPERS_WITH_RUN_BIT = ("ptreetime-gate", "ptreetime-recorder")
HELPERS = (*HELPERS_WITH_RUN_BIT, "libptreetime.so", "libptreetime_interpose.so")
TEST_THAT_TRACES = """
def test_it(ptreetime):
    tree = ptreetime(["sh", "-c", "true; exec env true"])
    assert [node.name for node in tree] == ["sh", "env", "true"], list(tree)
"""
FIND_HELPERS = f"""
import os
from pytest_ptreetime.native import helper
for name in {HELPERS!r}:
    print(helper(name))
for name in {HELPERS_WITH_RUN_BIT!r}:
    assert os.access(helper(name), os.X_OK), name
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="the recorder is Linux's")


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def without_build_tools(directory: Path) -> dict[str, str]:
    """An environment whose PATH has all that this one's has, but cmake, ninja, clang and zig."""
    programs = directory / "programs"
    programs.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in sorted(Path(place).glob("*")) if Path(place).is_dir() else ():
            if not program.name.startswith(HIDDEN) and not (programs / program.name).exists():
                (programs / program.name).unlink(missing_ok=True)
                (programs / program.name).symlink_to(program)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "CMAKE"))
    }
    return {**kept, "PATH": str(programs)}


@dataclass
class Environment:
    """A virtual environment."""

    directory: Path

    @classmethod
    def create(cls, python: str, directory: Path) -> Environment:
        run(python, "-m", "venv", directory, cwd=directory.parent)
        return cls(directory)

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def install(self, *what: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        return run(self.python, "-m", "pip", "install", "--disable-pip-version-check", *what, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a new clone has it, with what a developer's build leaves in the package's directory."""
    copy = tmp_path_factory.mktemp("sources") / "pytest-ptreetime"
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs the repository: git can't list its files here")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    stale = copy / "pytest_ptreetime" / "native"
    stale.mkdir()
    (stale / "stale-helper").touch()
    run("git", "init", "--quiet", cwd=copy)
    return copy


@pytest.fixture(scope="module")
def sdist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--outdir", directory, cwd=sources)
    (archive,) = directory.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, by pip, with a C compiler and no build tool on the machine."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(directory), str(sdist)]
    run(*command, cwd=directory, env=without_build_tools(directory))
    (built,) = directory.glob("*.whl")
    return built


def pythons() -> list[str]:
    """An interpreter for each minor version from 3.10 on that the machine has."""
    found: dict[str, str] = {}
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(10, 15):
        name = f"python3.{minor}"
        candidates = [*map(str, sorted(versions.glob(f"3.{minor}.*/bin/{name}"))), shutil.which(name) or ""]
        for candidate in filter(None, candidates):
            if subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                found[name] = candidate
    return list(found.values())


def test_helper_that_is_not_built_is_an_error_that_names_it_and_the_command() -> None:
    with pytest.raises(NativeHelperMissing, match=r"ptreetime-nothing is missing .*pip install \."):
        helper("ptreetime-nothing")


@pytest.mark.slow
def test_sdist_has_sources_tests_and_no_built_file(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "LICENSE",
        "README.md",
        "PKG-INFO",
        "CMakeLists.txt",
        "conftest.py",
        "build_backend/ptreetime_build.py",
        "libptreetime/ptreetime_wire.h",
        "libptreetime/ptreetime.bpf.c",
        "pytest_ptreetime/py.typed",
        "tests/test_packaging.py",
        "tests/real/Makefile",
        "examples/calc/Makefile",
    ):
        assert wanted in names
    unwanted = [name for name in names if name.endswith((".so", ".o", ".pyc")) or name.startswith(("build/", ".git/"))]
    assert not unwanted
    assert not any(name.startswith("pytest_ptreetime/native/") for name in names)


@linux
@pytest.mark.slow
def test_wheel_built_without_cmake_ninja_and_clang_has_all_helpers_with_their_run_bit(wheel: Path) -> None:
    assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl")
    with zipfile.ZipFile(wheel) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        entry_points = archive.read(next(name for name in modes if name.endswith("entry_points.txt"))).decode()
    native = {name.rpartition("/")[2] for name in modes if name.startswith("pytest_ptreetime/native/")}
    assert set(HELPERS) <= native
    assert "stale-helper" not in native
    for name in HELPERS_WITH_RUN_BIT:
        assert modes[f"pytest_ptreetime/native/{name}"] & 0o111 == 0o111
    assert "ptreetime = pytest_ptreetime.plugin" in entry_points
    assert "ptreetime-main = pytest_ptreetime.cli:main_after_start" in entry_points
    assert [mode & 0o111 for name, mode in modes.items() if name.endswith(".data/scripts/ptreetime")] == [0o111]
    assert {name.partition("/")[0].partition("-")[0] for name in modes} == {"pytest_ptreetime"}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("python", pythons(), ids=lambda python: Path(python).name)
def test_wheel_installed_into_a_fresh_environment_traces(wheel: Path, python: str, tmp_path: Path) -> None:
    environment = Environment.create(python, tmp_path / "venv")
    environment.install(wheel, cwd=tmp_path)
    run(environment.python, "-c", FIND_HELPERS, cwd=tmp_path)
    run(environment.directory / "bin" / "ptreetime", "--help", cwd=tmp_path)
    (tmp_path / "test_one.py").write_text(TEST_THAT_TRACES)
    output = run(environment.python, "-m", "pytest", "-p", "no:cacheprovider", "test_one.py", cwd=tmp_path)
    assert "1 passed" in output
    assert "ptreetime: tracer" in output


@linux
@pytest.mark.slow
def test_pytest_from_the_repositorys_root_finds_the_helpers_of_a_plain_installation(
    sources: Path, wheel: Path, tmp_path: Path
) -> None:
    environment = Environment.create(sys.executable, tmp_path / "venv")
    environment.install(wheel, cwd=tmp_path)
    shutil.copytree(sources, tmp_path / "root")
    (tmp_path / "root" / "tests" / "test_one.py").write_text(TEST_THAT_TRACES)
    output = run(environment.python, "-m", "pytest", "tests/test_one.py", cwd=tmp_path / "root")
    assert "1 passed" in output


@linux
@pytest.mark.slow
def test_editable_installation_finds_its_helpers_and_runs_the_source_tree(sources: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(sources, root)
    environment = Environment.create(sys.executable, tmp_path / "venv")
    environment.install("--editable", root, cwd=tmp_path)
    run(environment.python, "-c", FIND_HELPERS, cwd=tmp_path)
    where = "import pytest_ptreetime.tree.process_tree; print(pytest_ptreetime.tree.process_tree.__file__)"
    assert run(environment.python, "-c", where, cwd=tmp_path).strip() == str(
        root / "pytest_ptreetime" / "tree" / "process_tree.py"
    )
    (tmp_path / "test_one.py").write_text(TEST_THAT_TRACES)
    assert "1 passed" in run(environment.python, "-m", "pytest", "test_one.py", cwd=tmp_path)


@linux
@pytest.mark.slow
def test_installation_without_a_c_compiler_says_so(sdist: Path, tmp_path: Path) -> None:
    environment = without_build_tools(tmp_path)
    for compiler in (tmp_path / "programs").glob("*"):
        if any(word in compiler.name for word in ("gcc", "cc", "clang", "c89", "c99", "tcc", "g++")):
            compiler.unlink()
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(sdist)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**environment, "PTREETIME_WITHOUT_BPF": "1"}, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "needs a C compiler, and there is none in PATH" in done.stdout + done.stderr
