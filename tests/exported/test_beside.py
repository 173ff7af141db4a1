from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import torch

from interlace.checkpoints import ModelCard
from interlace.data.views import resize_short_side, spatial_views
from interlace.exported.about import About, StateTensor
from interlace.exported.beside import describe, write_beside

STREAM = About("stream", pixels=False, image_size=56, state=(StateTensor("past1", (-1, 3, 7)),))


def test_the_file_beside_holds_all_that_others_need(card: ModelCard, tmp_path: Path) -> None:
    training = {
        "data": "/home/me/clips",
        "split": {"train": "/home/me/a.csv"},
        "clips": ["0f"] * 9,
        "seed": 3,
    }
    trained = replace(card, training=training)
    path = write_beside(tmp_path / "model.onnx", STREAM, trained, parity={"top1": 1.0})
    assert path.name == "model.onnx.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["parity"] == {"top1": 1.0}
    assert written["labels"] == list(card.labels)
    assert written["card"] == json.loads(json.dumps(asdict(replace(card, training={"seed": 3}))))
    assert written["preprocessing"]["mean"] == [0.4, 0.5, 0.6]
    assert written["preprocessing"]["resize_short_side"] == 64
    assert written["preprocessing"]["center_crop"] == 56
    assert written["preprocessing"]["inside_the_graph"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx.json"]


def test_frames_of_a_stream_come_as_fast_as_in_training(card: ModelCard) -> None:
    described = describe(STREAM, replace(card, window_seconds=1.6))
    assert described["frames"]["per_second"] == 2.5  # 4 frames in 1.6 seconds
    assert describe(STREAM, replace(card, window_seconds=None))["frames"]["per_second"] is None
    clips = describe(About("clip", pixels=True, image_size=56), card)["frames"]
    assert (clips["num_segments"], clips["window_seconds"]) == (4, 1.0)


def test_the_crop_is_where_the_numbers_say(card: ModelCard) -> None:
    """73 x 104 pixels of 70 x 100, and the odd rests of both sides."""
    told = describe(About("clip", pixels=True, image_size=64), card)["preprocessing"]
    clip = torch.randint(0, 256, (1, 3, 70, 100), dtype=torch.uint8)
    short = told["resize_short_side"]
    resized = resize_short_side(clip, short)
    assert resized.shape[2:] == (short, math.floor(short * 100 / 70))
    top, left = (round((side - told["center_crop"]) / 2) for side in resized.shape[2:])
    assert torch.equal(spatial_views(clip, "center", 64)[0], resized[..., top : top + 64, left : left + 64])


def test_inputs_and_state_of_a_stream(card: ModelCard) -> None:
    described = describe(STREAM, card)
    assert described["inputs"] == [
        {"name": "frame", "shape": ["batch", 3, 56, 56], "dtype": "float32"},
        {"name": "past.past1", "shape": ["batch", 3, 7], "dtype": "float32"},
    ]
    assert described["state"] == {
        "before_the_first_frame": "zeros",
        "after_each_frame": {"next.past1": "past.past1"},
    }


def test_the_size_is_the_graphs_and_several_labels_have_sigmoids(card: ModelCard) -> None:
    described = describe(About("clip", pixels=True, image_size=28), replace(card, multi_label=True))
    assert described["inputs"] == [{"name": "clip", "shape": ["batch", 4, 3, 28, 28], "dtype": "uint8"}]
    assert described["state"] is None
    assert described["preprocessing"]["resize_short_side"] == 32
    assert described["probabilities"] == "sigmoid of each logit"
