"""Non-local block (Wang et al., CVPR 2018): every position of a clip looks at all others."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip

Similarity = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


class SoftmaxSimilarity(nn.Module):
    """f = exp(theta_i . phi_j), C = sum of f over j (equations 2 and 3): softmax over the positions looked at.

    There is no 1 / sqrt(channels), unlike in a transformer. PyTorch's fused attention keeps no (N, M) matrix.
    """

    def forward(
        self, theta: Float[Tensor, "B N E"], phi: Float[Tensor, "B M E"], g: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        """What each of N positions sees at M others."""
        # One head; its fused kernels want the channels of a position side by side.
        theta, phi, g = (rows.contiguous().unsqueeze(1) for rows in (theta, phi, g))
        return F.scaled_dot_product_attention(theta, phi, g, scale=1.0).squeeze(1)


class DotProductSimilarity(nn.Module):
    """f = theta_i . phi_j, C = M (equation 4)."""

    def forward(
        self, theta: Float[Tensor, "B N E"], phi: Float[Tensor, "B M E"], g: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        """What each of N positions sees at M others."""
        # (theta phi^T) g / M in the order that needs no (N, M) matrix; divided first, so that half floats suffice.
        return theta @ (phi.mT @ (g / g.shape[1]))


class ConcatenatedSimilarity(nn.Module):
    """f = ReLU(w_f . [theta_i, phi_j]), C = M (equation 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w_f = nn.Linear(2 * channels, 1, bias=False)

    def forward(
        self, theta: Float[Tensor, "B N E"], phi: Float[Tensor, "B M E"], g: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        """What each of N positions sees at M others."""
        # w_f . [theta_i, phi_j] = w_f1 . theta_i + w_f2 . phi_j: the pairs need not be put together.
        of_theta, of_phi = self.w_f.weight.chunk(2, dim=1)
        f = F.relu(F.linear(theta, of_theta) + F.linear(phi, of_phi).mT)
        return f @ (g / g.shape[1])


class NonLocalBlock(nn.Module):
    """z_i = W y_i + x_i, with y_i = 1 / C(x) sum_j f(x_i, x_j) g(x_j) (equations 1 and 6).

    The block works on clips (B, C, T, H, W), pictures (B, C, H, W) and sequences (B, C, T) alike. The batch norm
    behind W starts at zero, so a new block changes nothing. It is a ``BatchNorm1d`` over all positions: training
    that fixes the batch norms of a 2-D network leaves it free, or it would stay zero for ever.

    Args:
        channels: channels of the input (C).
        similarity: f. "gaussian" compares the positions themselves, the others what theta and phi say of them.
        inner_channels: of theta, phi and g; None for half of the channels.
        subsample: positions that are looked at are max-pooled by 2 in height and width (a sequence: in time).

    Raises:
        ValueError: the similarity is unknown, or there are too few channels.

    Source: "Non-local Neural Networks", sections 3.2 and 3.3.

    Example:
        >>> import torch
        >>> from interlace.temporal import NonLocalBlock
        >>> NonLocalBlock(16)(torch.zeros(2, 16, 4, 5, 7)).shape
        torch.Size([2, 16, 4, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        similarity: Similarity = "embedded_gaussian",
        inner_channels: int | None = None,
        subsample: bool = True,
    ) -> None:
        super().__init__()
        inner = channels // 2 if inner_channels is None else inner_channels
        if inner < 1:
            raise ValueError(
                f"channels={channels}, inner_channels={inner_channels}: the block needs at least 1 inside"
            )
        self.similarity = _similarity(similarity, inner)
        self.subsample = subsample
        embedded = similarity != "gaussian"
        self.theta = nn.Conv1d(channels, inner, kernel_size=1) if embedded else nn.Identity()
        self.phi = nn.Conv1d(channels, inner, kernel_size=1) if embedded else nn.Identity()
        self.g = nn.Conv1d(channels, inner, kernel_size=1)
        self.w = nn.Conv1d(inner, channels, kernel_size=1)
        self.norm = nn.BatchNorm1d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Float[Tensor, "B C *positions"]) -> Float[Tensor, "B C *positions"]:
        """(B, C, T, H, W), (B, C, H, W) or (B, C, T) in, the same out.

        Raises:
            ValueError: the input has fewer or more axes.
        """
        if not 3 <= x.ndim <= 5:
            raise ValueError(f"shape {tuple(x.shape)} is none of (B, C, T), (B, C, H, W) and (B, C, T, H, W)")
        shape = x.shape[2:]
        positions = x.flatten(2)  # (B, C, T, H, W) -> (B, C, N)
        theta, phi, g = self.theta(positions), self.phi(positions), self.g(positions)
        if self.subsample:
            phi, g = (_max_pool(y.unflatten(2, shape)).flatten(2) for y in (phi, g))
        y = self.similarity(theta.mT, phi.mT, g.mT).mT
        return x + self.norm(self.w(y)).unflatten(2, shape)


class NonLocalFrames(NonLocalBlock):
    """The block in a 2-D network: over all positions of the T frames of each clip.

    Args:
        channels: channels of the frames.
        num_segments: frames in a clip (T). The weights do not depend on it.
        similarity, inner_channels, subsample: see :class:`NonLocalBlock`.

    Example:
        >>> import torch
        >>> from interlace.temporal import NonLocalFrames
        >>> NonLocalFrames(16, num_segments=4)(torch.zeros(8, 16, 5, 7)).shape
        torch.Size([8, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        num_segments: int = 8,
        *,
        similarity: Similarity = "embedded_gaussian",
        inner_channels: int | None = None,
        subsample: bool = True,
    ) -> None:
        super().__init__(channels, similarity=similarity, inner_channels=inner_channels, subsample=subsample)
        self.num_segments = num_segments

    def forward(self, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out."""
        clip = frames_to_clip(frames, self.num_segments).transpose(1, 2)  # (B*T, C, H, W) -> (B, C, T, H, W)
        return clip_to_frames(super().forward(clip).transpose(1, 2))

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"num_segments={self.num_segments}"


def _similarity(name: str, channels: int) -> nn.Module:
    if name in ("embedded_gaussian", "gaussian"):
        return SoftmaxSimilarity()
    if name == "dot_product":
        return DotProductSimilarity()
    if name == "concatenation":
        return ConcatenatedSimilarity(channels)
    raise ValueError(
        f"similarity {name!r} is unknown; choose embedded_gaussian, gaussian, dot_product or concatenation"
    )


def _max_pool(x: Tensor) -> Tensor:
    """By 2 in height and width, never over the time of a clip; an axis of one position stays as it is."""
    size = [min(2, length) for length in x.shape[2:]]
    if len(size) == 1:
        return F.max_pool1d(x, size)
    if len(size) == 2:
        return F.max_pool2d(x, size)
    return F.max_pool3d(x, [1, *size[1:]])
