"""What a network's card may say, in a checkpoint or an exported file that anybody may have written.

It is checked before anything is built or allocated by it: numbers are bounded, and what is handed to the builder of the
network holds plain numbers and words, no file, no address and no function.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_HEADER_BYTES = 32 * 2**20
"""Of a .safetensors file: a million training clips are 16 MB."""
MOST_CLASSES = 1_000_000
MOST_FRAMES = 4096
"""In a clip."""
LARGEST_IMAGE = 2048
"""Side of the square that a network sees."""
LARGEST_ARGUMENT = 100_000
"""Of a builder, but for the number of classes: channels, rates in Hz."""
MOST_LAYERS = 512
"""Of a stage."""
_COUNTS = {
    "num_classes": MOST_CLASSES,
    "num_events": MOST_CLASSES,
    "num_segments": MOST_FRAMES,
    "layers": MOST_LAYERS,
}
MOST_VALUES = 10_000
"""Arguments, all lists counted through."""
_SAMPLINGS = {
    "segment": {"name", "num_segments", "snippet_length"},
    "dense": {"name", "num_segments", "snippet_length", "frame_stride"},
}
"""What each kind is told."""
MOST_LETTERS = 2000
"""Of a label or another word."""

_WORD = re.compile(r"[A-Za-z0-9_.+-]*")
_TEMPLATE = re.compile(r"[^{}/\\\0]*\{(?::0?\d{0,2}d?)?\}[^{}/\\\0]*")
"""A name of a file with a place for one number: nothing that Python's format would look into."""
_OF_FILES = ("pretrained", "checkpoint", "cache", "cfg", "overlay", "file", "url", "path", "weights_")
"""Begin or end the names of arguments with which timm reads or fetches weights."""


def check_header_size(path: Path) -> None:
    """The JSON in front of a .safetensors file is not so long that reading it would exhaust the memory.

    Raises:
        ValueError: it is.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.card_checks import check_header_size
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> _ = path.write_bytes((10**8).to_bytes(8, "little"))
        >>> check_header_size(path)
        Traceback (most recent call last):
        ValueError: its header has 100000000 bytes, more than the 33554432 that are read
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if MOST_HEADER_BYTES < length < 2**40:  # else it is another kind of file, which is told by its reader
        raise ValueError(f"its header has {length} bytes, more than the {MOST_HEADER_BYTES} that are read")


def check_card(card: Mapping[str, Any]) -> None:
    """The values of a model card, read from JSON, are ones that a network of this package can have.

    Raises:
        ValueError: one of them is not; the message names it.

    Example:
        >>> from interlace.card_checks import check_card
        >>> check_card({"model": "tin_resnet18", "labels": ["wave"], "model_args": {"num_classes": 10**9}})
        Traceback (most recent call last):
        ValueError: num_classes is 1000000000, no whole number from 1 to 1000000
    """
    # What a network was begun from is on record, and not read again; that of an ensemble's members would be.
    arguments = card.get("model_args", {})
    check_arguments({name: value for name, value in arguments.items() if name != "pretrained"})
    labels = card.get("labels", [])
    if not all(isinstance(label, str) and len(label) <= MOST_LETTERS for label in labels):
        raise ValueError(
            f"labels holds something that is no text, or one of more than {MOST_LETTERS} letters"
        )
    _check_sampling(card.get("sampling", {}))
    preprocessing = card.get("preprocessing", {})
    if "image_size" in preprocessing:
        _whole("image_size", preprocessing["image_size"], LARGEST_IMAGE)
    for name in ("mean", "std"):
        _check_channels(name, preprocessing.get(name, [0.5]))
    if len(preprocessing.get("mean", ())) != len(preprocessing.get("std", ())):
        raise ValueError("mean and std have different numbers of channels")
    _one_of("color", preprocessing.get("color", "rgb"), ("rgb", "gray"))
    _one_of("modality", preprocessing.get("modality", "rgb"), ("rgb", "flow", "rgb_diff", "rgb_flow"))
    template = preprocessing.get("frame_template")
    if template is not None and not (isinstance(template, str) and _TEMPLATE.fullmatch(template)):
        raise ValueError(f"frame_template is {_short(template)}, no name like img_{{:05d}}.jpg")
    window = card.get("window_seconds")
    if window is not None and not (_is_number(window) and 0 < window < math.inf):
        raise ValueError(f"window_seconds is {_short(window)}, no time above zero")
    metrics = card.get("metrics", {})
    if not all(_is_number(value) for value in metrics.values()):
        raise ValueError("metrics holds something that is no number")
    _check_training(card.get("training", {}))


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """The arguments of a builder: numbers within bounds, words, and lists and mappings of these.

    Raises:
        ValueError: a number that is too large, text that is no word, the name of an argument that reads a file.

    Example:
        >>> from interlace.card_checks import check_arguments
        >>> check_arguments({"num_classes": 5, "checkpoint_path": "weights.pth"})
        Traceback (most recent call last):
        ValueError: the argument 'checkpoint_path' would read a file
    """
    waiting: list[tuple[str, Any]] = [("", arguments)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), part) for key, part in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(name, part) for part in value]
        elif value is False or value is None:
            continue
        elif name.lower().startswith(_OF_FILES) or name.lower().endswith(_OF_FILES):
            raise ValueError(f"the argument {name!r} would read a file")
        elif name in _COUNTS:
            _whole(name, value, _COUNTS[name])
        elif isinstance(value, str):
            if len(value) > MOST_LETTERS or not _WORD.fullmatch(value):
                raise ValueError(f"the argument {name!r} is {_short(value)}, no word")
        elif not isinstance(value, bool) and not (_is_number(value) and abs(value) <= LARGEST_ARGUMENT):
            raise ValueError(f"the argument {name!r} is {_short(value)}, no number up to {LARGEST_ARGUMENT}")
    raise ValueError(f"the arguments of the network hold more than {MOST_VALUES} values")


def _check_sampling(sampling: Mapping[str, Any]) -> None:
    parts = sampling.get("parts", [sampling])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"the parts of the sampling are {_short(parts)}")
    for part in parts if sampling else ():
        _one_of("the name of the sampling", part.get("name"), tuple(_SAMPLINGS))
        unknown = sorted(part.keys() - _SAMPLINGS[part["name"]])
        if unknown or "num_segments" not in part:
            raise ValueError(f"the sampling {part['name']} has {_short(unknown or 'no num_segments')}")
        for name, value in part.items():
            if name != "name":
                _whole(name, value, MOST_FRAMES)
    if len(parts) > MOST_FRAMES:
        raise ValueError(f"the sampling has {len(parts)} parts")


def _check_channels(name: str, values: Any) -> None:
    is_list = isinstance(values, list) and 0 < len(values) <= LARGEST_ARGUMENT
    if not is_list or not all(_is_number(value) and math.isfinite(value) for value in values):
        raise ValueError(f"{name} is {_short(values)}, no list of numbers")
    if name == "std" and not all(value > 0 for value in values):
        raise ValueError(f"std is {_short(values)}; preprocessing divides by it")


def _check_training(training: Mapping[str, Any]) -> None:
    split = training.get("split", {})
    if not isinstance(split, dict) or not isinstance(training.get("data", ""), str):
        raise ValueError(f"training says split {_short(split)} and data {_short(training.get('data'))}")
    if not all(value is None or isinstance(value, str | float | int) for value in split.values()):
        raise ValueError(f"training says split {_short(split)}")
    clips = training.get("clips", [])
    if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
        raise ValueError("training says clips that are no list of text")


def _whole(name: str, value: Any, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{name} is {_short(value)}, no whole number from 1 to {most}")


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {_short(value)}, none of {', '.join(choices)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
