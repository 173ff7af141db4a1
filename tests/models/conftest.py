"""Helpers of these tests that are files of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def published() -> ModuleType:
    """BNInception as published: random weights under its names, and a forward that knows nothing of ours."""
    path = Path(__file__).with_name("published_bninception.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
