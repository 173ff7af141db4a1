"""A whole training run, from the settings to best.safetensors."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.dataset import Sampling, TrainDataset, ViewDataset, collate
from interlace.data.epoch_sampler import balanced_weights
from interlace.data.flip import FlipRule, flip_map
from interlace.data.sampling import DenseSampling, SegmentSampling
from interlace.data.splits import read_splits
from interlace.data.transforms import Preprocess, train_transform
from interlace.models.classifier import VideoClassifier
from interlace.provenance import commit, describe_device
from interlace.training.config import TrainConfig
from interlace.training.epoch_log import EpochLog
from interlace.training.facts import fingerprint, median_seconds
from interlace.training.launch import choose_device, process_rank, require_processes
from interlace.training.loader import ClipData, batches_per_epoch
from interlace.training.loss import balanced_class_weights, classification_loss
from interlace.training.mixing import mix_clips
from interlace.training.module import ClassificationModule
from interlace.training.network import build_network
from interlace.training.optim import learning_rate_factor, parameter_groups, scaled_learning_rate
from interlace.training.quiet import quiet
from interlace.training.run_folder import open_run_folder, to_plain
from interlace.training.saving import RunSaver
from interlace.training.skipped import SkippedClips
from interlace.training.stopping import StopAfter, StopOnSignal

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(config: TrainConfig) -> Path:
    """Train a network and return the path of its best checkpoint, ``output/best.safetensors``.

    The output folder also receives last.safetensors, last.ckpt (to go on from, with ``resume``), config.yaml,
    environment.json, metrics.csv, tensorboard/ and, if a clip could not be read, skipped.csv.

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
    device = choose_device(config.trainer.accelerator, config.trainer.precision)
    with quiet():
        checkpoint = open_run_folder(config, device=describe_device(device))
        if checkpoint and (config.output / "last.safetensors").exists():
            tell(f"{config.output}: this run is complete; nothing to do")
            return config.output / "best.safetensors"

        train_set, val_set = read_annotations(config)
        flips = flip_map(train_set.classes, config.augment.flip_pairs)
        arguments = network_arguments(config, num_classes=len(train_set.classes))
        model, weights = build_network(
            config.model, arguments, pretrained=config.pretrained, seed=config.seed
        )
        print_facts(config, train_set, val_set, flips, model, weights, device)

        module = make_module(config, model, train_set)
        data = make_data(config, train_set, val_set, flips, pin_memory=device.startswith("cuda"))
        card = make_card(config, model, train_set, weights)
        skipped = SkippedClips(config.output / "skipped.csv", train=train_set, val=val_set)
        saver = make_saver(config, card, train_set)
        trainer = make_trainer(config, skipped, saver)
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        saver.write_model(trainer, module, "last.safetensors", {})
    tell(summary(config, saver, skipped))
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


def network_arguments(config: TrainConfig, *, num_classes: int) -> dict[str, Any]:
    """What the network's builder is called with."""
    return {
        "num_classes": num_classes,
        "num_segments": config.num_segments,
        "dropout": config.dropout,
        "in_chans": 1 if config.color == "gray" else 3,
        **config.model_args,
    }


def make_module(config: TrainConfig, model: VideoClassifier, train_set: Annotations) -> ClassificationModule:
    """The network with its loss, its optimizer and its schedule."""
    optim, loss = config.optim, config.loss
    weights = (
        balanced_class_weights(list(train_set.class_counts)) if loss.class_balance == "weights" else None
    )
    lr_factor = partial(
        learning_rate_factor,
        steps_per_epoch=steps_per_epoch(config, len(train_set)),
        epochs=config.epochs,
        schedule=optim.schedule,
        warmup_epochs=optim.warmup_epochs,
        warmup_factor=optim.warmup_factor,
        step_epochs=optim.step_epochs,
        step_factor=optim.step_factor,
    )
    return ClassificationModule(
        model.to(memory_format=torch.channels_last),
        preprocess=Preprocess(model.mean, model.std),
        loss=partial(
            classification_loss,
            multi_label=train_set.multi_label,
            label_smoothing=loss.label_smoothing,
            class_weights=weights,
        ),
        mix=partial(mix_clips, mixup=config.augment.mixup, cutmix=config.augment.cutmix),
        make_optimizer=partial(make_optimizer, config=config),
        lr_factor=lr_factor,
        num_classes=len(train_set.classes),
        multi_label=train_set.multi_label,
        batch_norm=optim.batch_norm,
        ema_decay=config.trainer.ema_decay,
        seed=config.seed,
    )


def make_optimizer(model: nn.Module, *, config: TrainConfig) -> torch.optim.SGD:
    """SGD with the learning rate scaled to the batch."""
    optim = config.optim
    groups = parameter_groups(
        model,
        lr=scaled_learning_rate(config.lr, clips_per_update(config), optim.base_batch_size),
        weight_decay=optim.weight_decay,
        bias_lr_factor=optim.bias_lr_factor,
        head_lr_factor=optim.head_lr_factor,
    )
    return torch.optim.SGD(groups, momentum=optim.momentum, nesterov=optim.nesterov)


def steps_per_epoch(config: TrainConfig, num_clips: int) -> int:
    """Updates of the weights in an epoch."""
    processes = config.trainer.devices * config.trainer.num_nodes
    return math.ceil(batches_per_epoch(num_clips, config.batch_size, processes) / config.optim.accumulate)


def clips_per_update(config: TrainConfig) -> int:
    """Clips whose gradients make one update, all devices and accumulated steps counted."""
    trainer = config.trainer
    return config.batch_size * config.optim.accumulate * trainer.devices * trainer.num_nodes


def make_data(
    config: TrainConfig, train_set: Annotations, val_set: Annotations, flips: FlipRule, *, pin_memory: bool
) -> ClipData:
    """Training clips at random, validation clips by the protocol 1clip-center."""
    augment, sampling = config.augment, make_sampling(config)
    reading: dict[str, Any] = {
        "on_error": config.on_error,
        "color": config.color,
        "frame_template": config.frames,
    }
    transform = train_transform(
        config.image_size,
        crop=augment.crop,
        crop_scales=augment.crop_scales,
        crop_area=augment.crop_area,
        color_jitter=augment.color_jitter,
        flip_map=flips.mapping if augment.flip and flips.allowed else None,
    )
    return ClipData(
        TrainDataset(train_set, sampling, transform, seed=config.seed, **reading),
        ViewDataset(val_set, sampling, 1, "center", config.image_size, **reading),
        batch_size=config.batch_size,
        num_workers=config.trainer.num_workers,
        seed=config.seed,
        collate=collate,
        sample_weights=sample_weights(train_set) if config.loss.class_balance == "sampler" else None,
        pin_memory=pin_memory,
    )


def sample_weights(train_set: Annotations) -> Float[Tensor, " num_samples"]:
    """How often to draw each clip so that classes come equally often."""
    return balanced_weights([sample.labels for sample in train_set.samples], len(train_set.classes))


def make_sampling(config: TrainConfig) -> Sampling:
    """Which frames make up a clip."""
    if config.sampling == "dense":
        return DenseSampling(config.num_segments, config.frame_stride)
    return SegmentSampling(config.num_segments)


def make_card(config: TrainConfig, model: VideoClassifier, train_set: Annotations, weights: str) -> ModelCard:
    """All that evaluation and prediction need to know about the network."""
    preprocessing = {
        "image_size": config.image_size,
        "mean": list(model.mean),
        "std": list(model.std),
        "color": config.color,
    }
    return ModelCard(
        model=model.builder,
        model_args=to_plain(model.builder_args),
        labels=train_set.classes,
        sampling=make_sampling(config).to_dict(),
        preprocessing=preprocessing,
        multi_label=train_set.multi_label,
        protocol="1clip-center",
        window_seconds=median_seconds(train_set, frame_template=config.frames),
        training={
            "data": str(config.data),
            "seed": config.seed,
            "epochs": config.epochs,
            "initial_weights": weights,
            "commit": commit(),
        },
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
    model: VideoClassifier,
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
    size = f"{config.num_segments} frames of {config.image_size} x {config.image_size}"
    tell(f"network:    {config.model}, {millions:.1f} million parameters, {size}; initial weights: {weights}")
    real, base = clips_per_update(config), config.optim.base_batch_size
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
    if skipped.found:
        line += f"; {len(skipped.found)} clips could not be read, see {skipped.path}"
    return line


def tell(line: str) -> None:
    """Print a line, once for all devices."""
    if process_rank() == 0:
        print(line, flush=True)
