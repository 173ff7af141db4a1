"""A loss that is no number any more ends the run, before such weights are saved, and with the batch on the disk."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from interlace.data.annotations import Annotations
from interlace.training.diverged_batch import DivergedBatch, write_batch
from interlace.training.loss import Loss, diverged

Split = Literal["train", "val"]


@dataclass(eq=False)
class Look:
    """What is known of one batch; its numbers are on their way from the device."""

    batch: DivergedBatch
    numbers: Float[Tensor, "4"]
    """Loss; norm of the gradient; whether a loss, or a norm, of any process is none."""
    arrived: torch.cuda.Event | None


class Divergence(Callback):
    """Stops a run at the first loss, gradient or weight that is not finite, and saves the batch.

    On a GPU nothing waits for the numbers of a step: they are copied while it goes on, and looked at behind the next
    step, or before anything is validated or saved. Under float16 gradients that overflow are left to the scaler, which
    leaves that update out; a loss that is none is an error there too. Several processes agree at every step, so that
    all end at the same one; those whose own loss it was write their batch.

    Put it first among the callbacks.

    Args:
        output: folder of the run.
        train: training clips.
        val: validation clips.
        loss: logits and target rows (B, K) to a number, to tell the loss of each clip.
        seed: of the run.
    """

    def __init__(self, output: Path, *, train: Annotations, val: Annotations, loss: Loss, seed: int) -> None:
        self.output = output
        self.annotations: dict[Split, Annotations] = {"train": train, "val": val}
        self.loss = loss
        self.seed = seed
        self._lr = 0.0
        self._step = 0
        self._norm: Tensor | None = None
        self._accumulated: list[Tensor] = []  # the clips whose gradients are added up before an update
        self._look: Look | None = None
        self._last: Look | None = None
        self._found: Look | None = None  # in validation, of this process

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate while it is in use."""
        del pl_module, batch, batch_idx
        self._lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        self._step = trainer.global_step + 1

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure the gradient, before it is clipped."""
        del optimizer
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            self._norm = _norm(p.grad for p in pl_module.parameters() if p.grad is not None)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the step before; on the CPU at this one."""
        del pl_module
        self._settle(trainer)
        self._look = self._looked_at(trainer, "train", outputs, batch, batch_idx, everywhere=True)
        self._last, self._norm = self._look, None
        self._accumulated.append(batch["index"])
        if trainer.global_step == self._step:  # the update is made
            self._accumulated.clear()
        if self._look.arrived is None:
            self._settle(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last step."""
        del pl_module
        self._settle(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at the batch before; several processes agree, and end, behind the last one alone."""
        del pl_module, dataloader_idx
        self._settle_validation(trainer)
        if outputs is None:  # none of its videos could be read
            return
        self._look = self._looked_at(trainer, "val", outputs, batch, batch_idx, everywhere=False)
        if self._look.arrived is None:
            self._settle_validation(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree, before the metrics are brought together."""
        del pl_module
        self._settle_validation(trainer)
        if trainer.strategy.reduce_boolean_decision(self._found is not None, all=False):
            self._end(trainer, self._found, "validation gives a loss of another process that is no number")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last step."""
        del pl_module
        self._settle(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let no checkpoint take the place of a good one that is none itself.

        Raises:
            ValueError: the last step, or a weight, is not finite.
        """
        del checkpoint
        self._settle(trainer)
        broken = not math.isfinite(float(_norm(pl_module.parameters())))
        if trainer.strategy.reduce_boolean_decision(broken, all=False):
            self._end(trainer, self._last, f"the weights after step {trainer.global_step} are not finite")

    def _looked_at(
        self,
        trainer: Trainer,
        split: Split,
        outputs: dict[str, Tensor],
        batch: dict[str, Any],
        batch_idx: int,
        *,
        everywhere: bool,
    ) -> Look:
        loss = outputs["mean_loss"].detach().float()
        norm = torch.zeros_like(loss) if self._norm is None else self._norm.to(loss)
        wrong = torch.stack([~loss.isfinite(), ~norm.isfinite()]).float()
        if split == "val":  # a score may be infinite where the loss does not tell
            wrong[0] = torch.maximum(wrong[0], (~outputs["logits"].isfinite()).any().float())
        if everywhere and trainer.world_size > 1:
            torch.distributed.all_reduce(wrong, torch.distributed.ReduceOp.MAX)
        numbers = torch.cat([torch.stack([loss, norm]), wrong]).to("cpu", non_blocking=loss.is_cuda)
        arrived = None
        if loss.is_cuda:
            arrived = torch.cuda.Event()
            arrived.record(torch.cuda.current_stream(loss.device))
        known = DivergedBatch(
            batch=batch,
            outputs=outputs,
            split=split,
            epoch=trainer.current_epoch + 1,
            batch_number=batch_idx + 1,
            step=self._step,
            learning_rate=self._lr,
            accumulated=list(self._accumulated) if split == "train" else [],
        )
        return Look(known, numbers, arrived)

    def _settle(self, trainer: Trainer) -> None:
        look, self._look = self._look, None
        if look is None:
            return
        loss, norm, wrong_loss, wrong_norm = _read(look)
        if not wrong_loss and not wrong_norm:
            return
        if not wrong_loss:
            told = "no number" if math.isfinite(norm) else norm  # FSDP: of another process's part
            self._end(trainer, look, f"the gradient's norm is {told}")
        is_own = not math.isfinite(loss)
        found = (
            f"the training loss is {loss}" if is_own else "the training loss of another process is no number"
        )
        self._end(trainer, look if is_own else None, found)

    def _settle_validation(self, trainer: Trainer) -> None:
        look, self._look = self._look, None
        if look is not None and self._found is None and _read(look)[2]:
            self._found = look
            if trainer.world_size == 1:
                self._end(trainer, look, "")

    def _end(self, trainer: Trainer, look: Look | None, found: str) -> None:
        """Write this process's batch, if it has one, and end when all have written."""
        several = trainer.world_size > 1
        stem = self.output / (f"diverged-{trainer.global_rank}" if several else "diverged")
        if look is not None and len(look.batch.batch["index"]):
            if look.batch.split == "val":
                found = f"validation gives a loss of {_read(look)[0]}"
            last = self.output / "last.ckpt"
            write_batch(
                stem,
                look.batch,
                found=found,
                gradient_norm=_read(look)[1],
                annotations=self.annotations[look.batch.split],
                loss=self.loss,
                seed=self.seed,
                last_good=last if last.exists() else None,
            )
        trainer.strategy.barrier()
        error = diverged(found, trainer.current_epoch)
        where = stem if look is not None else self.output / "diverged-*"
        raise ValueError(
            f"{error}; the batch is in {where}.safetensors, its clips and losses are listed in {where}.json"
        )


def _read(look: Look) -> list[float]:
    if look.arrived is not None:
        look.arrived.synchronize()
    numbers: list[float] = look.numbers.tolist()
    return numbers


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """The norm of all of them, on this device: not finite if one number is not."""
    local: list[Tensor] = [
        getattr(t, "to_local", lambda t=t: t)().detach() for t in tensors
    ]  # FSDP: a part of each
    return get_total_norm([t for t in local if t.numel()]) if local else torch.zeros(())
