"""Several networks as one: each sees its own frames and channels of the clip, and what they say is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.models.fusion import Average, checked_weights, fuse
from interlace.models.modality import FLOW_LENGTH, Modality
from interlace.models.model import VideoModel

OF_FLOW = 2 * FLOW_LENGTH


class Member(nn.Module):
    """A network of an ensemble with what it sees of the clip, normalised as it was trained.

    The mean and the deviation are part of the weights, so that a checkpoint keeps them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: VideoModel, frames: slice, channels: slice) -> None:
        super().__init__()
        self.model = model
        self.frames = frames
        self.channels = channels
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(model, name))[:, None, None])

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """The ensemble's clips, pixels in 0..1, to this network's logits."""
        return self.model(self.own_clip(clip))

    def own_clip(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T2 C2 H W"]:
        """What this network sees, normalised."""
        return (clip[:, self.frames, self.channels] - self.mean) / self.std


class Ensemble(VideoModel):
    """Networks with the same classes; a clip is the members' clips, one after the other.

    The parts of a clip are those of the members: TIN of 8 and 16 frames sees 24 frames, ``segments`` is (8, 16).
    Where all see the same frames (two streams), the clip holds them once. Pixels come in 0..1 (``mean`` is 0,
    ``std`` is 1); each member applies its own. The softmax of the output is the mean of the members' exactly.

    Args:
        members: the networks, ensembles among them. They see rgb and flow in any mixture, or rgb and rgb_diff (the
            first of its 6 frames is the rgb).
        weights: of each member; by default all count the same.
        average: probabilities, or logits; see :func:`interlace.models.fusion.fuse`.
        multi_label: a clip can have several labels: a probability is a sigmoid.
        shares_frames: the members see the same frames, with their own channels.

    Raises:
        ValueError: members with other classes, colors or frames than fit together, or weights that do not fit them.

    Example:
        >>> import torch, interlace
        >>> from interlace.models.ensemble import Ensemble
        >>> members = [interlace.create_model("tsm_resnet18", num_classes=5, num_segments=T) for T in (2, 4)]
        >>> ensemble = Ensemble(members, weights=[1, 2])
        >>> ensemble.segments, ensemble(torch.zeros(3, 6, 3, 64, 64)).shape
        ((2, 4), torch.Size([3, 5]))
    """

    def __init__(
        self,
        members: Sequence[VideoModel],
        *,
        weights: Sequence[float | int] | None = None,
        average: Average = "probabilities",
        multi_label: bool = False,
        shares_frames: bool = False,
    ) -> None:
        _check_members(members, average, multi_label, shares_frames)
        modality, in_chans = joint_modality(members)
        segments = tuple(number for member in members for number in member.segments)
        super().__init__(
            num_classes=members[0].num_classes,
            segments=members[0].segments if shares_frames else segments,
            in_chans=in_chans,
            modality=modality,
            mean=(0.0,) * in_chans,
            std=(1.0,) * in_chans,
            builder="ensemble",
            builder_args={},
        )
        self.weights = checked_weights(weights, len(members))
        self.average: Average = average
        self.multi_label = multi_label
        first = 0
        parts = []
        for member in members:
            parts.append(
                Member(
                    member,
                    slice(first, first + member.num_segments),
                    channels_in(member.modality, member.in_chans, in_chans),
                )
            )
            first += 0 if shares_frames else member.num_segments
        self.members = nn.ModuleList(parts)
        self.describe_as(
            "ensemble",
            {
                "num_classes": self.num_classes,
                "num_segments": self.num_segments,
                "members": [{"model": one.builder, "model_args": one.builder_args} for one in members],
                "shares_frames": shares_frames,
            },
        )

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits.

        Raises:
            ValueError: the clip has another number of frames or channels than the members together.
        """
        self.check_clip(clip)
        return self.fuse([member(clip) for member in self.members])

    def fuse(self, logits: Sequence[Float[Tensor, "B K"]]) -> Float[Tensor, "B K"]:
        """Those of the members to those of the ensemble."""
        return fuse(logits, self.weights, average=self.average, multi_label=self.multi_label)

    def heads(self) -> list[nn.Module]:
        """Those of the members."""
        return [head for network in self.networks for head in network.heads()]

    def describe_as(self, builder: str, arguments: dict[str, Any]) -> None:
        """Have `create_model` build it under a name of its own; how the members are averaged is added here."""
        self.builder = builder
        self.builder_args = {
            **arguments,
            "weights": self.weights,
            "average": self.average,
            "multi_label": self.multi_label,
        }

    @property
    def networks(self) -> list[VideoModel]:
        """The members themselves."""
        return [member.model for member in self.members]  # type: ignore[misc]


def joint_modality(members: Sequence[VideoModel]) -> tuple[Modality, int]:
    """What a clip holds in which each member finds its channels, and how many they are.

    Example:
        >>> import interlace
        >>> from interlace.models.ensemble import joint_modality
        >>> joint_modality([interlace.create_model("tsn_resnet18", num_classes=5)])
        ('rgb', 3)
    """
    channels = {member.modality: member.in_chans for member in members}
    if len(channels) == 1:
        return members[0].modality, members[0].in_chans
    if "rgb_diff" not in channels:
        return "rgb_flow", channels["rgb"] + OF_FLOW if "rgb" in channels else channels["rgb_flow"]
    if channels.keys() == {"rgb", "rgb_diff"}:
        return "rgb_diff", channels["rgb_diff"]
    raise ValueError(
        f"members that see {' and '.join(sorted(channels))} cannot form an ensemble: no clip holds frame "
        "differences and flow"
    )


def channels_in(modality: Modality, own: int, all_channels: int) -> slice:
    """Which channels of a clip are those of a member: flow stands last, colors first.

    Example:
        >>> from interlace.models.ensemble import channels_in
        >>> channels_in("flow", 10, 13), channels_in("rgb", 3, 13)
        (slice(3, 13, None), slice(0, 3, None))
    """
    return slice(all_channels - own, all_channels) if modality == "flow" else slice(0, own)


def _check_members(
    members: Sequence[VideoModel], average: Average, multi_label: bool, shares_frames: bool
) -> None:
    if not members:
        raise ValueError("an ensemble has no members; give at least one network")
    if average not in ("probabilities", "logits"):
        raise ValueError(f"average={average!r}; choose 'probabilities' or 'logits'")
    first = members[0]
    for member in members[1:]:
        if member.num_classes != first.num_classes:
            raise ValueError(
                f"{first.builder} has {first.num_classes} classes and {member.builder} {member.num_classes}; "
                "the members of an ensemble have the same"
            )
        if shares_frames and member.segments != first.segments:
            raise ValueError(
                f"{first.builder} sees clips of {first.segments} frames and {member.builder} of "
                f"{member.segments}; members that share frames see as many"
            )
    for member in members:
        if isinstance(member, Ensemble) and member.multi_label != multi_label:
            raise ValueError(
                f"multi_label={multi_label}, but {member.builder}, which is an ensemble itself, has "
                f"multi_label={member.multi_label}; give both the same"
            )
    _check_colors(members)


def _check_colors(members: Sequence[VideoModel]) -> None:
    seen = [(_colors(member), member.builder) for member in members if member.modality != "flow"]
    for count, builder in seen:
        if count != seen[0][0]:
            raise ValueError(
                f"{seen[0][1]} sees frames of {seen[0][0]} color channels and {builder} of {count}; "
                "the members of an ensemble see the same"
            )


def _colors(member: VideoModel) -> int:
    """Color channels of a frame: 3, or 1 where videos are read as gray."""
    if member.modality == "rgb_diff":
        return member.in_chans // (FLOW_LENGTH + 1)
    return member.in_chans - OF_FLOW if member.modality == "rgb_flow" else member.in_chans
