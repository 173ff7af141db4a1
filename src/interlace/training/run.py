"""A whole training run, from the settings to best.safetensors."""

from __future__ import annotations

import contextlib
import math
import sys
from datetime import timedelta
from pathlib import Path

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.flip import FlipRule, flip_map
from interlace.data.splits import read_splits
from interlace.data.worker_errors import one_line_errors
from interlace.files import locked
from interlace.models.model import VideoModel
from interlace.printable import printable
from interlace.provenance import describe_device
from interlace.training.config import TrainConfig
from interlace.training.current_batch import CurrentBatch
from interlace.training.divergence import Divergence
from interlace.training.epoch_log import STEPS_BETWEEN_POINTS, EpochLog
from interlace.training.facts import fingerprint
from interlace.training.launch import device_of_process, lost_processes, process_rank, require_processes
from interlace.training.meeting import meet_again
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
from interlace.training.run_folder import open_run_folder, require_whole
from interlace.training.saving import RunSaver
from interlace.training.skipped import SkippedClips
from interlace.training.stopping import Interrupted, StopAfter, StopOnSignal
from interlace.training.strategy import make_strategy

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(config: TrainConfig) -> Path:
    """Train a network and return the path of its best checkpoint, ``output/best.safetensors``.

    The output folder also receives last.safetensors, last.ckpt (to go on from, with ``resume``), config.yaml,
    environment.json, metrics.csv, tensorboard/ and, if a clip could not be read or was damaged, skipped.csv; if the
    loss is no number any more, diverged.safetensors and diverged.json. One run at a time has the folder.

    Raises:
        ValueError: settings, annotations or videos that cannot work; the message says which and what to do. Also
            if another process trains in the folder, memory runs out, or a process that decodes is gone.
        Interrupted: SIGTERM or Ctrl-C came; the run is saved and ``resume`` goes on with it.

    Example:
        >>> from pathlib import Path
        >>> from interlace.training.config import TrainConfig
        >>> from interlace.training.run import train
        >>> best = train(TrainConfig(data=Path("clips"), output=Path("runs/1")))  # doctest: +SKIP
    """
    require_processes(config.trainer.devices, config.trainer.num_nodes)
    device = device_of_process(config.trainer.accelerator, config.trainer.precision)
    with quiet(), only_run(config.output):
        checkpoint = open_run_folder(config, device=describe_device(device))
        if checkpoint and (config.output / "last.safetensors").exists():
            tell(f"{config.output}: this run is complete; nothing to do")
            return config.output / "best.safetensors"
        if checkpoint:
            require_whole(checkpoint)

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
        clips = {"train": train_set, "val": val_set}
        divergence = Divergence(config.output, loss=module.loss, seed=config.seed, **clips)
        current = CurrentBatch(**clips)
        trainer = make_trainer(config, [divergence, current, skipped], saver)
        told = one_line_errors(data.train_dataset, data.val_dataset)
        lost = lost_processes(trainer.world_size, remedy="go on with --resume true")
        with lost, current.named_where_memory_ends(), told, contextlib.closing(data):
            meet_again(device, timedelta(minutes=config.trainer.timeout_minutes))
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            saver.write_model(trainer, module, "last.safetensors", {})
    tell(summary(config, saver, skipped))
    if saver.stop.signal_number is not None:  # it came in the last step or behind it: the run is complete
        raise Interrupted(saver.stop.signal_number)
    return config.output / ("best.safetensors" if saver.best else "last.safetensors")


def only_run(output: Path) -> contextlib.AbstractContextManager[None]:
    """Keep every other run out of the folder; the first process does it for all."""
    if process_rank() > 0:
        return contextlib.nullcontext()
    return locked(output / ".training", f"{output}: training")


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
        outside=config.allow_outside,
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


def make_trainer(config: TrainConfig, watching: list[Callback], saver: RunSaver) -> Trainer:
    """Lightning's loop with this package's callbacks; the saver is last: it saves what the others know."""
    settings, on_screen = config.trainer, sys.stdout.isatty()
    validate_every = min(settings.validate_every, config.epochs)
    callbacks = [*watching, saver.stop, StopAfter(settings.max_steps)]
    callbacks += [TQDMProgressBar(leave=False)] if on_screen else []
    callbacks += [EpochLog(config.output / "metrics.csv", bar=on_screen)]
    if settings.early_stopping:
        patience = math.ceil(settings.early_stopping / validate_every)
        callbacks += [EarlyStopping(saver.monitor, mode="max", patience=patience)]
    return Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=make_strategy(settings),
        # One device needs nobody, whatever variables of SLURM are about.
        plugins=[LightningEnvironment()] if settings.devices * settings.num_nodes == 1 else None,
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
        max_epochs=config.epochs,
        check_val_every_n_epoch=validate_every,
        accumulate_grad_batches=config.optim.accumulate,
        gradient_clip_val=config.optim.clip_gradient or None,
        deterministic=settings.deterministic or None,
        logger=TensorBoardLogger(config.output, name="tensorboard", version="", default_hp_metric=False),
        callbacks=[*callbacks, saver],
        default_root_dir=config.output,
        log_every_n_steps=STEPS_BETWEEN_POINTS,
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
        print(printable(line), flush=True)
