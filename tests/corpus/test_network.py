"""Networks as bytes that any process can open."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import interlace
from interlace.corpus.network import is_file_name, network_by_name, read_network


def test_a_checkpoint_travels_as_it_is(checkpoint: Path) -> None:
    network = read_network(checkpoint)
    opened, wanted = network.open(device="cpu"), interlace.load(checkpoint, device="cpu")
    assert opened.card == wanted.card
    assert opened.path == checkpoint
    clip = torch.randint(0, 255, (5, 3, 40, 48), dtype=torch.uint8)
    assert opened(clip).top == wanted(clip).top
    copy = checkpoint.with_name("copy.safetensors")
    copy.write_bytes(checkpoint.read_bytes())
    assert read_network(copy).fingerprint == network.fingerprint


def test_random_weights_are_the_same_each_time() -> None:
    first, again = (
        network_by_name("test_resnet", weights="none", image_size=48, num_segments=3) for _ in range(2)
    )
    assert first.fingerprint == again.fingerprint
    assert first.open(device="cpu").card.preprocessing["image_size"] == 48
    assert first.open(device="cpu").card.num_segments == 3
    other = network_by_name("tsm_test_resnet", weights="none", image_size=48, num_segments=3)
    assert other.fingerprint != first.fingerprint


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder; name the checkpoint"):
        read_network(tmp_path)
    with pytest.raises(ValueError, match="there is no such file"):
        read_network(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match=r"no\.pth: .*--weights FILE"):
        network_by_name("test_resnet", weights="no.pth")
    with pytest.raises(ValueError, match="image_size=0"):
        network_by_name("test_resnet", weights="none", image_size=0)
    assert is_file_name("model.onnx")
    assert not is_file_name("tsm_resnet50")
