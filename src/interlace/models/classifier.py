"""Clips to logits: frames through a network, a classifier on what it says of them, their consensus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.models.modality import Modality
from interlace.models.model import VideoModel
from interlace.temporal.stream import Causal, State, causal_modules, passing


class VideoClassifier(VideoModel):
    """A network that recognises clips of `num_segments` frames.

    Args:
        backbone: frames (B*T, C, H, W) to features (B*T', D); T' is T for a 2-D network, T/2 behind a temporal
            pool, 1 where the network itself has put the frames together.
        head: a feature to what it says: (B, T', D) to (B, T', E).
        consensus: and that to logits: (B, T', E) to (B, K).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        dropout: probability of dropping a feature before the classifier.
        streams: frames may come one by one: all that mixes them looks back only, and the head says something of each.
        in_chans, modality, mean, std, builder, builder_args: see :class:`interlace.models.VideoModel`.

    Example:
        >>> import torch, interlace
        >>> model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4)
        >>> model.forward_features(torch.zeros(2, 4, 3, 64, 64)).shape
        torch.Size([2, 4, 512])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        head: nn.Module,
        consensus: nn.Module,
        num_classes: int,
        num_segments: int,
        dropout: float,
        streams: bool = False,
        in_chans: int,
        modality: Modality = "rgb",
        mean: tuple[float, ...],
        std: tuple[float, ...],
        builder: str,
        builder_args: dict[str, Any],
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            segments=(num_segments,),
            in_chans=in_chans,
            modality=modality,
            mean=mean,
            std=std,
            builder=builder,
            builder_args=builder_args,
        )
        self._streams = streams
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.consensus = consensus

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits."""
        return self.forward_head(self.forward_features(clip))

    def forward_features(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T2 D"]:
        """Clips to the pooled features of each frame.

        Raises:
            ValueError: the clip has another number of frames or channels than the network was built for.
        """
        self.check_clip(clip)
        features = self.backbone(clip_to_frames(clip))
        return frames_to_clip(features, features.shape[0] // clip.shape[0])

    def forward_head(self, features: Float[Tensor, "B T2 D"]) -> Float[Tensor, "B K"]:
        """Features of frames to logits: classify each frame, then put them together."""
        return self.consensus(self.classify_frames(features))

    @property
    def streams(self) -> bool:
        """See :attr:`interlace.models.VideoModel.streams`."""
        return self._streams

    def init_state(self, batch: int, image_size: int | tuple[int, int] | None = None) -> State:
        """See :meth:`interlace.models.VideoModel.init_state`.

        Example:
            >>> import torch, interlace
            >>> model = interlace.create_model("tsm_causal_resnet18", num_classes=5).eval()
            >>> state = model.init_state(batch=2)
            >>> for frame in torch.zeros(4, 2, 3, 64, 64):
            ...     logits, state = model.step(frame, state)
            >>> logits.shape, len(state)
            (torch.Size([2, 5]), 8)
        """
        modules = self._causal_modules()
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1")
        weight = next(self.backbone.parameters())
        state = tuple(
            memory
            for module in modules.values()
            for memory in module.init_state(batch, weight.dtype, weight.device)
        )
        if image_size is None:
            return state
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, width) < 1:
            raise ValueError(f"image_size={image_size} must be at least 1")
        frame = weight.new_zeros(1, self.in_chans, height, width)
        with torch.no_grad(), evaluating(self.backbone):
            _, grown = self.go_on(frame.unsqueeze(1), tuple(memory[:1] for memory in state))
        return tuple(memory.new_zeros(batch, *memory.shape[1:]) for memory in grown)

    def step(self, frame: Float[Tensor, "B C H W"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """See :meth:`interlace.models.VideoModel.step`."""
        if frame.ndim != 4:
            raise ValueError(f"a frame of a stream is (B, C, H, W), got {tuple(frame.shape)}")
        features, state = self.go_on(frame.unsqueeze(1), state)
        return self.classify_frames(features).squeeze(1), state

    def state_names(self) -> tuple[str, ...]:
        """See :meth:`interlace.models.VideoModel.state_names`."""
        return tuple(
            f"{path.removesuffix('.temporal')}.{name}"
            for path, module in self._causal_modules().items()
            for name in module.state_names()
        )

    def forward_frames(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T K"]:
        """See :meth:`interlace.models.VideoModel.forward_frames`.

        Example:
            >>> import torch, interlace
            >>> model = interlace.create_model("tin_causal_resnet18", num_classes=5)
            >>> model.forward_frames(torch.zeros(2, 3, 3, 64, 64)).shape
            torch.Size([2, 3, 5])
        """
        features, _ = self.go_on(clip, self.init_state(clip.shape[0]))
        return self.classify_frames(features)

    def go_on(self, clip: Float[Tensor, "B T C H W"], state: State) -> tuple[Float[Tensor, "B T D"], State]:
        """The pooled features of the frames that follow those of the state, and the state after them."""
        modules = list(self._causal_modules().values())
        self.check_frames(clip)
        with passing(modules, clip.shape[0], state) as passages:
            features = self.backbone(clip_to_frames(clip))
        after = tuple(memory for passage in passages for memory in passage.state)
        return frames_to_clip(features, clip.shape[1]), after

    def classify_frames(self, features: Float[Tensor, "B T D"]) -> Float[Tensor, "B T K"]:
        """Features of frames to the logits of each."""
        return self.head(self.dropout(features))

    def _causal_modules(self) -> Mapping[str, Causal]:
        if not self.streams:
            raise ValueError(self._no_stream())
        return causal_modules(self.backbone)

    def heads(self) -> list[nn.Module]:
        """The linear classifier; none where relations follow it, which were published without a rate of their own."""
        has_relations = any(True for _ in self.consensus.parameters())
        return [] if has_relations else [self.head]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Within the block the network is in evaluation mode: no batch norm learns from what it sees.

    Example:
        >>> from torch import nn
        >>> from interlace.models.classifier import evaluating
        >>> network = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU().eval())
        >>> with evaluating(network):
        ...     network[0].training
        False
        >>> [module.training for module in network]
        [True, False]
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, is_training in modes:
            module.training = is_training


def linear_head(num_features: int, num_outputs: int) -> nn.Linear:
    """A new classifier that starts near zero, as released by the authors of TSN."""
    head = nn.Linear(num_features, num_outputs)
    nn.init.normal_(head.weight, 0.0, 0.001)
    nn.init.zeros_(head.bias)
    return head
