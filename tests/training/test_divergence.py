"""Losses, gradients and weights that are no numbers: the run ends, the batch and the last good checkpoint stay."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from safetensors.torch import load_file

from interlace.checkpoints import load_checkpoint
from interlace.data.annotations import Annotations, Sample
from interlace.training.config import OptimConfig, TrainerConfig
from interlace.training.divergence import Divergence
from interlace.training.module import ClassificationModule
from interlace.training.run import train

TRAINER = TrainerConfig(num_workers=0, accelerator="cpu")


class Diverging(ClassificationModule):
    """Goes wrong in the second epoch, usually in the third batch, as its switches say."""

    wrong = ""
    batch_idx = 2

    @property
    def now(self) -> bool:
        """It is that batch."""
        trainer = self.trainer
        batch_idx = trainer.fit_loop.epoch_loop.batch_idx
        return self.training and trainer.current_epoch == 1 and batch_idx == self.batch_idx

    def frames(self, pixels):
        """One clip has a pixel that is no number."""
        frames = super().frames(pixels)
        if self.now and self.wrong == "clip":
            frames[1, 0, 0, 0, 0] = math.nan
        if not self.training and self.trainer.current_epoch == 1 and self.wrong == "validation":
            frames[1] = math.inf
        return frames

    def on_after_backward(self) -> None:
        """One number of a gradient is none."""
        if self.now and self.wrong == "gradient":
            next(self.parameters()).grad[1, 2, 0, 1] = -math.inf

    def optimizer_step(self, *args, **kwargs) -> None:
        """One weight is none after the update."""
        super().optimizer_step(*args, **kwargs)
        if self.now and self.wrong == "weight":
            next(self.parameters()).data[1, 2, 0, 1] = math.nan


@pytest.fixture
def diverges(settings, monkeypatch) -> Callable[..., tuple]:
    """A run that goes wrong; returns the error's text, the settings and what is in the two files."""

    def run(wrong: str, trainer: TrainerConfig = TRAINER, **optim) -> tuple:
        monkeypatch.setattr("interlace.training.parts.ClassificationModule", Diverging)
        monkeypatch.setattr(Diverging, "wrong", wrong)
        config = settings(
            model="tsn_test_resnet",
            num_segments=2,
            optim=OptimConfig(base_batch_size=4, batch_norm="frozen", **optim),
            trainer=trainer,
        )
        with pytest.raises(ValueError, match="lower --lr") as error:
            train(config)
        monkeypatch.setattr(Diverging, "wrong", "")
        told = json.loads((config.output / "diverged.json").read_text())
        return str(error.value), config, told, load_file(config.output / "diverged.safetensors")

    return run


def test_the_batch_is_saved_and_the_last_good_checkpoint_kept(diverges, settings, clips):
    message, config, told, saved = diverges("clip")
    stem = config.output / "diverged"
    assert message == (
        "the training loss is nan in epoch 2; lower --lr, or use more optim.warmup_epochs, and start again; "
        f"the batch is in {stem}.safetensors, its clips and losses are listed in {stem}.json"
    )
    assert (told["found"], told["split"], told["epoch"], told["batch"], told["step"]) == (
        *("the training loss is nan", "train"),
        *(2, 3, 6),
    )
    assert (told["loss"], told["gradient_norm"], told["seed"]) == ("nan", "nan", 0)
    assert 0 < told["learning_rate"] < 0.01  # on its way down
    losses = [clip["loss"] for clip in told["clips"]]
    assert losses[1] == "nan"  # the very clip
    assert all(0 < loss < 10 for i, loss in enumerate(losses) if i != 1)
    assert all(clip["path"].startswith(str(clips)) for clip in told["clips"])
    assert told["last_good_checkpoint"] == str(config.output / "last.ckpt")
    assert "lower the learning rate" in told["remedy"]
    assert saved["clip"].shape == (4, 2, 3, 32, 32)
    assert saved["clip"].dtype == torch.uint8
    assert saved["loss"].isfinite().tolist() == [True, False, True, True]
    assert saved["logits"].shape == saved["target"].shape == (4, 3)
    names = ["dark", "long", "wide"]
    assert [names[label] for label in saved["label"]] == [
        clip["path"].split("/")[-2] for clip in told["clips"]
    ]

    kept = torch.load(config.output / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 3  # of the first epoch
    _, card = load_checkpoint(config.output / "best.safetensors")
    assert card.training["epoch"] == 0
    # What was wrong was no part of the run: gone on with, it is the run that was left alone.
    train(replace(config, resume=True))
    alone = replace(config, output=config.output.with_name("alone"))
    train(alone)
    for name in ("best.safetensors", "last.safetensors"):
        assert (config.output / name).read_bytes() == (alone.output / name).read_bytes()


def test_a_gradient(diverges):
    message, _, told, saved = diverges("gradient")
    assert message.startswith("the gradient's norm is inf in epoch 2; lower --lr")
    assert (told["gradient_norm"], told["step"]) == ("inf", 6)
    assert 0 < told["loss"] < 10
    assert saved["loss"].mean().item() == pytest.approx(told["loss"], rel=1e-5)


def test_a_gradient_of_several_batches_names_them_all(diverges):
    _, _, told, _ = diverges("gradient", accumulate=3)
    assert told["step"] == 2
    assert len(told["clips"]) == 4
    assert len(told["earlier_clips_of_the_update"]) == 8
    assert len({*told["earlier_clips_of_the_update"], *(clip["path"] for clip in told["clips"])}) == 12


def test_a_weight_is_in_no_checkpoint(diverges, monkeypatch):
    monkeypatch.setattr(Diverging, "batch_idx", 1)
    message, config, told, _ = diverges("weight", trainer=replace(TRAINER, checkpoint_minutes=1e-6))
    assert message.startswith("the weights after step 5 are not finite in epoch 2")
    assert 0 < told["loss"] < 10
    kept = torch.load(config.output / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 4
    assert all(value.isfinite().all() for value in kept["state_dict"].values())


def test_validation(diverges):
    message, config, told, saved = diverges("validation")
    assert message.startswith("validation gives a loss of nan in epoch 2; lower --lr")
    assert (told["split"], told["epoch"], told["step"], told["gradient_norm"]) == ("val", 2, 6, 0.0)
    assert [clip["loss"] == "nan" for clip in told["clips"]] == [False, True, False]
    assert saved["clip"].shape == (3, 2, 3, 32, 32)
    assert torch.load(config.output / "last.ckpt", weights_only=True)["global_step"] == 3
    _, card = load_checkpoint(config.output / "best.safetensors")
    assert card.training["epoch"] == 0


def test_gradients_that_overflow_are_left_to_the_scaler(tmp_path):
    clips = Annotations((), classes=("a",), source="")
    watch = Divergence(tmp_path, train=clips, val=clips, loss=lambda *_: torch.zeros(()), seed=0)
    module = LightningModule()
    module.layer = torch.nn.Linear(2, 3)
    module.layer.weight.grad = torch.full((3, 2), math.inf)
    trainer, optimizer = Mock(spec=Trainer), torch.optim.SGD(module.parameters())
    trainer.precision_plugin.scaler = object()
    watch.on_before_optimizer_step(trainer, module, optimizer)
    assert watch._norm is None
    trainer.precision_plugin.scaler = None
    watch.on_before_optimizer_step(trainer, module, optimizer)
    assert float(watch._norm) == math.inf


def test_numbers_that_are_under_way_are_looked_at_behind_the_next_step(tmp_path):
    """As on a GPU: there the first look waits for an event, which has come by then."""
    clips = Annotations((Sample(Path("a.mp4"), (0,)),), classes=("a",), source="")
    watch = Divergence(tmp_path, train=clips, val=clips, loss=lambda *_: torch.zeros(()), seed=0)
    trainer = Mock(spec=Trainer, world_size=1, current_epoch=0, global_step=1)
    outputs = {"mean_loss": torch.tensor(math.nan), "logits": torch.zeros(1, 1), "target": torch.ones(1, 1)}
    batch = {"index": torch.tensor([0]), "label": torch.tensor([0]), "clip": torch.zeros(1, 2, 3, 5, 7)}
    look = watch._looked_at(trainer, "train", outputs, batch, 3, everywhere=True)
    watch._look = replace(look, arrived=Mock(spec=torch.cuda.Event))
    with pytest.raises(ValueError, match="the training loss is nan in epoch 1"):
        watch.on_save_checkpoint(trainer, LightningModule(), {})
    look.numbers.fill_(0)
    watch._look = waiting = replace(look, arrived=Mock(spec=torch.cuda.Event))
    watch.on_validation_start(trainer, LightningModule())
    assert waiting.arrived.synchronize.called
    assert json.loads((tmp_path / "diverged.json").read_text())["batch"] == 4
