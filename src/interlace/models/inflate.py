"""A 2-D image network made 3-D: every layer over pictures becomes one over clips (B, C, T, H, W).

Source: Carreira & Zisserman, "Quo Vadis, Action Recognition?" (CVPR 2017), section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from jaxtyping import Float
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.layers.drop import DropPath
from timm.models import resnet
from torch import Tensor, nn

from interlace.models.conv3d import Conv3d
from interlace.models.first_conv import DifferenceConv2d

AnyConv = TypeVar("AnyConv", bound=Conv3d)

# What works on clips as it is: element by element, or made of layers that are inflated themselves.
_AS_THEY_ARE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Identity,
    nn.Dropout,
    nn.Flatten,
    nn.Linear,
    nn.Sequential,
    DropPath,
    SelectAdaptivePool2d,
    resnet.BasicBlock,
    resnet.Bottleneck,
    resnet.ResNet,
)
SUPPORTED = (
    "ResNet with basic or bottleneck blocks (resnet18, 34, 50, 101, 152, 50d), ResNeXt and Wide ResNet"
)


class InflatedBatchNorm3d(nn.BatchNorm3d):
    """The batch norm of an image network, over clips.

    A class of its own, so that training can keep the norms that came with image weights as they are, and let
    those of new layers learn.
    """


class DifferenceConv3d(Conv3d):
    """conv(later - earlier): the inflated form of :class:`interlace.models.first_conv.DifferenceConv2d`."""

    color_channels: int

    def forward(self, input: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D T2 H2 W2"]:
        """Snippets of frames, one behind the other in the channels, to features."""
        return super().forward(input[:, self.color_channels :] - input[:, : -self.color_channels])


def inflate(
    network: nn.Module,
    *,
    spans: Mapping[str, int] | None = None,
    strides: Mapping[str, int] | None = None,
) -> None:
    """Make a 2-D network 3-D in place; it then takes (B, C, T, H, W). Its parameters keep their names.

    A convolution that spans several frames sees zeros before the first and after the last one, so the number
    of frames stays. Where its frames are all within the clip, a clip of one repeated picture gives what the 2-D
    network gives for the picture.

    Args:
        network: of Conv2d, BatchNorm2d, MaxPool2d, AvgPool2d, global average pools, and what works element by
            element.
        spans: frames that a convolution spans, by its name; odd; 1 for all that are not named.
        strides: temporal strides of convolutions and pools, by their names; 1 for all that are not named.

    Raises:
        ValueError: a layer that has no 3-D form here, a name that is not one of a layer, or an even span.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from interlace.models.inflate import inflate
        >>> network = nn.Sequential(nn.Conv2d(3, 5, 7, padding=3), nn.MaxPool2d(2))
        >>> inflate(network, spans={"0": 3}, strides={"1": 2})
        >>> network(torch.zeros(2, 3, 8, 16, 16)).shape
        torch.Size([2, 5, 4, 8, 8])
    """
    spans, strides = dict(spans or {}), dict(strides or {})
    for name, layer in list(network.named_modules()):
        make = _FORMS.get(type(layer))
        if make is not None:
            network.set_submodule(name, make(layer, spans.pop(name, 1), strides.pop(name, 1)))
        elif not isinstance(layer, _AS_THEY_ARE):
            raise ValueError(
                f"{name!r}, a {type(layer).__name__}, has no form over clips here; supported are {SUPPORTED}"
            )
    if spans or strides:
        raise ValueError(f"no layer to inflate is called {', '.join([*spans, *strides])}")


def inflate_weight(weight: Float[Tensor, "K C H W"], frames: int) -> Float[Tensor, "K C T H W"]:
    """Repeat a kernel along time and divide it by the frames, so that its sum over time stays.

    Example:
        >>> import torch
        >>> from interlace.models.inflate import inflate_weight
        >>> inflate_weight(torch.full((1, 1, 1, 1), 6.0), 3).flatten().tolist()
        [2.0, 2.0, 2.0]
    """
    return weight.unsqueeze(2).repeat(1, 1, frames, 1, 1) / frames


def _conv(conv: nn.Conv2d, span: int, stride: int) -> Conv3d:
    return _conv_as(Conv3d, conv, span, stride)


def _difference_conv(conv: DifferenceConv2d, span: int, stride: int) -> DifferenceConv3d:
    inflated = _conv_as(DifferenceConv3d, conv, span, stride)
    inflated.color_channels = conv.color_channels
    return inflated


def _conv_as(form: type[AnyConv], conv: nn.Conv2d, span: int, stride: int) -> AnyConv:
    if span % 2 == 0:
        raise ValueError(f"a convolution cannot span {span} frames; the number must be odd, to have a middle")
    inflated = form(
        conv.in_channels,
        conv.out_channels,
        (span, *conv.kernel_size),  # type: ignore[arg-type]
        (stride, *conv.stride),  # type: ignore[arg-type]
        conv.padding if isinstance(conv.padding, str) else (span // 2, *conv.padding),  # type: ignore[arg-type]
        (1, *conv.dilation),  # type: ignore[arg-type]
        conv.groups,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        device="meta",
    )
    inflated.weight = nn.Parameter(inflate_weight(conv.weight.detach(), span))
    inflated.bias = conv.bias
    return inflated


def _batch_norm(norm: nn.BatchNorm2d, _span: int, _stride: int) -> InflatedBatchNorm3d:
    inflated = InflatedBatchNorm3d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
    )
    inflated.weight, inflated.bias = norm.weight, norm.bias
    inflated.running_mean, inflated.running_var = norm.running_mean, norm.running_var
    inflated.num_batches_tracked = norm.num_batches_tracked
    return inflated.train(norm.training)


def _max_pool(pool: nn.MaxPool2d, _span: int, stride: int) -> nn.MaxPool3d:
    return nn.MaxPool3d(
        (1, *_pair(pool.kernel_size)),
        (stride, *_pair(pool.stride)),
        (0, *_pair(pool.padding)),
        (1, *_pair(pool.dilation)),
        ceil_mode=pool.ceil_mode,
    )


def _avg_pool(pool: nn.AvgPool2d, _span: int, stride: int) -> nn.AvgPool3d:
    return nn.AvgPool3d(
        (1, *_pair(pool.kernel_size)),
        (stride, *_pair(pool.stride)),
        (0, *_pair(pool.padding)),
        pool.ceil_mode,
        pool.count_include_pad,
        pool.divisor_override,
    )


def _global_pool(pool: nn.AdaptiveAvgPool2d, _span: int, _stride: int) -> nn.AdaptiveAvgPool3d:
    """The mean over time too."""
    return nn.AdaptiveAvgPool3d((1, *_pair(pool.output_size)))  # type: ignore[arg-type]


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


_FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Conv2d: _conv,
    DifferenceConv2d: _difference_conv,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _global_pool,
}
