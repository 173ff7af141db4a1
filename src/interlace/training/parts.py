"""From the settings to the parts of a run: network, loss, optimizer, clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.annotations.read import find_file
from interlace.data.cache import ClipCache
from interlace.data.dataset import TrainDataset, ViewDataset, collate
from interlace.data.epoch_plan import EpochPlan
from interlace.data.epoch_sampler import balanced_weights
from interlace.data.flip import FlipRule
from interlace.data.flow import FlowMethod
from interlace.data.flow_folder import holds_flow, read_about, stored_flow, stored_method
from interlace.data.joined import JoinedSampling
from interlace.data.reader import VideoError
from interlace.data.sampling import DenseSampling, Sampling, SegmentSampling
from interlace.data.shards.place import whole_place
from interlace.data.snippets import SNIPPET_SHORT_SIDE
from interlace.data.splits import clip_hashes
from interlace.data.transforms import Preprocess, train_transform
from interlace.data.workers import count_workers
from interlace.modality import snippet_length
from interlace.models.create import parse_name
from interlace.models.ensembles import ENSEMBLES
from interlace.models.memory_format import to_channels_last
from interlace.models.model import VideoModel
from interlace.provenance import commit
from interlace.training.config import TrainConfig
from interlace.training.facts import median_seconds
from interlace.training.loader import ClipData
from interlace.training.loss import balanced_class_weights, classification_loss
from interlace.training.mixing import mix_clips
from interlace.training.module import ClassificationModule
from interlace.training.optim import learning_rate_factor, parameter_groups, scaled_learning_rate
from interlace.training.run_folder import to_plain
from interlace.training.strategy import sharding


def network_arguments(config: TrainConfig, *, num_classes: int, multi_label: bool = False) -> dict[str, Any]:
    """What the network's builder is called with."""
    arguments: dict[str, Any] = {"num_classes": num_classes, "dropout": config.dropout}
    arguments["in_chans"] = 1 if config.color == "gray" else 3
    if config.num_segments is not None:
        arguments["num_segments"] = config.num_segments
    if config.modality != "auto":
        arguments["modality"] = config.modality
    if parse_name(config.model)[0] in ENSEMBLES:  # it averages probabilities, of which there are two kinds
        arguments["multi_label"] = multi_label
    return arguments | config.model_args


def make_module(config: TrainConfig, model: VideoModel, train_set: Annotations) -> ClassificationModule:
    """The network with its loss, its optimizer and its schedule."""
    optim, loss = config.optim, config.loss
    weights = (
        balanced_class_weights(list(train_set.class_counts)) if loss.class_balance == "weights" else None
    )
    lr_factor = partial(
        learning_rate_factor,
        steps_per_epoch=epoch_plan(config, len(train_set)).updates,
        epochs=config.epochs,
        schedule=optim.schedule,
        warmup_epochs=optim.warmup_epochs,
        warmup_factor=optim.warmup_factor,
        step_epochs=optim.step_epochs,
        step_factor=optim.step_factor,
    )
    return ClassificationModule(
        to_channels_last(model),
        preprocess=Preprocess(model.mean, model.std),
        loss=partial(
            classification_loss,
            multi_label=train_set.multi_label,
            label_smoothing=loss.label_smoothing,
            class_weights=weights,
        ),
        mix=partial(mix_clips, mixup=config.augment.mixup, cutmix=config.augment.cutmix),
        make_optimizer=partial(make_optimizer, config=config, num_clips=len(train_set)),
        lr_factor=lr_factor,
        num_classes=len(train_set.classes),
        multi_label=train_set.multi_label,
        batch_norm=optim.batch_norm,
        ema_decay=config.trainer.ema_decay,
        seed=config.seed,
        clip_shape=(model.num_segments, model.in_chans, config.image_size, config.image_size),
        sync_batch_norm=config.trainer.sync_batch_norm,
        shard=sharding(config.trainer),
    )


def make_optimizer(model: nn.Module, *, config: TrainConfig, num_clips: int) -> torch.optim.Optimizer:
    """SGD or AdamW, with the learning rate scaled to the batch."""
    optim = config.optim
    groups = parameter_groups(
        model,
        lr=scaled_learning_rate(config.lr, clips_per_update(config, num_clips), optim.base_batch_size),
        weight_decay=optim.weight_decay,
        bias_lr_factor=optim.bias_lr_factor,
        head_lr_factor=optim.head_lr_factor,
    )
    if optim.name == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, momentum=optim.momentum, nesterov=optim.nesterov)


def epoch_plan(config: TrainConfig, num_clips: int) -> EpochPlan:
    """How the clips of an epoch are shared out."""
    devices = config.trainer.devices * config.trainer.num_nodes
    return EpochPlan(num_clips, config.batch_size, devices, config.optim.accumulate)


def clips_per_update(config: TrainConfig, num_clips: int) -> int:
    """Clips whose gradients make one update, all devices and accumulated steps counted.

    An update ends with the epoch, so it never has more clips than there are.
    """
    return min(epoch_plan(config, num_clips).clips_per_update, num_clips)


def make_data(
    config: TrainConfig,
    model: VideoModel,
    train_set: Annotations,
    val_set: Annotations,
    flips: FlipRule,
    *,
    device: str,
) -> ClipData:
    """Training clips at random, validation clips by the protocol 1clip-center."""
    augment, sampling = config.augment, make_sampling(config, model)
    short_side = config.decode.short_side or None
    reading: dict[str, Any] = {
        "on_error": config.on_error,
        "color": config.color,
        "frame_template": config.frames,
        "cache": make_cache(config),
        "modality": model.modality,
        "flow": config.flow,
    }
    transform = train_transform(
        config.image_size,
        crop=augment.crop,
        crop_scales=augment.crop_scales,
        crop_area=augment.crop_area,
        color_jitter=augment.color_jitter,
        flip_map=flips.mapping if augment.flip and flips.allowed else None,
        modality=model.modality,
        color_channels=1 if config.color == "gray" else 3,
    )
    return ClipData(
        TrainDataset(
            train_set,
            sampling,
            transform,
            seed=config.seed,
            short_side=short_side,
            **reading,
        ),
        ViewDataset(val_set, sampling, 1, "center", config.image_size, **reading),
        batch_size=config.batch_size,
        num_workers=count_workers(config.trainer.num_workers, device),
        seed=config.seed,
        collate=collate,
        accumulate=config.optim.accumulate,
        sample_weights=sample_weights(train_set) if config.loss.class_balance == "sampler" else None,
        pin_memory=device.startswith("cuda"),
        train_table=None if train_set.store is None else train_set.store.table(train_set.samples),
        val_in_shards=val_set.store is not None,
    )


def make_cache(config: TrainConfig) -> ClipCache | None:
    """Where decoded videos are kept, if they are."""
    decode = config.decode
    if decode.cache == "off":
        return None
    folder = None if decode.cache == "ram" else Path(decode.cache)
    return ClipCache(folder, gigabytes=decode.cache_gigabytes)


def sample_weights(train_set: Annotations) -> Float[Tensor, " num_samples"]:
    """How often to draw each clip so that classes come equally often."""
    return balanced_weights([sample.labels for sample in train_set.samples], len(train_set.classes))


def make_sampling(config: TrainConfig, model: VideoModel) -> Sampling:
    """Which frames make up a clip: those of each part, one part after the other."""
    length = snippet_length(model.modality)
    parts: list[Sampling] = [
        DenseSampling(num_segments, config.frame_stride, length)
        if config.sampling == "dense"
        else SegmentSampling(num_segments, length)
        for num_segments in model.segments
    ]
    return parts[0] if len(parts) == 1 else JoinedSampling(tuple(parts))


def make_card(config: TrainConfig, model: VideoModel, train_set: Annotations, weights: str) -> ModelCard:
    """All that evaluation and prediction need to know about the network."""
    preprocessing = {
        "image_size": config.image_size,
        "mean": list(model.mean),
        "std": list(model.std),
        "color": config.color,
        "frame_template": config.frames,
        "modality": model.modality,
    }
    if model.modality in ("flow", "rgb_flow") and (method := flow_method(config, train_set)) is not None:
        preprocessing["flow"] = method
    return ModelCard(
        model=model.builder,
        model_args=to_plain(model.builder_args),
        labels=train_set.classes,
        sampling=make_sampling(config, model).to_dict(),
        preprocessing=preprocessing,
        multi_label=train_set.multi_label,
        protocol="1clip-center",
        window_seconds=median_seconds(
            train_set, frame_template=config.frames, modality=model.modality, flow=config.flow
        ),
        training={
            "data": whole_place(config.data),
            # What `interlace evaluate` needs to find the same validation clips again.
            "split": {
                "train": _found(config.train, config.data),
                "val": _found(config.val, config.data),
                "format": config.format,
                "labels": _found(config.labels, config.data),
                "val_fraction": config.val_fraction,
            },
            # And to tell, wherever the folder lies then, which clips are not new to the network.
            "clips": clip_hashes(train_set, config.data),
            "seed": config.seed,
            "epochs": config.epochs,
            "initial_weights": weights,
            "commit": commit(),
        },
    )


def flow_method(config: TrainConfig, train_set: Annotations) -> FlowMethod | None:
    """How the flow that the network learns from was computed; None if others have extracted it."""
    stored = _stored_flow(config, train_set)
    if stored is None:
        return None if isinstance(config.flow, Path) else config.flow  # what is missing, training reports
    return stored_method(stored)


def flow_note(config: TrainConfig, train_set: Annotations) -> str:
    """What to say where stored flow is of other frames than those that it is computed of later; else nothing."""
    stored = _stored_flow(config, train_set)
    about = {} if stored is None else read_about(stored)
    if not about:
        return ""
    source = min(about["source"]["height"], about["source"]["width"])
    learned, computed = (min(source, side) for side in (about["short_side"], SNIPPET_SHORT_SIDE))
    if learned == computed:
        return ""
    return (
        f"the stored flow is of frames with a short side of {learned}; where evaluation and prediction are given no "
        f"such flow, they compute it at {computed}, where motion is counted in other pixels"
    )


def _stored_flow(config: TrainConfig, train_set: Annotations) -> Path | None:
    """The folder with the flow of the first clip, if it was stored."""
    path = train_set.samples[0].path
    if not isinstance(config.flow, Path):
        return path if holds_flow(path) else None
    try:
        return stored_flow(config.flow, path)
    except VideoError:
        return None


def _found(file: Path | None, root: Path) -> str | None:
    """The absolute path of a file that stands here or in the data folder, as the reader finds it."""
    return None if file is None else str(find_file(file, root).resolve())
