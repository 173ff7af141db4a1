"""Weights that do not fit, and arguments that contradict the file."""

from __future__ import annotations

import pytest
import torch

from interlace.checkpoints import load_checkpoint
from interlace.released import ReleasedError, import_released


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("new_fc.weight"), "classifier is missing"),
        (
            lambda s: s.pop("base_model.layer2.1.conv2.weight"),
            r"1 weights missing:\n  1 x backbone.layer\*.*layer2.1.conv2",
        ),
        (
            lambda s: s.update({"base_model.conv1.weight": torch.zeros(64, 4, 7, 7)}),
            "sees 4 channels; known are 3",
        ),
        (
            lambda s: s.update({"base_model.bn1.bias": torch.zeros(63)}),
            r"of another size:\n.*\(63,\), not \(64,\)",
        ),
        (
            lambda s: [s.pop(name) for name in list(s) if ".layer4.1." in name],
            r"no ResNet is known that has \(2, 2, 2, 1\) basic blocks",
        ),
        (
            lambda s: s.update(
                {"base_model.layer1.0.net.conv1.weight": s.pop("base_model.layer1.0.conv1.weight")}
            ),
            "shifts at other places",
        ),
        (
            lambda s: s.update({"new_fc.weight": torch.tensor(1.0)}),
            r"head.weight has the shape \(\), which is none",
        ),
        (
            lambda s: s.update({"new_fc.bias": torch.zeros(5, dtype=torch.int8)}),
            r"1 weights of whole numbers, .*:\n.*head.bias \(torch.int8\)",
        ),
        (
            lambda s: s.update({"new_fc.weight": torch.zeros(5, 512).to_sparse()}),
            "new_fc.weight is a tensor of torch.sparse_coo; save the weights as plain",
        ),
        (
            lambda s: s.update({"new_fc.bias": torch.zeros(5, dtype=torch.complex64)}),
            "new_fc.bias is a tensor of torch.complex64; save the weights as plain",
        ),
    ],
)
def test_what_does_not_fit_is_told(authors, change, message, tmp_path):
    state = authors.plain("resnet18")
    change(state)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ReleasedError, match=message) as error:
        import_released(tmp_path / "odd.pth", tmp_path / "ours.safetensors")
    assert str(error.value).startswith(str(tmp_path / "odd.pth"))
    assert not (tmp_path / "ours.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_segments": 4}, "num_segments=4, but its weights are for clips of 8 frames; leave it out"),
        ({"fold_div": 8}, "fold_div=8 is for networks of shifts, but this is tin"),
        ({"labels": ["a", "b"]}, "2 labels, but .*released.pth tells 5 classes apart"),
        ({"image_size": 0}, "image_size=0 must be at least 1"),
        ({"sampling": "every"}, "sampling='every' is unknown"),
    ],
)
def test_arguments_that_contradict_the_file(authors, options, message, tmp_path):
    state = authors.interlaced(authors.plain("resnet18"), num_segments=8, shift_div=4)
    torch.save(state, tmp_path / "released.pth")
    with pytest.raises(ValueError, match=message):
        import_released(tmp_path / "released.pth", tmp_path / "ours.safetensors", **options)


@pytest.mark.parametrize(
    "name",
    ["conv1.net2.weight", "conv1.net1.biasnet.net.conv.weight", "conv1.net1.biasnet.net.fc.weight"],
)
def test_tin_of_too_few_axes(authors, name, tmp_path):
    state = authors.interlaced(authors.plain("resnet18"), num_segments=8, shift_div=4)
    state[f"base_model.layer1.0.{name}"] = torch.zeros(64)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(
        ReleasedError, match=r"odd.pth: backbone.layer1.0.conv1\..*has the shape \(64,\), which is"
    ):
        import_released(tmp_path / "odd.pth", tmp_path / "ours.safetensors")


def test_weights_that_are_views_of_one_tensor(authors, tmp_path):
    state = authors.plain("resnet18")
    flat = torch.randn(2, 64)
    state["base_model.bn1.bias"], state["base_model.layer1.0.bn1.bias"] = flat[0], flat[0]
    torch.save(state, tmp_path / "odd.pth")
    imported = import_released(tmp_path / "odd.pth", tmp_path / "ours.safetensors")
    weights = load_checkpoint(imported.path)[0].state_dict()
    assert torch.equal(weights["backbone.bn1.bias"], flat[0])
    assert torch.equal(weights["backbone.layer1.0.bn1.bias"], flat[0])
