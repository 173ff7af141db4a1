"""What runs an exported graph: one small interface over onnxruntime, OpenVINO and PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from interlace.telemetry import unobserved

Shapes = dict[str, tuple[int | None, ...]]
"""Sizes by input name; None where the graph takes any."""


@runtime_checkable
class Runtime(Protocol):
    """A graph that is ready to run."""

    device: torch.device
    """Where it computes; tensors go in from there and come out there."""
    input_shapes: Shapes
    """Of each input, by name."""
    output_names: tuple[str, ...]
    """What comes out."""

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors in by input name, tensors out by output name."""


def import_runtime(name: str, path: Path) -> ModuleType:
    """Onnxruntime or openvino, which only the files that need them load; their makers are not told.

    Raises:
        ValueError: it is not installed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.runtime import import_runtime
        >>> import_runtime("onnxruntime", Path("model.onnx")).__name__  # doctest: +SKIP
        'onnxruntime'
    """
    try:
        with unobserved():
            return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f'{path}: {name} is needed to run it, and it is not here ({error}); pip install "interlace[export]"'
        ) from error


def check_device(path: Path, device: torch.device, usable: tuple[str, ...], reason: str) -> None:
    """The runtime of a file can compute on that kind of device.

    Raises:
        ValueError: it cannot; the message has the reason.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.exported.runtime import check_device
        >>> check_device(Path("model.xml"), torch.device("cpu"), ("cpu",), "OpenVINO runs it")
    """
    if device.type not in usable:
        raise ValueError(
            f"{path}: device {str(device)!r} cannot be used for this file, {' or '.join(usable)} can: {reason}"
        )


def check_threads(threads: int | None) -> int:
    """How many threads a session gets: as many as PyTorch has, unless told.

    Raises:
        ValueError: fewer than one.

    Example:
        >>> from interlace.exported.runtime import check_threads
        >>> check_threads(2)
        2
    """
    if threads is None:
        return torch.get_num_threads()
    if threads < 1:
        raise ValueError(f"threads={threads} must be at least 1")
    return threads
