from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from interlace.checkpoints import CheckpointError, ModelCard, load_checkpoint, read_card, save_checkpoint
from interlace.models import VideoClassifier, VideoModel, create_model


def make(name: str = "tin_resnet18") -> tuple[VideoClassifier, ModelCard]:
    model = create_model(name, num_classes=3, num_segments=4, in_chans=1)
    torch.nn.init.normal_(model.head.weight)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("push", "pull", 'naïve "quoted" 推'),
        sampling={"name": "segment", "num_segments": 4},
        preprocessing={"image_size": 112, "mean": list(model.mean), "std": list(model.std), "color": "gray"},
        metrics={"top1": 81.25},
        window_seconds=2.5,
        training={"seed": 7, "epoch": 3},
    )
    return model, card


def rewrite(path: Path, **changes: object) -> Path:
    """The same file with another header."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["interlace"])
    header.update(changes)
    save_file(load_file(path), path, metadata={"interlace": json.dumps(header)})
    return path


@pytest.mark.parametrize("name", ["tsn_resnet18", "tsm_mobilenetv2_050", "tin_resnet18"])
@pytest.mark.parametrize("last", [False, True])
def test_round_trip_is_exact(tmp_path, name, last):
    model, card = make(name)
    if last:
        model.to(memory_format=torch.channels_last)
    model(torch.randn(2, 4, 1, 64, 64))  # moves the statistics of batch norm
    path = save_checkpoint(tmp_path / "new" / "model.safetensors", model, card)
    loaded, loaded_card = load_checkpoint(path)
    assert loaded_card == card
    assert not loaded.training
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    if not last:
        clip = torch.randn(2, 4, 1, 64, 64)
        with torch.no_grad():
            assert torch.equal(loaded(clip), model.eval()(clip))
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def make_ensemble(name: str = "tin_en_test_resnet", **arguments: object) -> tuple[VideoModel, ModelCard]:
    model = create_model(name, num_classes=3, num_segments=3, **arguments)
    for network in model.networks:
        torch.nn.init.normal_(network.head.weight)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("a", "b", "c"),
        sampling={
            "name": "joined",
            "parts": [
                {"name": "segment", "num_segments": 1},
                {"name": "dense", "num_segments": 2, "frame_stride": 4},
            ],
        },
        preprocessing={"image_size": 32, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
    )
    return model, card


def test_an_ensemble_comes_back(tmp_path):
    model, card = make_ensemble(weights=[1, 3], average="logits")
    path = save_checkpoint(tmp_path / "e.safetensors", model, card)
    loaded, loaded_card = load_checkpoint(path)
    assert loaded_card == card
    assert card.num_segments == 3
    clip = torch.rand(2, 3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(clip), model.eval()(clip))


def test_an_ensemble_changes_all_parts_in_proportion(tmp_path):
    path = save_checkpoint(tmp_path / "e.safetensors", *make_ensemble())
    model, card = load_checkpoint(path, num_segments=9)
    assert (model.segments, card.num_segments, card.model_args["num_segments"]) == ((3, 6), 9, 9)
    assert card.sampling["parts"] == [
        {"name": "segment", "num_segments": 3},
        {"name": "dense", "num_segments": 6, "frame_stride": 4},
    ]
    assert card.training == {"num_segments": 3}
    again = save_checkpoint(tmp_path / "longer.safetensors", model, card)
    assert load_checkpoint(again)[1] == card
    with pytest.raises(ValueError, match=r"num_segments=8 does not divide .* 6 and 9"):
        load_checkpoint(path, num_segments=8)


@pytest.mark.parametrize("multi_label", [False, True])
def test_an_ensemble_averages_the_probabilities_that_the_card_names(tmp_path, multi_label):
    model, card = make_ensemble(multi_label=multi_label)
    with pytest.raises(ValueError, match=f"multi_label={not multi_label}, but tin_en_test_resnet was built"):
        save_checkpoint(tmp_path / "e.safetensors", model, replace(card, multi_label=not multi_label))
    assert not list(tmp_path.iterdir())


def test_the_card_alone_does_not_need_the_weights(tmp_path, monkeypatch):
    model, card = make()
    path = save_checkpoint(tmp_path / "m.safetensors", model, card)
    monkeypatch.setattr("interlace.checkpoints.create_model", None)
    monkeypatch.setattr("interlace.checkpoints._build", None)
    assert read_card(path) == card


@pytest.mark.parametrize("read", [load_checkpoint, read_card])
def test_what_is_no_checkpoint_of_ours(tmp_path, read):
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    for name, message in (("w", "weights only"), ("x", "not a whole"), ("y", "there is no such file")):
        with pytest.raises(CheckpointError, match=f"{name}\\.safetensors: {message}"):
            read(tmp_path / f"{name}.safetensors")


def test_the_global_random_state_is_not_moved(tmp_path):
    model, card = make()
    before = torch.random.get_rng_state()
    load_checkpoint(save_checkpoint(tmp_path / "model.safetensors", model, card))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_older_file_stays_when_writing_fails(tmp_path, monkeypatch):
    model, card = make()
    path = save_checkpoint(tmp_path / "model.safetensors", model, card)
    before = path.read_bytes()

    def full_disk(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match=r"model\.safetensors cannot be written: the disk is full"):
        save_checkpoint(path, model, replace(card, metrics={}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_initial_weights_are_not_needed_again(tmp_path):
    model, card = make()
    card = replace(card, model_args={**card.model_args, "pretrained": True})
    assert load_checkpoint(save_checkpoint(tmp_path / "m.safetensors", model, card))[1] == card


def test_weights_of_another_network_are_not_saved(tmp_path):
    model, card = make()
    with pytest.raises(ValueError, match="not those of tsn_resnet18"):
        save_checkpoint(tmp_path / "m.safetensors", model, replace(card, model="tsn_resnet18"))
    assert not list(tmp_path.iterdir())


def test_labels_and_classes_must_agree():
    with pytest.raises(ValueError, match="2 labels for a network of num_classes=3"):
        replace(make()[1], labels=("push", "pull"))


def test_weights_only(tmp_path):
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"w\.safetensors: weights only.* pretrained=PATH"):
        load_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("read", [load_checkpoint, read_card])
def test_a_network_of_events_is_told_from_weights(tmp_path, read):
    save_file({"w": torch.zeros(3)}, tmp_path / "e.safetensors", metadata={"interlace_events": "{}"})
    with pytest.raises(
        CheckpointError, match=r"e\.safetensors: a network of audio-visual .* `interlace av predict`"
    ):
        read(tmp_path / "e.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x80\x04\x95pickle"])
def test_another_file(tmp_path, content):
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.pth: not a whole \.safetensors file"):
        load_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("part", [0.001, 0.5, 0.999])
def test_a_truncated_file(tmp_path, part):
    model, card = make()
    path = save_checkpoint(tmp_path / "m.safetensors", model, card)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CheckpointError, match="not a whole"):
        load_checkpoint(path)


def test_an_absent_file(tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        load_checkpoint(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99, "version": "7.0"}, r"written by interlace 7\.0 in format 99.*update"),
        ({"model": "xyz_resnet18", "version": "0.0.9"}, r"cannot build its network.*0\.0\.9.*xyz_resnet18"),
        ({"model": "tsn_resnet18"}, "cannot build its network"),
        ({"labels": ["one"]}, "header is not complete.*1 labels"),
        ({"unknown": 1}, "not of this version: it was written by interlace .*unknown"),
    ],
)
def test_headers_that_do_not_fit(tmp_path, changes, message):
    model, card = make()
    path = rewrite(save_checkpoint(tmp_path / "m.safetensors", model, card), **changes)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "one"),
        ("format", None),
        ("model", None),
        ("model_args", [1]),
        ("labels", "ab"),
        ("sampling", None),
        ("preprocessing", 3),
        ("training", "x"),
    ],
)
def test_values_of_another_kind(tmp_path, name, value):
    card = {
        "format": 1,
        "version": "0.1.0",
        "model": "tsn_resnet18",
        "model_args": {"num_classes": 2},
        "labels": ["push", "pull"],
        "sampling": {"name": "segment", "num_segments": 4},
        "preprocessing": {},
    }
    save_file({"w": torch.zeros(3)}, tmp_path / "m.safetensors", metadata={"interlace": json.dumps(card)})
    assert read_card(tmp_path / "m.safetensors").num_segments == 4
    with pytest.raises(CheckpointError, match=r"m\.safetensors: its header is damaged"):
        read_card(rewrite(tmp_path / "m.safetensors", **{name: value}))


@pytest.mark.parametrize("header", ["{", "[]", "{}", "null", "3"])
def test_damaged_headers(tmp_path, header):
    save_file({"w": torch.zeros(3)}, tmp_path / "m.safetensors", metadata={"interlace": header})
    with pytest.raises(CheckpointError, match="header is damaged"):
        load_checkpoint(tmp_path / "m.safetensors")
