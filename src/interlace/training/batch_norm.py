"""Which batch norms learn: all, only the first ("partial", TSN section 4.2), or none."""

from __future__ import annotations

from typing import Literal

from torch import nn

BatchNormPolicy = Literal["train", "partial", "frozen"]


def fixed_batch_norms(model: nn.Module, policy: BatchNormPolicy) -> list[nn.BatchNorm2d]:
    """The batch norms that a policy keeps as they are, in the order of the network.

    Only those over pictures (``BatchNorm2d``) are meant. The zero-initialised batch norm of a non-local block
    is a ``BatchNorm3d``; fixing it would leave the block at zero for ever.

    Raises:
        ValueError: the policy is to fix some and the network has none.

    Example:
        >>> from torch import nn
        >>> from interlace.training.batch_norm import fixed_batch_norms
        >>> network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(5), nn.BatchNorm3d(7))
        >>> fixed_batch_norms(network, "partial") == [network[1]]
        True
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if policy != "train" and not norms:
        raise ValueError(
            f"optim.batch_norm={policy}: the network has no batch norm over pictures (BatchNorm2d); "
            "use optim.batch_norm=train"
        )
    return {"train": [], "partial": norms[1:], "frozen": norms}[policy]


def fix_batch_norms(model: nn.Module, policy: BatchNormPolicy) -> None:
    """Keep the statistics, scale and shift of the batch norms that the policy names.

    ``model.train()`` undoes the first half of it, so call this again after every such call.

    Example:
        >>> from torch import nn
        >>> from interlace.training.batch_norm import fix_batch_norms
        >>> network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(5))
        >>> fix_batch_norms(network, "partial")
        >>> network[0].training, network[1].training
        (True, False)
    """
    for norm in fixed_batch_norms(model, policy):
        norm.eval()
        norm.requires_grad_(False)
