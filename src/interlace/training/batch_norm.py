"""Which batch norms learn: all, only the first of each network ("partial", TSN section 4.2), or none."""

from __future__ import annotations

from typing import Literal

from torch import nn

from interlace.models.classifier import VideoClassifier
from interlace.models.inflate import InflatedBatchNorm3d

BatchNormPolicy = Literal["train", "partial", "frozen"]
OF_IMAGES = (nn.BatchNorm2d, InflatedBatchNorm3d)


def fixed_batch_norms(
    model: nn.Module, policy: BatchNormPolicy
) -> list[nn.BatchNorm2d | InflatedBatchNorm3d]:
    """The batch norms that a policy keeps as they are, in the order of the network.

    Only those that image weights bring are meant: over pictures (``BatchNorm2d``), also inflated. Others are new. The
    batch norm of a non-local block starts at zero; fixing it would leave the block there for ever. In an ensemble or a
    two-stream network each network has its first one.

    Raises:
        ValueError: the policy is to fix some and the network has none.

    Example:
        >>> from torch import nn
        >>> from interlace.training.batch_norm import fixed_batch_norms
        >>> network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(5), nn.BatchNorm3d(7))
        >>> fixed_batch_norms(network, "partial") == [network[1]]
        True
    """
    norms = [module for module in model.modules() if isinstance(module, OF_IMAGES)]
    if policy == "train":
        return []
    if not norms:
        raise ValueError(
            f"optim.batch_norm={policy}: the network has no batch norm over pictures (BatchNorm2d); "
            "use optim.batch_norm=train"
        )
    free = _firsts(model) if policy == "partial" else []
    return [norm for norm in norms if norm not in free]


def _firsts(model: nn.Module) -> list[nn.Module]:
    """The first batch norm of each network."""
    networks: list[nn.Module] = [module for module in model.modules() if isinstance(module, VideoClassifier)]
    norms = (
        [part for part in network.modules() if isinstance(part, OF_IMAGES)] for network in networks or [model]
    )
    return [of_network[0] for of_network in norms if of_network]


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
