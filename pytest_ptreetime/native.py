"""Where the compiled helpers are."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from functools import cache
from pathlib import Path

from pytest_ptreetime.errors import NativeHelperMissing

__all__ = ["helper"]


@cache
def helper(name: str) -> Path:
    """The path of the compiled helper ``name``, for example ``ptreetime-recorder``.

    The helpers are installed as ``pytest_ptreetime/native/``. Where the package is imported from a source tree (an
    editable installation, or pytest running in the repository's root), that directory is beside the installed
    metadata, not beside this file.

    :raises NativeHelperMissing: with the places that were searched.
    """
    inside_package = importlib.resources.files("pytest_ptreetime") / "native" / name
    searched = [inside_package]
    if isinstance(inside_package, Path) and inside_package.is_file():
        return inside_package
    try:
        distribution = importlib.metadata.distribution("pytest-ptreetime")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        installed = Path(str(distribution.locate_file(f"pytest_ptreetime/native/{name}")))
        if installed.is_file():
            return installed
        searched.append(installed)
    raise NativeHelperMissing(
        f"the native helper {name} is missing (looked for {' and '.join(map(str, searched))}): "
        "it is built by `pip install .`, which needs a C compiler"
    )
