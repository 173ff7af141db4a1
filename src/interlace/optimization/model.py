"""The network that `optimize` returns: clips to logits, and nothing but that."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames
from interlace.models import VideoClassifier, VideoModel
from interlace.models.ensemble import Ensemble, Member
from interlace.optimization.agreement import Agreement
from interlace.temporal.stream import State


class OptimizedModel(nn.Module):
    """An inference-only network; logits are float32 whatever it computes in.

    Attributes: ``dtype`` of the backbone, ``is_compiled``, ``agreement`` with the network it was made of (None if
    that was not measured), and ``num_segments``, ``num_classes``, ``in_chans``, ``modality``, ``mean``, ``std`` as
    there.

    Made by :func:`interlace.optimize`.
    """

    def __init__(self, model: VideoModel, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.is_compiled = False
        self.agreement: Agreement | None = None
        self.num_segments, self.num_classes = model.num_segments, model.num_classes
        self.in_chans, self.modality = model.in_chans, model.modality
        self.mean, self.std = model.mean, model.std
        super().train(False)

    @torch.inference_mode()
    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits.

        Raises:
            ValueError: the clip has another number of frames or channels than the network was built for.
        """
        with torch.autocast(clip.device.type, enabled=False), self._freezing():
            return self._logits(self.model, clip)

    @property
    def streams(self) -> bool:
        """Whether frames may come one by one, as those of the network that it was made of."""
        return self.model.streams

    def init_state(self, batch: int, image_size: int | tuple[int, int] | None = None) -> State:
        """See :meth:`interlace.models.VideoModel.init_state`."""
        return self.model.init_state(batch, image_size)

    def state_names(self) -> tuple[str, ...]:
        """See :meth:`interlace.models.VideoModel.state_names`."""
        return self.model.state_names()

    @torch.inference_mode()
    def step(self, frame: Float[Tensor, "B C H W"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """See :meth:`interlace.models.VideoModel.step`."""
        if frame.ndim != 4:
            raise ValueError(f"a frame of a stream is (B, C, H, W), got {tuple(frame.shape)}")
        logits, state = self._go_on(frame.unsqueeze(1), state)
        return logits.squeeze(1), state

    @torch.inference_mode()
    def forward_frames(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T K"]:
        """See :meth:`interlace.models.VideoModel.forward_frames`."""
        return self._go_on(clip, self.init_state(clip.shape[0]))[0]

    def compile_backbone(self) -> None:
        """Have torch.compile write the backbones; it does so at the next call."""
        on_cpu = not next(self.model.parameters()).is_cuda
        for network in classifiers(self.model):
            network.backbone.compile(dynamic=False if on_cpu else None)
        self.is_compiled = True

    def train(self, mode: bool = True) -> OptimizedModel:
        """Evaluation mode is the only one."""
        if mode:
            raise ValueError("an optimized network is for inference only; train the one that it was made of")
        return super().train(False)

    @property
    def builder(self) -> str:
        """There is none: what was folded cannot be built anew."""
        raise ValueError(
            "an optimized network cannot be rebuilt; change the one that it was made of "
            "(interlace.models.with_num_segments(model, ...)), then interlace.optimize it"
        )

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.dtype}{', compiled' if self.is_compiled else ''}"

    def _logits(self, model: VideoModel, clip: Tensor) -> Tensor:
        """The backbone in its dtype, what comes before and after in float32; each member of an ensemble likewise."""
        if isinstance(model, Ensemble):
            model.check_clip(clip)
            members = cast(Iterable[Member], model.members)
            return model.fuse([self._logits(member.model, member.own_clip(clip)) for member in members])
        network = cast(VideoClassifier, model)
        features = self._features(network, self._in_channels_last(clip))
        return network.forward_head(features.float())

    def _go_on(self, clip: Tensor, state: State) -> tuple[Tensor, State]:
        """The backbone in its dtype, the classifier in float32."""
        if not self.streams:
            self.model.state_names()  # says why not
        self.model.check_frames(clip)
        network = cast(VideoClassifier, self.model)
        # Without freezing, which would take each state for a constant and compile anew for every frame.
        with torch.autocast(clip.device.type, enabled=False):
            features, state = network.go_on(self._in_channels_last(clip), state)
        return network.classify_frames(features.float()), state

    def _in_channels_last(self, clip: Tensor) -> Tensor:
        frames = clip_to_frames(clip).to(self.dtype, memory_format=torch.channels_last)
        return frames.unflatten(0, clip.shape[:2])

    def _features(self, network: VideoClassifier, clip: Tensor) -> Tensor:
        """On the CPU a compiled network sees one clip at a time: another batch size would be compiled for minutes."""
        if not self.is_compiled or clip.is_cuda:
            return network.forward_features(clip)
        return torch.cat([network.forward_features(part) for part in clip.split(1)])

    def _freezing(self) -> AbstractContextManager[Any]:
        """Lets inductor pack the weights, whenever it compiles for another size of frames."""
        if not self.is_compiled or next(self.model.parameters()).is_cuda:
            return nullcontext()
        from torch._inductor import config  # loaded by the compiler anyway, and only then

        return cast(AbstractContextManager[Any], config.patch(freezing=True))


def classifiers(model: VideoModel) -> list[VideoClassifier]:
    """The network, or those of an ensemble.

    Example:
        >>> import interlace
        >>> from interlace.optimization.model import classifiers
        >>> ensemble = interlace.create_model("tin_en_resnet18", num_classes=5, num_segments=6)
        >>> [network.num_segments for network in classifiers(ensemble)]
        [2, 4]
    """
    return [network for network in model.modules() if isinstance(network, VideoClassifier)]
