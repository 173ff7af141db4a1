"""Whole runs on small videos: what they leave, what they refuse."""

from __future__ import annotations

import csv
import gc
import json
import signal
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from interlace.checkpoints import load_checkpoint
from interlace.data.annotations import AnnotationError
from interlace.data.video import VideoError
from interlace.training.config import AugmentConfig, LossConfig, OptimConfig, TrainerConfig
from interlace.training.module import ClassificationModule
from interlace.training.parts import clips_per_update
from interlace.training.run import train


def rows(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def shared_memory() -> list[Path]:
    """What this process has open of it."""
    links = [link.readlink() for link in Path("/proc/self/fd").glob("*") if link.is_symlink()]
    return [file for file in links if file.name.startswith("torch_")]


def test_leaves_checkpoints_settings_and_curves(settings, capsys):
    config = settings()
    best = train(config)
    folder = config.output
    assert best == folder / "best.safetensors"
    assert {path.name for path in folder.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "last.ckpt",
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "tensorboard",
    }
    model, card = load_checkpoint(best)
    assert model(torch.zeros(2, 4, 3, 32, 32)).shape == (2, 3)
    assert card.model == "tin_test_resnet"
    assert card.labels == ("dark", "long", "wide")
    assert card.sampling == {"name": "segment", "num_segments": 4}
    assert card.preprocessing["image_size"] == 32
    assert card.protocol == "1clip-center"
    assert set(card.metrics) == {"loss", "top1"}
    assert card.training["initial_weights"] == "random"
    assert 0.9 < card.window_seconds < 2  # 8 to 24 frames at 12 a second
    table = rows(folder / "metrics.csv")
    assert [row["epoch"] for row in table] == ["1", "2"]
    curves = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert {"lr", "train_loss", "val_loss", "val_top1"} <= {*curves.Tags()["scalars"]}
    points = [(point.step, point.value) for point in curves.Scalars("lr")]
    assert points == [(0, pytest.approx(0.001))]  # it warms up
    assert [point.value for point in curves.Scalars("train_loss")] == [
        pytest.approx(float(row["train_loss"]), abs=1e-3) for row in table
    ]
    assert card.metrics["top1"] == pytest.approx(max(float(row["val_top1"]) for row in table), abs=1e-3)
    assert yaml.safe_load((folder / "config.yaml").read_text())["optim"]["base_batch_size"] == 4
    assert json.loads((folder / "environment.json").read_text())["device"].startswith("cpu")
    lines = capsys.readouterr()
    assert "12 clips of 3 classes" in lines.out
    assert "0.01 for 4 clips an update (0.01 is for 4)" in lines.out
    assert "epoch 2/2, loss" in lines.out
    assert len(lines.out.splitlines()) == 10
    assert lines.err == ""


def test_all_the_trimmings(settings, tmp_path):
    config = settings(
        epochs=1,
        color="gray",
        sampling="dense",
        frame_stride=2,
        augment=AugmentConfig(crop="resized", color_jitter=0.1, mixup=0.2, cutmix=1.0),
        loss=LossConfig(label_smoothing=0.1, class_balance="sampler"),
        optim=OptimConfig(batch_norm="partial", schedule="steps", step_epochs=(0.5,), nesterov=True),
        trainer=TrainerConfig(
            num_workers=1, accelerator="cpu", precision="bf16", ema_decay=0.9, early_stopping=1, max_steps=2
        ),
    )
    model, card = load_checkpoint(train(config))
    assert model.in_chans == 1
    assert card.sampling == {"name": "dense", "num_segments": 4, "frame_stride": 2}
    assert card.training["step"] == 2


def test_partial_batch_norm_keeps_statistics_and_scale(settings):
    config = settings(epochs=1, optim=OptimConfig(batch_norm="partial", base_batch_size=4))
    model, _ = load_checkpoint(train(config))
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert int(norms[0].num_batches_tracked) == 3
    assert all(int(norm.num_batches_tracked) == 0 for norm in norms[1:])
    assert all(torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean)) for norm in norms[1:])
    assert not torch.equal(norms[0].weight, torch.ones_like(norms[0].weight))
    assert all(norm.weight.unique().numel() == 1 for norm in norms[1:])


def test_several_labels_a_clip(settings, clips, tmp_path):
    lines = [f"{clips / name / f'{i}.mp4'} 8 {label}" for i in range(4) for name, label in LABELS.items()]
    for name in ("train.txt", "val.txt"):
        (tmp_path / name).write_text("\n".join(lines if name == "train.txt" else lines[:3]))
    config = settings(epochs=1, format="tsn", train=tmp_path / "train.txt", val=tmp_path / "val.txt")
    with pytest.warns(
        UserWarning, match="3 of 3 validation clips are in training too"
    ):  # the same clips, and it is said
        _, card = load_checkpoint(train(config))
    assert card.multi_label
    assert set(card.metrics) == {"loss", "mAP"}


LABELS = {"dark": "0,2", "long": "1", "wide": "2"}


def test_refuses_to_overwrite(settings):
    config = settings(epochs=1)
    train(config)
    with pytest.raises(ValueError, match=r"holds a run already; go on with it by --resume true"):
        train(config)


def test_a_complete_run_is_not_run_again(settings, capsys):
    config = settings(epochs=1)
    best = train(config)
    before = best.stat().st_mtime_ns
    assert train(replace(config, resume=True)) == best
    assert best.stat().st_mtime_ns == before
    assert "this run is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 2}, "batch_size was 4 and is 2 now"),
        ({"model": "tsn_test_resnet"}, "model was 'tin_test_resnet' and is 'tsn_test_resnet' now"),
        ({"optim": OptimConfig(momentum=0.8, base_batch_size=4)}, r"optim\.momentum was 0\.9"),
        ({"epochs": 3}, "epochs was 1 and is 3 now; the schedule ends at the last epoch"),
    ],
)
def test_refuses_to_go_on_with_other_settings(settings, change, message):
    config = settings(epochs=1, trainer=TrainerConfig(num_workers=0, accelerator="cpu", max_steps=1))
    train(config)
    with pytest.raises(ValueError, match=message):
        train(replace(config, resume=True, **change))


def test_skips_and_lists_what_cannot_be_read(settings, clips, tmp_path, capsys, damaged_video):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    listed = [f"{clips / name / f'{i}.mp4'},{name}" for i in range(2) for name in LABELS]
    (tmp_path / "list.csv").write_text(
        "\n".join(["path,label", *listed, f"{broken},dark", f"{damaged_video},long"])
    )
    val = [f"{clips / name / '4.mp4'},{name}" for name in LABELS]
    (tmp_path / "val.csv").write_text("\n".join(["path,label", *val]))
    config = settings(
        epochs=1, train=tmp_path / "list.csv", val=tmp_path / "val.csv", on_error="skip", allow_outside=True
    )
    train(config)
    damaged, skipped = rows(config.output / "skipped.csv")
    assert (skipped["split"], skipped["kind"], skipped["path"]) == ("train", "skipped", str(broken))
    assert (damaged["split"], damaged["kind"], damaged["path"]) == ("train", "damaged", str(damaged_video))
    assert "damaged" in damaged["reason"]
    told = "1 clips could not be read, 1 clips were read with stand-ins for damaged frames, see "
    assert told in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_video_is_an_error_by_default(settings, clips, tmp_path, num_workers):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    (tmp_path / "list.csv").write_text(f"path,label\n{broken},dark\n{clips / 'wide' / '0.mp4'},wide\n")
    (tmp_path / "val.csv").write_text(f"path,label\n{clips / 'dark' / '0.mp4'},dark\n")
    trainer = TrainerConfig(num_workers=num_workers, accelerator="cpu")
    config = settings(epochs=1, train=tmp_path / "list.csv", val=tmp_path / "val.csv", trainer=trainer)
    with pytest.raises(VideoError) as caught:
        train(config)
    assert str(caught.value).startswith(f"{broken}: ")
    assert len(str(caught.value).splitlines()) == 1
    assert train(
        replace(config, on_error="skip")
    ).exists()  # nothing was trained, so nothing stands in the way


def test_no_videos(settings, tmp_path):
    with pytest.raises(AnnotationError):
        train(settings(data=tmp_path))


@pytest.mark.parametrize("failing", [False, True])
def test_no_process_outlives_a_run(settings, monkeypatch, failing):
    seen = []

    def step(self, batch, batch_idx):
        seen.append(len(active_children()))
        if failing:
            raise RuntimeError("in the middle of an epoch")
        return training_step(self, batch, batch_idx)

    training_step = ClassificationModule.training_step
    monkeypatch.setattr(ClassificationModule, "training_step", step)
    config = settings(epochs=1, trainer=TrainerConfig(num_workers=1, accelerator="cpu"))
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    shared = {*shared_memory()}
    with pytest.raises(RuntimeError, match="in the middle") if failing else nullcontext():
        train(config)
    assert seen[0] == 1
    assert active_children() == []
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    gc.collect()
    assert failing or {*shared_memory()} <= shared  # the error holds on to the run


def test_stops_when_validation_gets_no_better(settings):
    config = settings(
        epochs=5,
        lr=1e-30,
        optim=OptimConfig(batch_norm="frozen", base_batch_size=4),
        trainer=TrainerConfig(num_workers=0, accelerator="cpu", early_stopping=2),
    )
    _, card = load_checkpoint(train(config))
    assert [row["epoch"] for row in rows(config.output / "metrics.csv")] == ["1", "2", "3"]
    assert card.training["epoch"] == 0
    assert (config.output / "last.safetensors").exists()


def test_the_rate_is_for_clips_that_there_are(settings, capsys):
    optim = OptimConfig(base_batch_size=24)
    one_step = TrainerConfig(num_workers=0, accelerator="cpu", max_steps=1)
    train(settings(epochs=1, batch_size=64, optim=optim, trainer=one_step))
    assert "rate:       0.005 for 12 clips an update (0.01 is for 24)" in capsys.readouterr().out


def test_clips_of_an_update(settings):
    def clips(num_clips, batch_size, accumulate=1, devices=1):
        optim, trainer = OptimConfig(accumulate=accumulate), TrainerConfig(devices=devices)
        return clips_per_update(settings(batch_size=batch_size, optim=optim, trainer=trainer), num_clips)

    assert clips(20, 64) == 20
    assert clips(20, 8, accumulate=2) == 16
    assert clips(20, 8, accumulate=4) == 20  # three batches
    assert clips(9, 4, accumulate=8) == 9  # an update of three batches
    assert clips(100, 4, accumulate=3, devices=2) == 24


def test_a_network_without_batch_norm_has_none_to_fix(settings):
    config = settings(
        model="tsn_convnext_atto", optim=OptimConfig(batch_norm="partial"), epochs=1, image_size=32
    )
    with pytest.raises(ValueError, match=r"optim\.batch_norm=partial: the network has no batch norm"):
        train(config)


def test_a_network_that_diverges_in_the_last_update_is_not_kept(settings):
    # One update: its loss is a number, the network after it is none.
    config = settings(
        epochs=1, lr=1e30, batch_size=12, optim=OptimConfig(clip_gradient=0.0, warmup_factor=1.0)
    )
    with pytest.raises(ValueError, match=r"validation gives a loss of (nan|inf) in epoch 1; lower --lr"):
        train(config)
    assert [path.name for path in config.output.glob("*.safetensors")] == ["diverged.safetensors"]


def test_a_loss_that_is_no_number_is_an_error(settings):
    config = settings(epochs=1, lr=1e30, optim=OptimConfig(clip_gradient=0.0, warmup_factor=1.0))
    with pytest.raises(ValueError, match=r"the training loss is (nan|inf) in epoch 1; lower --lr"):
        train(config)
