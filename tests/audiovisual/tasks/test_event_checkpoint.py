from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from interlace.audiovisual import collate
from interlace.audiovisual.features.extractor import create_extractor
from interlace.audiovisual.tasks.event_checkpoint import (
    HEADER,
    EventCard,
    find_method,
    load_event_model,
    methods_of,
    read_event_card,
    save_event_model,
)
from interlace.checkpoints import CheckpointError

SIZES = {"audio_features": 7, "visual_features": 11, "num_events": 3}
LABELS = ("bark", "horn", "bell")


def made(task: str, name: str):
    network = find_method(task, name).network(**SIZES)
    return network, EventCard(task, name, dict(network.builder_args), LABELS)


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in ("sel", "cml") for name in methods_of(task)]
)
def test_every_method_comes_back_with_its_weights(tmp_path, made_set, task, name):
    network, card = made(task, name)
    for value in network.state_dict().values():
        value.copy_(torch.arange(value.numel()).reshape(value.shape) % 5)  # buffers as well as weights
    path = save_event_model(tmp_path / "model.safetensors", network, card)
    before = torch.random.get_rng_state()
    loaded, card_again, extractor = load_event_model(path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (card_again, extractor) == (card, None)
    assert type(loaded) is type(network)
    assert not loaded.training
    state = loaded.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    batch = collate(made_set(5, 3)[2:])
    if task == "sel":
        assert torch.equal(loaded.localize(batch).labels, network.eval().localize(batch).labels)
    else:
        assert torch.equal(loaded.starts(batch, "audio"), network.eval().starts(batch, "audio"))


def test_the_extractor_is_in_the_file(tmp_path):
    spec = {"audio": {"name": "log_mel"}, "visual": {"name": "resnet10t", "image_size": 32}}
    extractor = create_extractor(spec)
    network, card = made("sel", "dam")
    path = tmp_path / "model.safetensors"
    save_event_model(path, network, replace(card, extractor=extractor.spec), extractor)
    assert load_event_model(path).extractor.fingerprint() == extractor.fingerprint()
    with pytest.raises(ValueError, match="the card says features of None"):
        save_event_model(path, network, card, extractor)


def test_what_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: there is no such file"):
        read_event_card(tmp_path / "none.safetensors")
    with pytest.raises(
        CheckpointError, match=r"is a folder; it holds no model\.safetensors; name a checkpoint"
    ):
        read_event_card(tmp_path)
    inside = tmp_path / "dam" / "seed0" / "model.safetensors"
    inside.parent.mkdir(parents=True)
    inside.touch()
    with pytest.raises(CheckpointError, match=f"is a folder; name the checkpoint in it, e.g. {inside}"):
        read_event_card(tmp_path)
    text = tmp_path / "text.safetensors"
    text.write_text("no tensors")
    with pytest.raises(CheckpointError, match=r"not a whole \.safetensors file"):
        load_event_model(text)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(CheckpointError, match=r"other\.safetensors: not a network of audio-visual events"):
        load_event_model(other)
    save_file({"weight": torch.zeros(2)}, other, metadata={"interlace": "{}"})
    with pytest.raises(
        CheckpointError, match=r"a network that recognizes actions, .* use `interlace predict`"
    ):
        load_event_model(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "written by interlace .* in format 99"),
        ({"method": "psp"}, "sel has no method 'psp'"),
        ({"labels": ["bark"]}, "1 labels for a network of num_events=3"),
        ({"network": {**SIZES, "depth": 3}}, "cannot build its network"),
        ({"network": {**SIZES, "width": 5}}, "cannot build its network"),
    ],
)
def test_a_header_that_does_not_fit_is_said(tmp_path, changes, message):
    network, card = made("sel", "dam")
    path = save_event_model(tmp_path / "model.safetensors", network, card)
    values = {"format": 1, **vars(card), "labels": list(card.labels), **changes}
    save_file(load_file(path), path, metadata={HEADER: json.dumps(values)})
    with pytest.raises(CheckpointError, match=message):
        load_event_model(path)


def test_the_features_of_an_older_file_are_those_of_the_released_tin(tmp_path):
    network, card = made("sel", "dam")
    path = save_event_model(tmp_path / "model.safetensors", network, card)
    features = {"audio": {"name": "log_mel"}, "visual": {"name": "tin_resnet18"}}
    found = {}
    for written_format in (1, 2):
        values = {"format": written_format, **vars(card), "labels": list(card.labels), "extractor": features}
        save_file(load_file(path), path, metadata={HEADER: json.dumps(values)})
        found[written_format] = read_event_card(path).extractor["visual"].get("initial_offset")
    assert found == {1: 0.5, 2: None}


def test_half_a_file_is_said(tmp_path):
    network, card = made("sel", "dam")
    path = save_event_model(tmp_path / "model.safetensors", network, card)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"not a whole \.safetensors file"):
        load_event_model(path)
