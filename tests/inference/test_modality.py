"""Networks that see motion, on decoded clips and on files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import ModelCard
from interlace.data import video
from interlace.data.mirror import mirror_of
from interlace.inference import Recognizer
from interlace.inference.recognizer import short_note
from interlace.modality import channels_of
from interlace.models import create_model


def recognizer(modality: str, **arguments) -> Recognizer:
    builder_args = {"num_classes": 3, "num_segments": 4, "modality": modality}
    model = create_model("tsn_test_resnet", **builder_args)
    torch.nn.init.normal_(model.head.weight, std=0.5)
    card = ModelCard(
        model="tsn_test_resnet",
        model_args=builder_args,
        labels=("wave", "clap", "turn"),
        sampling={"name": "segment", "num_segments": 4, "snippet_length": 6},
        preprocessing={
            "image_size": 32,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
            "modality": modality,
        },
    )
    return Recognizer(model, card, device="cpu", **arguments)


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_a_decoded_clip_is_read_as_its_file(modality, make_video, tmp_path):
    path = make_video(tmp_path / "a.mp4", num_frames=17)
    network = recognizer(modality)
    with video.open(path) as reader:
        clip = reader.frames_at(range(17))
    of_file, of_clip = network(path), network(clip)
    assert dict(of_clip.top) == pytest.approx(dict(of_file.top), abs=1e-3)
    assert network(clip.numpy()).top == of_clip.top
    assert of_clip.path == "clip (17, 3, 48, 64)"
    assert network(clip[:2]).notes == ("2 frames for 4 segments: frames are repeated",)


def test_a_clip_of_other_channels_is_refused():
    network = recognizer("flow")
    with pytest.raises(ValueError, match=r"a clip is uint8 \(T, 3, H, W\) for this network"):
        network(torch.zeros(9, 10, 32, 32, dtype=torch.uint8))


def test_a_reader_that_was_opened_otherwise_is_refused(make_video, tmp_path):
    network = recognizer("flow")
    with video.open(make_video(tmp_path / "a.mp4")) as reader, pytest.raises(ValueError, match="3 channels"):
        network(reader)


def test_windows_see_their_own_snippets(make_video, tmp_path):
    path = make_video(tmp_path / "a.mp4", num_frames=36, fps=12.0)
    network = recognizer("flow")
    windows = network.timeline(path, window_seconds=1.0, hop_seconds=0.5)
    assert [window.start_seconds for window in windows] == [0.0, 0.5, 1.0, 1.5, 2.0]
    seen = []
    network.logits = lambda views: seen.append(views) or torch.zeros(len(views), 3, dtype=torch.float64)
    network.timeline(path, window_seconds=1.0, hop_seconds=1.0)
    assert seen[0].shape == (3, 4, channels_of("flow"), 32, 32)


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_mirrored_crops_are_those_of_the_modality(modality, make_video, tmp_path):
    network = recognizer(modality)
    seen = []
    network.logits = lambda views: seen.append(views) or torch.zeros(len(views), 3, dtype=torch.float64)
    network(make_video(tmp_path / "a.mp4", num_frames=12), crops="ten")
    assert seen[0].shape == (10, 4, channels_of(modality), 32, 32)
    assert torch.equal(seen[0][5:], mirror_of(modality)(seen[0][:5]))
    assert torch.equal(seen[0][5:], seen[0][:5].flip(-1)) == (modality == "rgb_diff")


def test_what_is_repeated_is_told():
    assert short_note(8, 4) == short_note(9, 4, 6) == ()
    assert short_note(8, 4, 6) == ("8 frames for 4 snippets of 6: snippets are repeated",)
    assert short_note(1, 4, 6) == ("1 frame for 4 segments: frames are repeated",)


def test_parts_of_a_clip_choose_for_themselves():
    """Five frames are enough for parts of 2 and 3, though not for 6."""
    for lengths, notes in (((2, 3), ()), ((2, 6), ("5 frames for 6 segments: frames are repeated",))):
        members = [
            {"model": "tsn_test_resnet", "model_args": {"num_segments": number, "num_classes": 3}}
            for number in lengths
        ]
        model = create_model("ensemble", num_classes=3, members=members)
        card = ModelCard(
            model="ensemble",
            model_args=model.builder_args,
            labels=("wave", "clap", "turn"),
            sampling={
                "name": "joined",
                "parts": [{"name": "segment", "num_segments": number} for number in lengths],
            },
            preprocessing={"image_size": 32, "mean": [0.0] * 3, "std": [1.0] * 3, "color": "rgb"},
        )
        clip = torch.zeros(5, 3, 40, 48, dtype=torch.uint8)
        assert Recognizer(model, card, device="cpu")(clip).notes == notes


def test_the_method_of_the_training_is_the_default(tmp_path):
    network = recognizer("flow")
    assert (network.modality, network.flow) == ("flow", "dis")
    card = replace(network.card, preprocessing={**network.card.preprocessing, "flow": "tvl1"})
    assert Recognizer(network.model, card, device="cpu").flow == "tvl1"
    assert Recognizer(network.model, card, device="cpu", flow="dis_fast").flow == "dis_fast"
    assert Recognizer(network.model, card, device="cpu", flow=Path("flow")).flow == Path("flow")


def test_a_card_of_old_is_of_frames():
    network = recognizer("flow")
    preprocessing = {key: value for key, value in network.card.preprocessing.items() if key != "modality"}
    old = Recognizer(network.model, replace(network.card, preprocessing=preprocessing), device="cpu")
    assert old.modality == "rgb"
