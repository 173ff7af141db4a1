"""The JSON file beside an exported one: all that a program without this package needs to use it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from interlace.checkpoints import ModelCard
from interlace.data.views import resized_short_side
from interlace.exported.about import BATCH, About
from interlace.files import whole_file


def beside(path: str | Path) -> Path:
    """Name of the JSON file of an exported one.

    Example:
        >>> from interlace.exported.beside import beside
        >>> beside("model.onnx").name
        'model.onnx.json'
    """
    return Path(f"{path}.json")


def write_beside(path: str | Path, about: About, card: ModelCard, **more: Any) -> Path:
    """Write the JSON file of an exported one, whole or not at all; ``more`` stands in it under its own keys."""
    written = beside(path)
    with whole_file(written) as part:
        text = json.dumps({**describe(about, card), **more}, indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    return written


def describe(about: About, card: ModelCard) -> dict[str, Any]:
    """From a video to probabilities, step by step, in plain words and numbers.

    Example:
        >>> from interlace.checkpoints import ModelCard
        >>> from interlace.exported.about import About
        >>> from interlace.exported.beside import describe
        >>> card = ModelCard(
        ...     model="tin_resnet18", model_args={"num_classes": 2}, labels=("wave", "clap"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 56, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
        ... )
        >>> described = describe(About("clip", pixels=True, image_size=56), card)
        >>> described["inputs"]
        [{'name': 'clip', 'shape': ['batch', 4, 3, 56, 56], 'dtype': 'uint8'}]
        >>> described["preprocessing"]["resize_short_side"]
        64
    """
    preprocessing = card.preprocessing
    channels, size = len(preprocessing["mean"]), about.image_size
    frames = [card.num_segments] if about.kind == "clip" else []
    shapes = {about.input_names[0]: ["batch", *frames, channels, size, size]}
    types = dict.fromkeys(about.input_names, "uint8" if about.pixels else "float32")
    for name, tensor in zip(about.input_names[1:], about.state, strict=True):
        shapes[name] = ["batch" if number == BATCH else number for number in tensor.shape]
        types[name] = tensor.dtype
    return {
        "kind": about.kind,
        "model": card.model,
        "precision": about.precision,
        "inputs": [{"name": name, "shape": shape, "dtype": types[name]} for name, shape in shapes.items()],
        "outputs": list(about.output_names),
        "state": {
            "before_the_first_frame": "zeros",
            "after_each_frame": dict(zip(about.output_names[1:], about.input_names[1:], strict=True)),
        }
        if about.kind == "stream"
        else None,
        "frames": _frames(about, card),
        "preprocessing": {
            "color": preprocessing.get("color", "rgb"),
            "modality": preprocessing.get("modality", "rgb"),
            "resize_short_side": resized_short_side(size),
            "resized_long_side": "resize_short_side * long side / short side, rounded down",
            "interpolation": "bilinear, antialiased",
            "center_crop": size,
            "rows_above_and_columns_left_of_the_crop": "(side - center_crop) / 2, a half rounded to the even number",
            "layout": "frames by channels by rows by columns" if frames else "channels by rows by columns",
            "inside_the_graph": about.pixels,
            "formula": "(pixel / 255 - mean) / std, by channel",
            "mean": list(preprocessing["mean"]),
            "std": list(preprocessing["std"]),
        },
        "probabilities": "sigmoid of each logit" if card.multi_label else "softmax over the logits",
        "labels": list(card.labels),
        "about": asdict(about),
        "card": {**asdict(card), "training": _told(card.training)},
    }


def _frames(about: About, card: ModelCard) -> dict[str, Any]:
    """Which frames of a video the graph takes."""
    if about.kind == "clip":
        segment = "the frame in the middle of each of num_segments equal parts of the video"
        return {**card.sampling, "segment": segment, "window_seconds": card.window_seconds}
    rate = None if card.window_seconds is None else round(card.num_segments / card.window_seconds, 3)
    return {"per_second": rate, "order": "about so many frames a second, as in training; each goes in once"}


def _told(training: dict[str, Any]) -> dict[str, Any]:
    """Without a line for each training clip, and without folders of the machine that trained."""
    return {key: value for key, value in training.items() if key not in ("clips", "data", "split")}
