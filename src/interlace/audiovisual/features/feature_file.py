"""The features of one video as a .safetensors file: the rows, and in its header as JSON what they are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

import interlace
from interlace.audiovisual.features.extractor import Features
from interlace.files import whole_file

HEADER = "interlace_features"
FORMAT = 1


def write_features(path: Path, features: Features, *, extractor: str, source: dict[str, Any]) -> None:
    """Write them; the file appears whole or not at all.

    Args:
        path: the file.
        features: of one video.
        extractor: fingerprint of the networks.
        source: what tells the video from another one (see :mod:`interlace.audiovisual.features.source_file`).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> from interlace.audiovisual.features.feature_file import about_features, read_features, write_features
        >>> from interlace.audiovisual.features.extractor import Features
        >>> features = Features(torch.ones(2, 3), torch.ones(2, 1, 5), torch.tensor([True, False]), ("short",), 1.8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "clip.mp4.safetensors"
        ...     write_features(path, features, extractor="0123", source={"bytes": 7})
        ...     read_features(path), about_features(path)["seconds_heard"]
        (Features(2 s, audio (2, 3), 1 s heard, visual (2, 1, 5)), 1)
    """
    about = {
        "format": FORMAT,
        "interlace": interlace.__version__,
        "extractor": extractor,
        "source": source,
        "duration_seconds": features.duration_seconds,
        "seconds_heard": int(features.heard.sum()),
        "notes": features.notes,
    }
    rows = {
        "audio": features.audio.contiguous(),
        "visual": features.visual.contiguous(),
        "heard": features.heard.to(torch.uint8),
    }
    with whole_file(path) as beside:
        beside.write_bytes(save(rows, metadata={HEADER: json.dumps(about)}))


def about_features(path: Path) -> dict[str, Any]:
    """What a file tells of the features in it; nothing if there is none, or not a whole one, or a newer one."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(HEADER, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) and about.get("format") == FORMAT else {}


def read_features(path: Path) -> Features:
    """The features in a file.

    Raises:
        ValueError: it holds none, or is not whole.
    """
    about = about_features(path)
    if not about:
        raise ValueError(
            f"{path}: not a whole file of features; delete it and run `interlace av features` again"
        )
    try:
        with safe_open(path, framework="pt") as file:
            audio, visual, heard = (file.get_tensor(name) for name in ("audio", "visual", "heard"))
        notes, duration = tuple(about["notes"]), float(about["duration_seconds"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its features are damaged ({error}); delete it and run `interlace av features` again"
        ) from error
    rows = len(heard) if heard.ndim == 1 else -1
    if audio.ndim != 2 or visual.ndim != 3 or {len(audio), len(visual)} != {rows}:
        sizes = ", ".join(str(tuple(part.shape)) for part in (audio, visual, heard))
        raise ValueError(
            f"{path}: rows of sizes {sizes}, not one of each a second; delete it and run `interlace av features` again"
        )
    return Features(audio, visual, heard.bool(), tuple(map(str, notes)), duration)
