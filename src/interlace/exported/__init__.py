"""Networks out of exported files (.onnx, .pt2, .xml), used like any other."""

from __future__ import annotations

from interlace.exported.model import ExportedModel
from interlace.exported.open import (
    device_for,
    files_of,
    is_exported,
    load_model,
    read_card,
    refuse_to_optimize,
)

__all__ = [
    "ExportedModel",
    "device_for",
    "files_of",
    "is_exported",
    "load_model",
    "read_card",
    "refuse_to_optimize",
]
