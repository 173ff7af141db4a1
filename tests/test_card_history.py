"""Files of older formats go on meaning what they meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from interlace.card_history import RELEASED_TIN, arguments_today
from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from interlace.models import VideoModel, create_model
from interlace.temporal import TemporalInterlace


def written_in_format_1(folder: Path, model: VideoModel, name: str) -> Path:
    """The file that this package wrote of a network before `tin_*` was its best form."""
    parts = {"parts": [{"name": "segment", "num_segments": n} for n in model.segments]}
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("left", "right"),
        sampling={"name": "segment", "num_segments": 4}
        if len(model.segments) == 1
        else {"name": "joined", **parts},
        preprocessing={"image_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    )
    path = save_checkpoint(folder / "old.safetensors", model, card)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["interlace"])
    without = {key: value for key, value in header["model_args"].items() if key not in RELEASED_TIN}
    header |= {"format": 1, "model": name, "model_args": without}
    save_file(load_file(path), path, metadata={"interlace": json.dumps(header)})
    return path


@pytest.mark.parametrize("name", ["tin_resnet18", "tin_nl_resnet18", "tin_en_resnet18"])
def test_tin_of_format_1_is_as_released(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    # Else timm's residual branches begin at zero, and it is all the same what moves in them.
    sizes = {"num_classes": 2, "num_segments": 6, "zero_init_last": False}
    released = create_model(name, **sizes, **RELEASED_TIN)
    for module in released.modules():
        if isinstance(getattr(module, "head", None), torch.nn.Linear):
            torch.nn.init.normal_(module.head.weight)
    todays = create_model(name, **sizes)
    todays.load_state_dict(released.state_dict())
    loaded, card = load_checkpoint(written_in_format_1(tmp_path, released, name))
    clip = torch.rand(1, 6, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(clip), released.eval()(clip))
        assert not torch.allclose(loaded(clip), todays.eval()(clip))
    again, _ = load_checkpoint(save_checkpoint(tmp_path / "new.safetensors", loaded, card))
    with torch.no_grad():
        assert torch.equal(again(clip), loaded(clip))


def test_what_was_given_stays_and_others_change_nothing() -> None:
    given = {"num_classes": 2, "offset_range": 4.0}
    assert arguments_today("tin_resnet18", given, 1) == {**RELEASED_TIN, **given}
    for name in ("tin_causal_resnet18", "tsm_resnet18", "tin_released_resnet18", "no_such_network"):
        assert arguments_today(name, given, 1) == given
    assert arguments_today("tin_resnet18", given, 2) == given


def test_members_of_an_ensemble_are_as_they_were() -> None:
    members = [{"model": "tin_resnet18"}, {"model": "tsm_resnet18", "model_args": {"fold_div": 4}}, "broken"]
    today = arguments_today("ensemble", {"members": members}, 1)["members"]
    assert today == [{"model": "tin_resnet18", "model_args": RELEASED_TIN}, *members[1:]]


@pytest.mark.parametrize(
    ("method", "frames", "reach"), [("released", 8, 2.0), ("paper", 8, 4.0), ("paper", 16, 8.0)]
)
def test_the_published_forms(method: str, frames: int, reach: float) -> None:
    model = create_model(f"tin_{method}_resnet18", num_classes=2, num_segments=frames)
    modules = [module for module in model.modules() if isinstance(module, TemporalInterlace)]
    start = 0.5 if method == "released" else 1.0
    assert {module.offset_net.offset_range for module in modules} == {reach}
    for module in modules:
        raw = module.offset_net.fc2.bias
        torch.testing.assert_close(2 * reach * (torch.sigmoid(raw) - 0.5), torch.full((2,), start))
