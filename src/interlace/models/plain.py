"""A timm network as it is, with the weights of timm's hub if asked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
from torch import nn

from interlace.models.first_conv import adapt_first_conv
from interlace.models.modality import Modality


class WeightsError(ValueError):
    """Initial weights cannot be had, or are not those of the network."""


def is_backbone(name: str) -> bool:
    """Whether :func:`create_backbone` knows the name, e.g. resnet50 or timm's resnet50.a1_in1k."""
    return bool(timm.is_model(name.partition(".")[0]))


def create_backbone(
    name: str, *, pretrained: bool, in_chans: int, modality: Modality = "rgb", **timm_args: Any
) -> nn.Module:
    """A timm network that ends in its pooled features (B*T, D).

    Args:
        name: timm's.
        pretrained: with the weights of timm's hub.
        in_chans: color channels of a frame.
        modality: what the first convolution sees; made from that of the frames' colors.
        timm_args: further arguments of timm's builder.

    Raises:
        ValueError: timm cannot build the network with these arguments.
        WeightsError: timm's weights cannot be fetched.
    """
    try:
        if pretrained:
            network = _with_hub_weights(name, in_chans, timm_args)
        else:
            network = timm.create_model(name, num_classes=0, in_chans=in_chans, **timm_args)
    except TypeError as error:
        raise ValueError(f"timm cannot build {name!r} with {timm_args}: {error}") from error
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


def pretrained_cfg(network: nn.Module) -> dict[str, Any]:
    """What timm knows of a network: architecture, mean, std, first_conv, classifier."""
    return cast(dict[str, Any], network.pretrained_cfg)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().partition("\n")[0]
