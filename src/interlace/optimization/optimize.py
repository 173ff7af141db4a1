"""interlace.optimize: a copy of a network for inference, as fast as this machine allows."""

from __future__ import annotations

import copy
import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models import VideoModel
from interlace.models.memory_format import to_channels_last
from interlace.models.plain import pretrained_cfg
from interlace.models.regions import DetectorProposals
from interlace.optimization.agreement import LIMITS, measure_agreement, noise_clips
from interlace.optimization.fold import fold_batch_norms
from interlace.optimization.fuse import fuse
from interlace.optimization.model import OptimizedModel, classifiers
from interlace.optimization.processor import best_dtype, compiler_is_missing
from interlace.temporal import CausalInterlace, TemporalInterlace, TemporalShift
from interlace.temporal.temporal_conv import RegularizedTemporalConv


def optimize(
    model: VideoModel,
    *,
    dtype: torch.dtype | None = None,
    compile: bool | None = None,
    example: Float[Tensor, "B T C H W"] | None = None,
    verify: bool = True,
) -> OptimizedModel:
    """A copy of a network for inference: batch norms folded, layers fused, channels-last, bfloat16 where it is fast.

    The two small nets of TIN, the offsets, the classifier and a detector of regions keep float32. Of an ensemble
    each member is made so. The copy stays on the network's device.

    Args:
        model: the network; it is not changed.
        dtype: of the backbone; None is bfloat16 where the processor has it, else float32.
        compile: let torch.compile write the backbone, which takes 15 to 25 s here and now. None: on a GPU. On
            the CPU the fused layers are as fast without it (docs/optimize.md).
        example: clips, as the network gets them, for the comparison; by default 4 of noise of timm's image size.
        verify: run both networks on the example and keep the result as ``.agreement``.

    Raises:
        ValueError: the model is no VideoModel, the dtype is none of float32, bfloat16 and float16, or the copy
            in float32 does not agree with the network. Where one in lower precision does not, it is a warning.

    Example:
        >>> import torch, interlace
        >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4)
        >>> fast = interlace.optimize(model, example=torch.randn(2, 4, 3, 64, 64))
        >>> fast(torch.zeros(3, 4, 3, 64, 64)).shape
        torch.Size([3, 5])
        >>> fast.agreement.relative_error < 0.1
        True
    """
    if not isinstance(model, VideoModel):
        raise ValueError(
            f"a {type(model).__name__} cannot be optimized; give the network that create_model or load_checkpoint made"
        )
    device = next(model.parameters()).device
    dtype = best_dtype(device) if dtype is None else dtype
    if dtype not in LIMITS:
        raise ValueError(f"dtype={dtype} is not one of {', '.join(map(str, LIMITS))}")
    wants_compiled = device.type == "cuda" if compile is None else compile
    if wants_compiled and (reason := compiler_is_missing(device)):
        wants_compiled = False
        if compile:
            warnings.warn(f"not compiled: {reason}; it runs layer by layer", stacklevel=2)

    fast = OptimizedModel(_converted(model, dtype, with_fusion=not wants_compiled), dtype)
    if not (verify or wants_compiled):
        return fast
    if example is None:
        height, width = pretrained_cfg(classifiers(model)[0].backbone)["input_size"][1:]
        example = noise_clips(model, height, width)
    example = example.to(device, torch.float32)
    if wants_compiled:
        problem = _try_to_compile(fast, example[:1])
        if problem:
            warnings.warn(f"not compiled: {problem}; it runs layer by layer", stacklevel=2)
            fast = OptimizedModel(_converted(model, dtype, with_fusion=True), dtype)
    if verify:
        eager = model if not model.training else copy.deepcopy(model).eval()
        fast.agreement = measure_agreement(eager, fast, example, dtype, fast.is_compiled)
        _judge(fast)
    return fast


# What tells places from each other, offsets and boxes, wants more than the 8 bits of bfloat16.
_PRECISE = (TemporalInterlace, CausalInterlace, TemporalShift, RegularizedTemporalConv, DetectorProposals)


def _converted(model: VideoModel, dtype: torch.dtype, *, with_fusion: bool) -> VideoModel:
    """The copy: folded, fused, in channels-last and in its dtype."""
    fast = copy.deepcopy(model).eval().requires_grad_(False).float()
    for network in classifiers(fast):
        fold_batch_norms(network.backbone)
        if with_fusion:
            fuse(network.backbone)
        _to_dtype(network.backbone, dtype)
    to_channels_last(fast)
    return fast


def _to_dtype(module: nn.Module, dtype: torch.dtype) -> None:
    """As module.to(dtype), but for what has to be precise."""
    if isinstance(module, _PRECISE):
        return
    for child in module.children():
        _to_dtype(child, dtype)
    for value in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if value.is_floating_point():
            value.data = value.data.to(dtype)


def _try_to_compile(fast: OptimizedModel, clip: Tensor) -> str:
    """Compile and run once; the first line of what went wrong, empty if nothing did."""
    try:
        fast.compile_backbone()
        fast(clip)
    except Exception as problem:  # a compiler fails as it likes: missing headers, full disks, old drivers
        return f"{type(problem).__name__}: {str(problem).strip().splitlines()[0]}"
    return ""


def _judge(fast: OptimizedModel) -> None:
    """Float32 arithmetic in another order cannot differ much: then it is another network, an error.

    How much lower precision may change is for the user to say: a warning.
    """
    agreement = fast.agreement
    if agreement is None or agreement.is_good:
        return
    finding = f"relative error {agreement.relative_error:.2g}, expected at most {agreement.limit:g}"
    if agreement.dtype == torch.float32:
        raise ValueError(
            f"the optimized network does not agree with the original: {finding}; use the original"
        )
    warnings.warn(
        f"{agreement.dtype} changes this network a lot: {finding}; optimize(model, dtype=torch.float32) is exact",
        stacklevel=3,
    )
