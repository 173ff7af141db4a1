"""What a source distribution needs to build the compiled kernels."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_file_of_the_kernels_is_named() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [extension] = settings["tool"]["setuptools"]["ext-modules"]
    present = (ROOT / "src" / "interlace" / "ops" / "cpu").iterdir()
    files = {str(file.relative_to(ROOT)) for file in present if file.suffix in (".c", ".h")}
    assert set(extension["sources"] + extension["depends"]) == files
