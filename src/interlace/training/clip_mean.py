"""The gradient of an update is the mean over its clips, however devices and steps share them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed
from torch import Tensor
from torch.distributed.tensor import DTensor


class ClipMean:
    """Counts the clips of an update.

    Lightning and DDP average the losses of an update's batches as if all were full. So the loss of a batch is
    multiplied by :meth:`part`, and the gradient in the end by :meth:`correction`, which is 1 if all were. That also
    holds for clips that could not be read, of which nobody knew before.

    Example:
        >>> from interlace.training.clip_mean import ClipMean
        >>> mean = ClipMean()
        >>> mean.part(4, full=4), mean.part(1, full=4)
        (1.0, 0.25)
        >>> mean.correction("cpu", accumulate=2).item()
        1.6
    """

    def __init__(self) -> None:
        self._parts: list[float] = []

    def part(self, clips: int, *, full: int) -> float:
        """What a batch of so many clips counts, of a full one; call it once for each batch."""
        self._parts.append(clips / full)
        return self._parts[-1]

    def correction(self, device: torch.device | str, *, accumulate: int) -> Tensor:
        """Factor of the averaged gradient of the update, which ends here.

        Args:
            device: where the devices' counts are brought together.
            accumulate: batches by whose number the gradients were divided.

        Raises:
            ValueError: no device could read any clip of the update.
        """
        parts, self._parts = self._parts, []
        total = torch.tensor([sum(parts), float(accumulate)], dtype=torch.float64)
        if torch.distributed.is_initialized():
            total = total.to(device, non_blocking=True)
            torch.distributed.all_reduce(total)
        if not any(parts) and not total[0]:  # only a device without clips waits for the number
            raise ValueError(
                "none of the clips of an update could be read; see `interlace check`, and list other clips"
            )
        return total[1] / total[0]


@torch.no_grad()
def scale_gradients(parameters: Iterable[Tensor], factor: Tensor) -> None:
    """Multiply all gradients, also those that devices hold in parts."""
    if not factor.is_cuda and factor == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            grad = parameter.grad
            local = grad.to_local() if isinstance(grad, DTensor) else grad
            local.mul_(factor.to(local.dtype))
