"""An image network as it is, timm's or one of ours, with its published weights if asked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
import torch
from timm.models import adapt_input_conv
from torch import nn

from interlace.models.bninception import BNInception
from interlace.models.first_conv import adapt_first_conv
from interlace.models.modality import Modality

OWN_NETWORKS: dict[str, Callable[..., nn.Module]] = {"bninception": BNInception}
"""Image networks of the papers that timm has not."""


class WeightsError(ValueError):
    """Initial weights cannot be had, or are not those of the network."""


def is_backbone(name: str) -> bool:
    """Whether :func:`create_backbone` knows the name, e.g. bninception, resnet50 or timm's resnet50.a1_in1k."""
    return name in OWN_NETWORKS or bool(timm.is_model(name.partition(".")[0]))


def create_backbone(
    name: str,
    *,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **timm_args: Any,
) -> nn.Module:
    """An image network that ends in its pooled features (B*T, D).

    Args:
        name: timm's, or bninception.
        pretrained: with the weights of timm's hub, or those published for BNInception.
        in_chans: color channels of a frame.
        modality: what the first convolution sees; made from that of the frames' colors.
        timm_args: further arguments of timm's builder; ours have none.

    Raises:
        ValueError: the network cannot be built with these arguments.
        WeightsError: the weights cannot be fetched.

    Example:
        >>> import torch
        >>> from interlace.models.plain import create_backbone
        >>> create_backbone("bninception")(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1024])
    """
    try:
        if name in OWN_NETWORKS:
            network = OWN_NETWORKS[name](in_chans=in_chans, **timm_args)
            if pretrained:
                _load_published_weights(network, in_chans)
        elif pretrained:
            network = _with_hub_weights(name, in_chans, timm_args)
        else:
            network = timm.create_model(name, num_classes=0, in_chans=in_chans, **timm_args)
    except TypeError as error:
        whose = "interlace" if name in OWN_NETWORKS else "timm"
        raise ValueError(f"{whose} cannot build {name!r} with {timm_args}: {error}") from error
    adapt_first_conv(network, modality, in_chans)
    return network


def _with_hub_weights(name: str, in_chans: int, timm_args: dict[str, Any]) -> nn.Module:
    overlay = {}
    try:
        if not _hub_is_reachable():  # the hub's client would try for a minute; look on the disk only
            overlay = {"file": str(_cached_weights(name))}
        # With its own classifier, so that timm loads strictly; the classifier goes afterwards.
        network = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=overlay, in_chans=in_chans, **timm_args
        )
    except TypeError:
        raise  # an argument that timm does not know
    except Exception as error:  # each client of the hub has its own errors
        raise WeightsError(
            f"timm's weights of {name!r} could not be fetched ({type(error).__name__}: {first_line(error)}); "
            "train from scratch with pretrained=False, or give a file with pretrained=PATH"
        ) from error
    network.reset_classifier(0)  # type: ignore[operator]
    return network


def _load_published_weights(network: nn.Module, in_chans: int) -> None:
    """Those at the address that one of our networks names; torch keeps the file for the next time."""
    config = pretrained_cfg(network)
    try:
        # The name of the file ends in the beginning of its hash.
        published = torch.hub.load_state_dict_from_url(
            config["url"], map_location="cpu", check_hash=True, weights_only=True
        )
        state = network.from_image_weights(published)  # type: ignore[operator]
        first = f"{config['first_conv']}.weight"
        state[first] = adapt_input_conv(in_chans, state[first])
        network.load_state_dict(state)
    except Exception as error:  # no connection, a damaged file, the weights of something else
        raise WeightsError(
            f"the weights of {config['architecture']!r} could not be fetched from {config['url']} "
            f"({type(error).__name__}: {first_line(error)}); train from scratch with pretrained=False, or give a "
            "file with pretrained=PATH"
        ) from error


def _cached_weights(name: str) -> Path:
    """The file that an earlier download left on this machine."""
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    repository = config.hf_hub_id if config else None
    cached = try_to_load_from_cache(repository, "model.safetensors") if repository else None
    if not isinstance(cached, str):
        raise FileNotFoundError(f"no connection to the hub, and {repository} is not in the cache")
    return Path(cached)


def _hub_is_reachable() -> bool:
    """Whether the hub's name can be resolved, or a proxy stands between that can."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, 443)
    except OSError:
        return bool(getproxies())
    return True


def check_plain_head(network: nn.Module) -> None:
    """For who takes a ResNet apart and pools by itself: nothing that was asked of timm's head may get lost.

    Raises:
        ValueError: the network drops features, or pools other than by the mean.
    """
    drop_rate, pool = network.drop_rate, network.global_pool.pool_type  # type: ignore[union-attr]
    if drop_rate or pool != "avg":
        raise ValueError(
            f"drop_rate={drop_rate} and global_pool={pool!r} are for timm's own head, which is not used here; leave "
            "them out (dropout=... drops features before the classifier)"
        )


def pretrained_cfg(network: nn.Module) -> dict[str, Any]:
    """What timm knows of a network: architecture, mean, std, first_conv, classifier."""
    return cast(dict[str, Any], network.pretrained_cfg)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().partition("\n")[0]
