"""Networks with random weights that behave like trained ones: every temporal part does something."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models import VideoModel
from interlace.temporal import CausalInterlace, TemporalInterlace


@torch.no_grad()
def moved_from_start(model: VideoModel, *, size: int = 64) -> VideoModel:
    """The network itself, in eval mode, its weights moved away from where training starts.

    At the start some parts do nothing (a scale that is zero), the same for every clip (TIN's offsets), or the same
    forward and backward in time (I3D's convolutions); what is wrong with such a part would not be seen. The batch
    norms then measure two clips of blurred noise, so that numbers keep their size through all layers.
    """
    generator = torch.Generator().manual_seed(0)
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        if norm.affine:
            norm.weight.uniform_(0.5, 1.0, generator=generator)
            norm.bias.normal_(0.0, 0.2, generator=generator)
    for part in model.modules():
        if isinstance(part, CausalInterlace):
            part.offset_net.last.weight.normal_(0.0, 0.5, generator=generator)
        if isinstance(part, TemporalInterlace):
            part.offset_net.fc2.weight.normal_(0.0, 0.5, generator=generator)
        if isinstance(part, nn.Conv3d):  # inflated ones are the same forward and backward in time
            part.weight.mul_(torch.empty_like(part.weight).uniform_(0.5, 1.5, generator=generator))
    for name, scale in model.named_parameters():
        if scale.ndim == 1 and not name.endswith("bias") and scale.abs().amax() < 1e-4:  # ConvNeXt's branches
            scale.uniform_(0.2, 0.6, generator=generator)
    for head in model.heads():
        if isinstance(head, nn.Linear):
            head.weight.normal_(0.0, 0.05, generator=generator)
    model.eval()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    model(blurred_noise(2, model.num_segments, model.in_chans, size, generator))
    return model.eval()


def blurred_noise(
    batch: int, num_frames: int, channels: int, size: int, generator: torch.Generator
) -> Float[Tensor, "B T C S S"]:
    """Normal clips that differ in more than what pooling takes away."""
    coarse = torch.randn(batch * num_frames, channels, 4, 4, generator=generator)
    return F.interpolate(coarse, size=size, mode="bilinear").unflatten(0, (batch, num_frames))
