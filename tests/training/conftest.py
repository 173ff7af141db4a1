"""A small data set on disk and settings for a run of seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from interlace.training.config import OptimConfig, TrainConfig, TrainerConfig


@pytest.fixture(scope="session")
def clips(tmp_path_factory, make_video) -> Path:
    """Three classes of five videos; the name of the class says nothing about a direction."""
    root = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("dark", "long", "wide")):
        for i in range(5):
            size = (48, 96) if name == "wide" else (48, 64)
            make_video(root / name / f"{i}.mp4", num_frames=8 + 6 * number + i, size=size)
    return root


@pytest.fixture
def one_thread():
    """As in the other process: sums in another order have other last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def settings(clips, tmp_path) -> Callable[..., TrainConfig]:
    """Settings of a run in this test's folder; keyword arguments change them."""

    def make(**changes) -> TrainConfig:
        defaults = {
            "data": clips,
            "model": "tin_test_resnet",
            "pretrained": False,
            "num_segments": 4,
            "image_size": 32,
            "epochs": 2,
            "batch_size": 4,
            "output": tmp_path / "run",
            "optim": OptimConfig(base_batch_size=4),
            "trainer": TrainerConfig(num_workers=0, accelerator="cpu"),
        }
        return TrainConfig(**{**defaults, **changes})

    return make


def _script(name: str) -> ModuleType:
    """A script of this folder that other processes run, as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def interrupted_run() -> ModuleType:
    """The script interrupted_run.py."""
    return _script("interrupted_run")


@pytest.fixture(scope="session")
def several_devices() -> ModuleType:
    """The script several_devices.py."""
    return _script("several_devices")
