"""Every example in a docstring is run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import interlace

COMPILED = "interlace.ops._cpu_kernels"  # looks like a module, but is a library of plain C functions
MODULES = sorted(
    info.name for info in pkgutil.walk_packages(interlace.__path__, "interlace.") if info.name != COMPILED
)


@pytest.mark.parametrize("name", ["interlace", *MODULES])
def test_examples_print_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0, (
        f"{results.failed} of {results.attempted} examples of {name} failed; see the output"
    )
