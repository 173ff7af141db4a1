"""A whole training run, from the settings to best.safetensors."""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.flip import FlipRule, flip_map
from interlace.data.splits import read_splits
from interlace.data.worker_errors import one_line_errors
from interlace.models.model import VideoModel
from interlace.provenance import describe_device
from interlace.training.config import TrainConfig
from interlace.training.epoch_log import EpochLog
from interlace.training.facts import fingerprint
from interlace.training.launch import device_of_process, process_rank, require_processes
from interlace.training.network import build_network
from interlace.training.optim import scaled_learning_rate
from interlace.training.parts import (
    clips_per_update,
    flow_note,
    make_card,
    make_data,
    make_module,
    network_arguments,
)
from interlace.training.quiet import quiet
from interlace.training.run_folder import open_run_folder
from interlace.training.saving import RunSaver
from interlace.training.skipped import SkippedClips
from interlace.training.stopping import Interrupted, StopAfter, StopOnSignal

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(config: TrainConfig) -> Path:
    """Train a network and return the path of its best checkpoint, ``output/best.safetensors``.

    The output folder also receives last.safetensors, last.ckpt (to go on from, with ``resume``), config.yaml,
    environment.json, metrics.csv, tensorboard/ and, if a clip could not be read or was damaged, skipped.csv.

    Raises:
        ValueError: settings, annotations or videos that cannot work; the message says which and what to do.
        Interrupted: SIGTERM or Ctrl-C came; the run is saved and ``resume`` goes on with it.

    Example:
        >>> from pathlib import Path
        >>> from interlace.training.config import TrainConfig
        >>> from interlace.training.run import train
        >>> best = train(TrainConfig(data=Path("clips"), output=Path("runs/1")))  # doctest: +SKIP
    """
    require_processes(config.trainer.devices, config.trainer.num_nodes)
    device = device_of_process(config.trainer.accelerator, config.trainer.precision)
    with quiet():
        checkpoint = open_run_folder(config, device=describe_device(device))
        if checkpoint and (config.output / "last.safetensors").exists():
            tell(f"{config.output}: this run is complete; nothing to do")
            return config.output / "best.safetensors"

        train_set, val_set = read_annotations(config)
        flips = flip_map(train_set.classes, config.augment.flip_pairs)
        arguments = network_arguments(
            config, num_classes=len(train_set.classes), multi_label=train_set.multi_label
        )
        model, weights = build_network(
            config.model, arguments, pretrained=config.pretrained, seed=config.seed
        )
        print_facts(config, train_set, val_set, flips, model, weights, device)

        module = make_module(config, model, train_set)
        data = make_data(config, model, train_set, val_set, flips, device=device)
        card = make_card(config, model, train_set, weights)
        skipped = SkippedClips(config.output / "skipped.csv", train=train_set, val=val_set)
        saver = make_saver(config, card, train_set)
        trainer = make_trainer(config, skipped, saver)
        with one_line_errors(), contextlib.closing(data):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        saver.write_model(trainer, module, "last.safetensors", {})
    tell(summary(config, saver, skipped))
    if saver.stop.signal_number is not None:  # it came in the last step or behind it: the run is complete
        raise Interrupted(saver.stop.signal_number)
    return config.output / ("best.safetensors" if saver.best else "last.safetensors")


def read_annotations(config: TrainConfig) -> tuple[Annotations, Annotations]:
    """Training and validation clips."""
    return read_splits(
        config.data,
        config.train,
        config.val,
        format=config.format,
        labels=config.labels,
        val_fraction=config.val_fraction,
        seed=config.seed,
        missing=config.on_error,
    )


def make_saver(config: TrainConfig, card: ModelCard, train_set: Annotations) -> RunSaver:
    """What saves checkpoints."""
    return RunSaver(
        config.output,
        card,
        StopOnSignal(),
        monitor="val_mAP" if train_set.multi_label else "val_top1",
        minutes=config.trainer.checkpoint_minutes,
        data_fingerprint=fingerprint(train_set),
    )


def make_trainer(config: TrainConfig, skipped: SkippedClips, saver: RunSaver) -> Trainer:
    """Lightning's loop with this package's callbacks; the saver is last: it saves what the others know."""
    settings, on_screen = config.trainer, sys.stdout.isatty()
    validate_every = min(settings.validate_every, config.epochs)
    callbacks: list[Callback] = [saver.stop, StopAfter(settings.max_steps), skipped]
    callbacks += [TQDMProgressBar(leave=False)] if on_screen else []
    callbacks += [EpochLog(config.output / "metrics.csv", bar=on_screen)]
    if settings.early_stopping:
        patience = math.ceil(settings.early_stopping / validate_every)
        callbacks += [EarlyStopping(saver.monitor, mode="max", patience=patience)]
    return Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy="ddp" if settings.devices * settings.num_nodes > 1 else "auto",
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
        max_epochs=config.epochs,
        check_val_every_n_epoch=validate_every,
        accumulate_grad_batches=config.optim.accumulate,
        gradient_clip_val=config.optim.clip_gradient or None,
        deterministic=settings.deterministic or None,
        logger=TensorBoardLogger(config.output, name="tensorboard", version="", default_hp_metric=False),
        callbacks=[*callbacks, saver],
        default_root_dir=config.output,
        log_every_n_steps=10,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=on_screen,
        enable_model_summary=False,
    )


def print_facts(
    config: TrainConfig,
    train_set: Annotations,
    val_set: Annotations,
    flips: FlipRule,
    model: VideoModel,
    weights: str,
    device: str,
) -> None:
    """One line for each thing that decides the result."""
    tell(f"training:   {train_set}")
    tell(f"validation: {val_set}")
    for note in dict.fromkeys([*train_set.notes, *val_set.notes]):
        tell(f"note:       {note}")
    tell(f"mirroring:  {flips.reason if config.augment.flip else 'off'}")
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    frames = " + ".join(map(str, model.segments))
    size = f"{frames} frames of {config.image_size} x {config.image_size}"
    if model.modality != "rgb":
        flow = f", flow: {config.flow}" if "flow" in model.modality else ""
        tell(f"modality:   {model.modality}, {model.in_chans} channels{flow}")
        if flow and (note := flow_note(config, train_set)):
            tell(f"note:       {note}")
    tell(f"network:    {config.model}, {millions:.1f} million parameters, {size}; initial weights: {weights}")
    real, base = clips_per_update(config, len(train_set)), config.optim.base_batch_size
    lr = scaled_learning_rate(config.lr, real, base)
    tell(f"rate:       {lr:g} for {real} clips an update ({config.lr:g} is for {base})")
    tell(f"device:     {describe_device(device)}, precision {config.trainer.precision}")
    tell(f"output:     {config.output}")


def summary(config: TrainConfig, saver: RunSaver, skipped: SkippedClips) -> str:
    """The last line of a run."""
    line = "not validated"
    if saver.best:
        scores = [f"{name} {value:.1f}%" for name, value in saver.best.items() if name != "loss"]
        line = (
            f"best: {', '.join(scores)} in epoch {saver.best_epoch + 1}, {config.output / 'best.safetensors'}"
        )
    return f"{line}; {skipped}, see {skipped.path}" if skipped.found else line


def tell(line: str) -> None:
    """Print a line, once for all devices."""
    if process_rank() == 0:
        print(line, flush=True)
