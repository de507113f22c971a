"""The sources of five Lua interpreters, for real builds: the package lupa carries them in its source distribution."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import filelock
import platformdirs

__all__ = ["LUA_VERSIONS", "SourcesMissing", "build_command", "lua_sources"]

VERSION = "2.8"
SHA256 = "d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08"
LUA_VERSIONS = ("lua51", "lua52", "lua53", "lua54", "lua55")
MAKEFILE = Path(__file__).parents[1] / "real" / "Makefile"

# pip asks a source distribution's build backend for its metadata, and lupa's compiles LuaJIT twice before it answers.
# This one answers with the metadata that is in the distribution already, and runs nothing of it.
BACKEND = """
import email, pathlib, shutil, sys

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    metadata = email.message_from_string(pathlib.Path("PKG-INFO").read_text())
    answer = pathlib.Path(directory, f"{metadata['Name']}-{metadata['Version']}.dist-info")
    answer.mkdir()
    shutil.copy("PKG-INFO", answer / "METADATA")
    return answer.name

__legacy__ = sys.modules[__name__]
"""


class SourcesMissing(Exception):
    """The sources are not in the cache and could not be fetched; the text says why."""


def lua_sources() -> Path:
    """The directory with lua51 to lua55 in it; fetched from the package index once, and kept in the user's cache.

    :raises SourcesMissing: no package index can be reached.
    """
    cache = Path(platformdirs.user_cache_dir("pytest-ptreetime")) / "sources"
    cache.mkdir(parents=True, exist_ok=True)
    sources = cache / f"lupa-{VERSION}" / "third-party"
    with filelock.FileLock(cache / "lock"):
        if not sources.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as directory:
                archive = fetch(Path(directory))
                unpack(archive, Path(directory) / "unpacked")
                (Path(directory) / "unpacked" / f"lupa-{VERSION}").rename(cache / f"lupa-{VERSION}")
    return sources


def build_command(sources: Path, objects: Path, *versions: str, jobs: int = 2) -> list[str]:
    """The make command that builds the interpreters of ``versions`` (all by default) below ``objects``."""
    wanted = " ".join(versions or LUA_VERSIONS)
    arguments = [f"LUA={sources}", f"OBJECTS={objects}", f"VERSIONS={wanted}"]
    return ["make", f"-j{jobs}", "-f", str(MAKEFILE), *arguments]


def fetch(directory: Path) -> Path:
    backend = directory / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(BACKEND)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--retries",
        "1",
    ]
    command += [
        "--timeout",
        "20",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--dest",
        str(directory),
        f"lupa=={VERSION}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(backend.parent)}, check=False
    )
    archive = directory / f"lupa-{VERSION}.tar.gz"
    if done.returncode != 0 or not archive.is_file():
        last = (done.stderr.strip() or "pip gave no reason").splitlines()[-1]
        raise SourcesMissing(f"lupa {VERSION} can't be fetched from the package index: {last}")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise SourcesMissing(f"what the package index calls lupa {VERSION} has SHA-256 {found}, not {SHA256}")
    return archive


def unpack(archive: Path, directory: Path) -> None:
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if "/third-party/lua5" in member.name]
        if hasattr(tarfile, "data_filter"):  # Python 3.10.0 to 3.10.11 have no filters
            tar.extractall(directory, members, filter="data")
        else:
            tar.extractall(directory, members)
