"""One step of training, one of validation, and the metrics over the whole validation set."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float, Shaped
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric, MetricCollection, SumMetric
from torchmetrics.classification import MulticlassAccuracy, MultilabelAveragePrecision

from interlace.data.seed import mixed_seed
from interlace.training.batch_norm import BatchNormPolicy, fix_batch_norms
from interlace.training.clip_mean import ClipMean, scale_gradients
from interlace.training.ema import AveragedModel
from interlace.training.loader import TrainLoader
from interlace.training.loss import Loss, soft_targets
from interlace.training.shared_batch_norm import BatchNormOver
from interlace.training.strategy import share_buffers

Mix = Callable[[Tensor, Tensor, random.Random], tuple[Tensor, Tensor]]


class ClassificationModule(LightningModule):
    """A network, its loss and its optimizer.

    Args:
        model: (B, T, C, H, W) to logits (B, K).
        preprocess: uint8 pixels to normalised floats, on the device.
        loss: logits and target rows (B, K) to a number.
        mix: mixes clips and target rows within a batch (mixup, cutmix).
        make_optimizer: network to optimizer.
        lr_factor: number of the update, from 0, to the factor on the learning rate.
        num_classes: K.
        multi_label: a clip can have several labels: mean average precision instead of accuracy.
        batch_norm: which batch norms are kept as they are.
        ema_decay: decay of the averaged weights that are validated and saved; 0 is off.
        seed: of dropout and mixing, together with the step and the device.
        clip_shape: (T, C, H, W); needed where a device can be without a clip.
        sync_batch_norm: batch norms that learn see the clips of all devices.
        shard: given a network and a mesh of devices, splits the weights over them (FSDP).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        preprocess: nn.Module,
        loss: Loss,
        mix: Mix,
        make_optimizer: Callable[[nn.Module], Optimizer],
        lr_factor: Callable[[int], float],
        num_classes: int,
        multi_label: bool = False,
        batch_norm: BatchNormPolicy = "train",
        ema_decay: float = 0.0,
        seed: int = 0,
        clip_shape: tuple[int, ...] = (),
        sync_batch_norm: bool = False,
        shard: Callable[[nn.Module, DeviceMesh], None] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.averaged = AveragedModel(model, decay=ema_decay) if ema_decay else None
        self.preprocess = preprocess
        self.loss = loss
        self.mix = mix
        self.make_optimizer = make_optimizer
        self.lr_factor = lr_factor
        self.num_classes = num_classes
        self.batch_norm: BatchNormPolicy = batch_norm
        self.seed = seed
        self.clip_shape = clip_shape
        self.sync_batch_norm = sync_batch_norm
        self.shard = shard
        self.clip_mean = ClipMean()
        # Not MeanMetric: without its look at each batch, which would wait for the device, it forgets the weights.
        self.val_loss = SumMetric(nan_strategy="disable")
        self.val_clips = SumMetric(nan_strategy="disable")
        self.val_metrics = validation_metrics(num_classes, multi_label=multi_label)
        self.multi_label = multi_label
        self.train()

    @property
    def evaluated_model(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.model if self.averaged is None else self.averaged.model

    def train(self, mode: bool = True) -> ClassificationModule:
        """Keep the fixed batch norms fixed, whoever switches between training and validation."""
        super().train(mode)
        if mode:
            fix_batch_norms(self.model, self.batch_norm)
        return self

    def frames(self, pixels: Shaped[Tensor, "B T C H W"]) -> Float[Tensor, "B T C H W"]:
        """Normalised clips whose frames are channels-last, which convolutions prefer."""
        clip = self.preprocess(pixels)
        frames = clip.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return frames.unflatten(0, clip.shape[:2])

    def on_train_epoch_start(self) -> None:
        """Lightning asks for the epoch's batches after this."""
        loader = self.trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        loader.set_epoch(self.current_epoch)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """The loss of one batch, and what it is made of."""
        step_seed = mixed_seed(self.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(step_seed)  # dropout: no random state is carried from step to step
        clips = len(batch["index"])
        target = soft_targets(batch["label"], self.num_classes)
        if clips:
            clip, target = self.mix(self.frames(batch["clip"]), target, random.Random(step_seed))
        else:
            clip = self.stand_in()
        usual = clips > 0 and not self.sync_batch_norm
        with nullcontext() if usual else BatchNormOver(all_devices=self.sync_batch_norm, counts=clips > 0):
            logits = self.model(clip)
        loss = self.loss(logits, target) if clips else 0 * logits.sum()
        self.log("train_loss_step", loss.detach(), prog_bar=True, on_step=True, on_epoch=False)
        loader = self.trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        return {
            "loss": loss * self.clip_mean.part(clips, full=loader.batch_size),
            "mean_loss": loss.detach(),
            "logits": logits.detach()[:clips],
            "target": target,
        }

    def stand_in(self) -> Float[Tensor, "1 T C H W"]:
        """What a device without a clip computes on: the others wait for it in shared layers and gradients."""
        return self.frames(torch.zeros(1, *self.clip_shape, dtype=torch.uint8, device=self.device))

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Make the gradient the mean over all clips of the update."""
        del optimizer
        steps = self.trainer.accumulate_grad_batches
        scale_gradients(self.parameters(), self.clip_mean.correction(self.device, accumulate=steps))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weights, then their average."""
        super().optimizer_step(*args, **kwargs)
        if self.averaged is not None:
            self.averaged.update(self.model)

    def configure_model(self) -> None:
        """Split the weights over the devices, if they are to be."""
        if self.shard is not None:
            assert self.device_mesh is not None
            self.shard(self.model, self.device_mesh["data_parallel"])
            if self.averaged is not None:
                self.shard(self.averaged.model, self.device_mesh["data_parallel"])

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Tensor] | None:
        """Score one batch; a batch of which no video could be read has no pixels."""
        target = soft_targets(batch["label"], self.num_classes)
        if "views" not in batch:
            if self.shard is not None:  # the other devices wait in every layer
                self.evaluated_model(self.stand_in())
            self.val_loss.update(0.0)
            self.val_clips.update(0.0)
            if self.multi_label:  # what is gathered from a device must have the shape of the others'
                self.val_metrics.update(target, target.long())
            return None
        logits = self.evaluated_model(self.frames(batch["views"][:, 0])).float()
        loss = self.loss(logits, target)
        self.val_loss.update(len(logits) * loss)
        self.val_clips.update(float(len(logits)))
        # torchmetrics takes a batch for probabilities if all of its numbers happen to lie between 0 and 1.
        scores = logits.sigmoid() if self.multi_label else logits
        self.val_metrics.update(scores, batch["label"].long())
        return {"loss": loss, "mean_loss": loss, "logits": logits, "target": target}

    def on_validation_start(self) -> None:
        """Let all devices validate the same network."""
        share_buffers(self)

    def on_validation_epoch_end(self) -> None:
        """Metrics over all clips of all devices, in percent.

        Raises:
            ValueError: there was nothing to measure.
        """
        values = {"val_loss": self.val_loss.compute() / self.val_clips.compute()}
        values |= {name: 100 * value for name, value in self.val_metrics.compute().items()}
        self.val_loss.reset()
        self.val_clips.reset()
        self.val_metrics.reset()
        unknown = [name for name, value in values.items() if not torch.isfinite(value)]
        if unknown:
            raise ValueError(
                f"validation gives no {', '.join(unknown)}: none of its clips could be read, or none has a "
                "label; check the files with `interlace check`, or name others with --val"
            )
        self.log_dict({name: value.float() for name, value in values.items()}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """An optimizer whose learning rate is set anew at every update."""
        optimizer = self.make_optimizer(self.model)
        scheduler = LambdaLR(optimizer, self.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def validation_metrics(num_classes: int, *, multi_label: bool) -> MetricCollection:
    """top1 and, from six classes on, top5; mean average precision where a clip can have several labels.

    Example:
        >>> from interlace.training.module import validation_metrics
        >>> sorted(validation_metrics(10, multi_label=False))
        ['val_top1', 'val_top5']
    """
    if multi_label:
        return MetricCollection({"val_mAP": MultilabelAveragePrecision(num_classes)})
    metrics: dict[str, Metric | MetricCollection] = {
        "val_top1": MulticlassAccuracy(num_classes, average="micro")
    }
    if num_classes > 5:
        metrics["val_top5"] = MulticlassAccuracy(num_classes, top_k=5, average="micro")
    return MetricCollection(metrics)
