"""Action recognition in video with 2-D networks that mix frames along time.

Example:
    >>> import interlace
    >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4)
    >>> import torch
    >>> model(torch.zeros(2, 4, 3, 64, 64)).shape
    torch.Size([2, 5])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "create_model", "list_models", "load", "ops", "optimize", "predict", "temporal"]

if TYPE_CHECKING:
    from interlace import ops, temporal
    from interlace.inference import load, predict
    from interlace.models import create_model, list_models
    from interlace.optimization import optimize

# Loaded when first used, so that `import interlace` takes milliseconds and needs no decoder or trainer.
_HOME = {
    "create_model": "interlace.models",
    "list_models": "interlace.models",
    "load": "interlace.inference",
    "optimize": "interlace.optimization",
    "predict": "interlace.inference",
}
_ROOMS = ("ops", "temporal")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"interlace.{name}")
    raise AttributeError(f"module 'interlace' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
