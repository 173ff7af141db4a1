"""What an exported file says of itself: two JSON texts in the file's own metadata.

Under `interlace` stands the model card, the same as in a checkpoint's header; under `interlace_graph` what the graph
takes and gives, which is this file's subject. ONNX keeps both in `metadata_props`, .pt2 in its extra files, OpenVINO in
`rt_info`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

import interlace
from interlace import card_history, checkpoints
from interlace.card_checks import LARGEST_IMAGE
from interlace.checkpoints import CheckpointError, ModelCard

CARD = checkpoints.HEADER
"""Key of the model card."""
GRAPH = "interlace_graph"
"""Key of what the graph takes and gives."""
FORMAT = 1
"""Raised when an older version of this package could no longer use what a newer one exports."""

MOST_STATE = 2**26
"""Numbers that a graph may remember of one stream: 256 MB. TIN with ResNet-50 has 3 million."""
BATCH = -1
"""Stands for the number of clips or streams in the shape of a state."""


@dataclass(frozen=True)
class StateTensor:
    """One tensor that a streaming graph hands from frame to frame.

    In the graph it goes in as ``past.<name>`` and comes out as ``next.<name>``.
    """

    name: str
    shape: tuple[int, ...]
    """Numbers above zero, and ``BATCH`` (-1) where the streams are counted."""
    dtype: str = "float32"
    """As torch calls it."""

    def zeros(self, batch: int, device: torch.device) -> torch.Tensor:
        """The state before the first frame.

        Example:
            >>> import torch
            >>> from interlace.exported.about import StateTensor
            >>> StateTensor("layer1.0.conv1.past1", (-1, 8, 5, 7)).zeros(2, torch.device("cpu")).shape
            torch.Size([2, 8, 5, 7])
        """
        shape = [batch if size == BATCH else size for size in self.shape]
        return torch.zeros(shape, dtype=getattr(torch, self.dtype), device=device)


@dataclass(frozen=True)
class About:
    """What a graph takes and gives.

    Example:
        >>> from interlace.exported.about import About, StateTensor
        >>> about = About("stream", pixels=True, image_size=64, state=(StateTensor("past1", (-1, 8, 16, 16)),))
        >>> about.input_names, about.output_names
        (('frame', 'past.past1'), ('logits', 'next.past1'))
    """

    kind: Literal["clip", "stream"]
    """clip: `clip` (B, T, C, H, W) to `logits` (B, K). stream: `frame` (B, C, H, W) and the state to `logits` (B, K)
    and the next state."""
    pixels: bool
    """The graph takes uint8 pixels and normalises them itself; else it takes normalised float32."""
    image_size: int
    """Height and width of the frames that it was exported for."""
    state: tuple[StateTensor, ...] = ()
    """In the graph's order; empty for clips."""
    precision: Literal["float32", "int8"] = "float32"
    """In which the convolutions compute."""
    version: str = interlace.__version__
    """Version of interlace that exported it."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Of the graph's inputs, in their order: clip, or frame and the state."""
        past = (f"past.{tensor.name}" for tensor in self.state)
        return ("clip" if self.kind == "clip" else "frame", *past)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Of the graph's outputs, in their order."""
        return ("logits", *(f"next.{tensor.name}" for tensor in self.state))

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state's tensors, in their order."""
        return tuple(tensor.name for tensor in self.state)


def state_tensors(names: Sequence[str], state: Sequence[torch.Tensor]) -> tuple[StateTensor, ...]:
    """The description of a state, of which an example is given; its first axis is the batch.

    Example:
        >>> import torch
        >>> from interlace.exported.about import state_tensors
        >>> state_tensors(["past1"], [torch.zeros(2, 8, 5, 7)])
        (StateTensor(name='past1', shape=(-1, 8, 5, 7), dtype='float32'),)
    """
    return tuple(
        StateTensor(name, (BATCH, *tensor.shape[1:]), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in zip(names, state, strict=True)
    )


def to_json(about: About) -> str:
    """The text to keep under ``GRAPH``.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.about import About, from_json, to_json
        >>> about = About("clip", pixels=False, image_size=224)
        >>> from_json(Path("model.onnx"), to_json(about)) == about
        True
    """
    return json.dumps({"format": FORMAT, **asdict(about)}, allow_nan=False)


def from_json(path: Path, text: str) -> About:
    """The inverse; ``path`` is the file that the text was found in.

    Raises:
        CheckpointError: the text is damaged or of a newer version; the message names the file.
    """
    try:
        values = json.loads(text)
        version, written_format = values["version"], int(values.pop("format"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); export it again") from error
    if written_format > FORMAT:
        raise CheckpointError(
            f"{path}: exported by interlace {version} in format {written_format}; this is "
            f"{interlace.__version__}, which reads up to {FORMAT}; update with `pip install -U interlace`"
        )
    try:
        _check(values)
        state = tuple(StateTensor(**{**entry, "shape": tuple(entry["shape"])}) for entry in values["state"])
        return About(**{**values, "state": state})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); export it again") from error


def _check(values: dict[str, Any]) -> None:
    """ValueError if a value is none that this version writes."""
    if values["kind"] not in ("clip", "stream"):
        raise ValueError(f"kind is {values['kind']!r}, neither clip nor stream")
    if values["precision"] not in ("float32", "int8"):
        raise ValueError(f"precision is {values['precision']!r}, neither float32 nor int8")
    if not isinstance(values["pixels"], bool):
        raise ValueError(f"pixels is {values['pixels']!r}, neither true nor false")
    if type(values["image_size"]) is not int or not 1 <= values["image_size"] <= LARGEST_IMAGE:
        raise ValueError(
            f"image_size is {values['image_size']!r}, no number above zero and up to {LARGEST_IMAGE}"
        )
    if values["state"] and values["kind"] == "clip":
        raise ValueError("there is a state, but the graph takes whole clips")
    for tensor in values["state"]:
        if not isinstance(tensor["name"], str):
            raise ValueError(f"the state {tensor['name']!r} has no name")
        has_sizes = all(type(size) is int and (size == BATCH or size > 0) for size in tensor["shape"])
        if not has_sizes or not isinstance(getattr(torch, tensor["dtype"], None), torch.dtype):
            raise ValueError(f"the state {tensor['name']!r} has shape {tensor['shape']} of {tensor['dtype']}")
    elements = sum(math.prod(abs(size) for size in tensor["shape"]) for tensor in values["state"])
    if elements > MOST_STATE:
        raise ValueError(f"the state of a stream has {elements} numbers, more than {MOST_STATE}")


def to_metadata(about: About, card: ModelCard) -> dict[str, str]:
    """All that an exported file must hold in its metadata, as text by key.

    Example:
        >>> from interlace.checkpoints import ModelCard
        >>> from interlace.exported.about import About, to_metadata
        >>> card = ModelCard(
        ...     model="tin_resnet18", model_args={"num_classes": 2}, labels=("wave", "clap"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
        ... )
        >>> sorted(to_metadata(About("clip", pixels=True, image_size=32), card))
        ['interlace', 'interlace_graph']
    """
    card_text = json.dumps({"format": card_history.FORMAT, **asdict(card)}, allow_nan=False)
    return {CARD: card_text, GRAPH: to_json(about)}


def from_metadata(path: Path, metadata: Mapping[str, Any]) -> tuple[About, ModelCard]:
    """The inverse; ``path`` is the file of that metadata.

    Raises:
        CheckpointError: the file is no export of ours, or its metadata is damaged or of a newer version.
    """
    missing = [key for key in (CARD, GRAPH) if key not in metadata]
    if missing:
        raise CheckpointError(
            f"{path}: not exported by interlace (it has no {' and no '.join(map(repr, missing))} in its metadata); "
            "make one with `interlace export`"
        )
    return from_json(path, metadata[GRAPH]), checkpoints.card_from_header(path, metadata)
