"""Released weights to import, and helpers that are files of their own."""

from __future__ import annotations

import importlib.util
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

State = dict[str, Tensor]


def filled(name: str, shape: list[int]) -> Tensor:
    """A parameter by the recipe of the recorded outputs."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var"):
        value = generator.uniform(0.9, 1.1, shape)
    elif name.endswith("running_mean"):
        value = 0.1 * generator.standard_normal(shape)
    elif name.endswith("biasnet.net.lastlayer.bias"):
        value = 0.5108 + generator.standard_normal(shape)
    elif len(shape) == 1:
        value = float(name.endswith("weight")) + 0.1 * generator.standard_normal(shape)
    else:
        value = generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value).float()


@pytest.fixture(scope="session")
def shapes(reference_dir: Path) -> Callable[[str], dict[str, list[int]]]:
    """Names and shapes of a released checkpoint."""

    def read(case: str) -> dict[str, list[int]]:
        content = json.loads((reference_dir / f"{case}_keys.json").read_text())
        return content.get("keys", content)

    return read


@pytest.fixture(scope="session")
def released(shapes: Callable[[str], dict[str, list[int]]]) -> Callable[[str], State]:
    """A released checkpoint, filled by the recipe."""
    return lambda case: {name: filled(name, shape) for name, shape in shapes(case).items()}


@pytest.fixture(scope="session")
def recipe() -> Callable[[str, list[int]], Tensor]:
    """One parameter by the recipe."""
    return filled


@pytest.fixture(scope="session")
def clip() -> Tensor:
    """Two clips of four small frames."""
    return torch.randn(2, 4, 3, 48, 32, generator=torch.Generator().manual_seed(5))


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def published() -> ModuleType:
    """What the networks compute, from their description."""
    return _beside("published_resnet")


@pytest.fixture(scope="session")
def authors() -> ModuleType:
    """Weights under the authors' names."""
    return _beside("author_names")
