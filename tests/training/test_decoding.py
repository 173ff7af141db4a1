"""A run with kept frames is the run without, also when it goes on after an interruption."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import torch

from interlace.checkpoints import load_checkpoint
from interlace.training.config import DecodeConfig, TrainerConfig
from interlace.training.run import train
from interlace.training.stopping import Interrupted


def weights(config) -> list[torch.Tensor]:
    return list(load_checkpoint(config.output / "last.safetensors")[0].state_dict().values())


@pytest.mark.parametrize("first", ["off", "folder"])
def test_the_cache_changes_no_weight(settings, tmp_path, monkeypatch, interrupted_run, first):
    decode = {
        "off": DecodeConfig(short_side=40),
        "folder": DecodeConfig(short_side=40, cache=str(tmp_path / "kept")),
        "ram": DecodeConfig(short_side=40, cache="ram"),
    }
    alone = settings(output=tmp_path / "alone", decode=decode["off"])
    train(alone)
    monkeypatch.setattr(interrupted_run, "SIGNAL", signal.SIGTERM, raising=False)
    monkeypatch.setattr(interrupted_run, "STEP", 2, raising=False)
    monkeypatch.setattr(interrupted_run.Interrupted, "steps", 0)
    monkeypatch.setattr("interlace.training.parts.ClassificationModule", interrupted_run.Interrupted)
    config = settings(output=tmp_path / "again", decode=decode[first])
    with pytest.raises(Interrupted):
        train(config)
    train(replace(config, resume=True, decode=decode["ram" if first == "off" else "off"]))
    assert all(torch.equal(a, b) for a, b in zip(weights(alone), weights(config), strict=True))


def test_the_short_side_belongs_to_the_run(settings):
    config = settings(trainer=TrainerConfig(num_workers=0, accelerator="cpu", max_steps=1))
    train(config)
    (config.output / "last.safetensors").unlink()  # as if it had been interrupted
    with pytest.raises(ValueError, match=r"decode.short_side was 0 and is 40"):
        train(replace(config, resume=True, decode=DecodeConfig(short_side=40)))
