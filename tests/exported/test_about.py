from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.checkpoints import CheckpointError, ModelCard
from interlace.exported.about import About, StateTensor, from_json, from_metadata, to_json, to_metadata

ABOUT = About(
    "stream", pixels=True, image_size=8, state=(StateTensor("a.b", (-1, 3, 7), "int64"),), precision="int8"
)
STATE = {"name": "a", "shape": [-1], "dtype": "float32"}


def test_what_is_written_is_read(card: ModelCard) -> None:
    metadata = to_metadata(ABOUT, card)
    assert all(isinstance(text, str) for text in metadata.values())
    assert from_metadata(Path("model.onnx"), metadata) == (ABOUT, card)


def test_names_of_the_graph() -> None:
    assert ABOUT.input_names == ("frame", "past.a.b")
    assert ABOUT.output_names == ("logits", "next.a.b")
    assert About("clip", pixels=False, image_size=8).input_names == ("clip",)


def test_a_state_begins_with_zeros_of_its_own_type() -> None:
    zeros = ABOUT.state[0].zeros(2, torch.device("cpu"))
    assert zeros.dtype == torch.int64
    assert torch.equal(zeros, torch.zeros(2, 3, 7, dtype=torch.int64))


@pytest.mark.parametrize("key", ["interlace", "interlace_graph"])
def test_files_of_others_are_named(card: ModelCard, key: str) -> None:
    metadata = to_metadata(ABOUT, card)
    del metadata[key]
    with pytest.raises(
        CheckpointError, match=rf"model.onnx: not exported by interlace \(it has no '{key}' in"
    ):
        from_metadata(Path("model.onnx"), metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": 2},
            "exported by interlace .* in format 2; this is .* reads up to 1; update with `pip install",
        ),
        ({"format": "new"}, "its metadata is damaged"),
        ({"kind": "picture"}, "kind is 'picture', neither clip nor stream"),
        ({"kind": "clip"}, "there is a state, but the graph takes whole clips"),
        ({"pixels": 1}, "pixels is 1, neither true nor false"),
        ({"image_size": 0}, "image_size is 0, no number above zero"),
        ({"image_size": True}, "image_size is True, no number above zero"),
        ({"precision": "int4"}, "precision is 'int4', neither float32 nor int8"),
        ({"state": [{**STATE, "shape": [0, 3]}]}, r"the state 'a' has shape \[0, 3\] of float32"),
        ({"state": [{**STATE, "dtype": "load"}]}, r"the state 'a' has shape \[-1\] of load"),
        ({"state": [{**STATE, "name": 3}]}, "the state 3 has no name"),
        ({"state": [{"name": "a"}]}, "its metadata is damaged"),
        ({"state": None}, "its metadata is damaged"),
        ({"more": 1}, "its metadata is damaged"),
    ],
)
def test_wrong_metadata_is_named(change: dict[str, Any], message: str) -> None:
    text = json.dumps({**json.loads(to_json(ABOUT)), **change})
    with pytest.raises(CheckpointError, match=rf"^model.xml: .*{message}"):
        from_json(Path("model.xml"), text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_damaged_metadata_is_named(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"model.xml: its metadata is damaged"):
        from_json(Path("model.xml"), text)


def test_a_newer_card_is_named(card: ModelCard) -> None:
    metadata = to_metadata(ABOUT, card)
    metadata["interlace"] = json.dumps({**json.loads(metadata["interlace"]), "format": 7})
    with pytest.raises(CheckpointError, match=r"model.pt2: written by interlace .* in format 7"):
        from_metadata(Path("model.pt2"), metadata)
