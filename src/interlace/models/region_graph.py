"""I3D and a graph of the regions in its frames (Wang & Gupta, "Videos as Space-Time Region Graphs", ECCV 2018)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from interlace.layout import clip_to_frames, frames_to_clip
from interlace.models.i3d import I3D, OF_THE_TABLES, Form, insert_five_non_local
from interlace.models.modality import Modality
from interlace.models.plain import create_backbone, pretrained_cfg
from interlace.models.regions import DetectorProposals, GridProposals
from interlace.temporal.graph import RegionGraph
from interlace.temporal.non_local import Similarity

REDUCED_CHANNELS = 512
REGION_SIZE = 7
SAMPLES = 2
"""Points of a region's 7 x 7 cells at which the features are read, in each direction."""

Proposals = Literal["detector", "grid"]


class I3DRegionGraph(I3D):
    """Frames (B*T, C, H, W) to one feature for each clip (B, 2D): the mean of its regions, and of all of it.

    The features of the last stage are reduced to D channels. They have half of the frames: each region of the first
    and then every second frame is a node, and :class:`interlace.temporal.graph.RegionGraph` relates them.

    Args:
        network, num_segments, form: see :class:`interlace.models.i3d.I3D`.
        proposals: frames (F, C, H, W) to boxes (F, N, 4), see :mod:`interlace.models.regions`.
        channels: of a node (D).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        num_segments: int,
        form: Form,
        proposals: nn.Module,
        channels: int = REDUCED_CHANNELS,
    ) -> None:
        super().__init__(network, num_segments=num_segments, form=form)
        self.reduce = nn.Conv3d(self.head_hidden_size, channels, kernel_size=1)
        self.proposals = proposals
        self.graph = RegionGraph(channels)
        self.head_hidden_size = 2 * channels

    def forward(
        self, frames: Float[Tensor, "BT C H W"], boxes: Float[Tensor, "B T2 N 4"] | None = None
    ) -> Float[Tensor, "B D2"]:
        """Frames of clips to a feature for each.

        Args:
            frames: those of all clips.
            boxes: regions (x1, y1, x2, y2, in pixels) of the first and then every second frame of each clip;
                None lets the network propose them.

        Raises:
            ValueError: boxes of another number of clips or frames, or none at all.
        """
        x = self.reduce(self.forward_features(frames))
        boxes = self._propose(frames) if boxes is None else boxes
        if boxes.shape[:2] != (x.shape[0], x.shape[2]) or boxes.shape[3:] != (4,) or boxes.numel() == 0:
            raise ValueError(
                f"boxes of shape {tuple(boxes.shape)} do not fit {x.shape[0]} clips of {self.num_segments} frames; "
                f"needed are ({x.shape[0]}, {x.shape[2]}, boxes in a frame, 4), for every second frame"
            )
        boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
        nodes = region_features(x, boxes, frames.shape[2:])
        nodes = self.graph(nodes, boxes)
        return torch.cat([nodes.mean(1), x.mean((2, 3, 4))], 1)

    def from_image_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """As I3D has it; a detector that the file does not have gets the weights that torchvision publishes.

        One that has learned nothing is of no use beside a network that has.
        """
        in_file = any(key.startswith("proposals.") for key in state)
        if isinstance(self.proposals, DetectorProposals) and not in_file:
            self.proposals.load_published_weights()
        return super().from_image_weights(state)

    def expect(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Say how preprocessing has normalised the frames, which a detector has to undo."""
        if isinstance(self.proposals, DetectorProposals):
            self.proposals.mean, self.proposals.std = mean, std

    def _propose(self, frames: Tensor) -> Tensor:
        """Boxes (B, T2, N, 4) of every second frame: the temporal pool has made one of two."""
        shown = frames_to_clip(frames, self.num_segments)[:, ::2]
        return frames_to_clip(self.proposals(clip_to_frames(shown)), shown.shape[1])


def region_features(
    x: Float[Tensor, "B D T H W"], boxes: Float[Tensor, "B T N 4"], frame_size: tuple[int, ...]
) -> Float[Tensor, "B M D"]:
    """Features of each region, M = T*N: RoIAlign to 7 x 7, and the maximum of them.

    Args:
        x: features of clips.
        boxes: in pixels of the frames.
        frame_size: height and width of the frames.

    Example:
        >>> import torch
        >>> from interlace.models.region_graph import region_features
        >>> x = torch.zeros(1, 2, 3, 4, 4)
        >>> x[:, :, 1] = 5.0  # the second of three frames
        >>> boxes = torch.tensor([8.0, 8.0, 32.0, 32.0]).expand(1, 3, 1, 4)
        >>> region_features(x, boxes, (64, 64))[0, :, 0].tolist()
        [0.0, 5.0, 0.0]
    """
    num_clips, num_frames, num_boxes = boxes.shape[:3]
    maps = x.transpose(1, 2).flatten(0, 1)  # (B, D, T, H, W) -> (B*T, D, H, W)
    precise = torch.promote_types(x.dtype, torch.float32)
    # The sides of a map need not be the same part of the frame's: 4 columns of 50 pixels, 4 rows of 64.
    scale = boxes.new_tensor([x.shape[4] / frame_size[1], x.shape[3] / frame_size[0]]).repeat(2)
    frame = torch.arange(num_clips * num_frames, device=x.device).repeat_interleave(num_boxes)
    rois = torch.cat([frame[:, None].to(precise), (boxes * scale).reshape(-1, 4).to(precise)], 1)
    regions = roi_align(maps.to(precise), rois, REGION_SIZE, 1.0, SAMPLES, aligned=True)
    return regions.amax((2, 3)).to(x.dtype).unflatten(0, (num_clips, num_frames * num_boxes))


def i3d_gcn(
    backbone: str,
    *,
    num_segments: int = 32,
    proposals: Proposals = "detector",
    num_boxes: int = 10,
    pretrained: bool = False,
    in_chans: int = 3,
    modality: Modality = "rgb",
    **arguments: Any,
) -> I3DRegionGraph:
    """:func:`interlace.models.i3d.i3d` and its region graph.

    Args:
        backbone: timm's name of a ResNet.
        num_segments: frames in a clip (T).
        proposals: detector, for torchvision's region proposal network; grid, for the same boxes in each frame,
            without weights.
        num_boxes: regions of a frame (N); 10 as published for Something-Something.
        pretrained: timm's weights in the network and torchvision's in the detector; without, the detector
            proposes arbitrary boxes, until weights are loaded.
        in_chans: color channels of a frame.
        modality: what the frames hold; a detector wants rgb.
        arguments: timm's.

    Raises:
        ValueError: other proposals, no box, or a detector for frames that are no pictures.
        WeightsError: weights cannot be fetched.

    Example:
        >>> import torch
        >>> from interlace.models.region_graph import i3d_gcn
        >>> network = i3d_gcn("resnet18", num_segments=4, proposals="grid")
        >>> network(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 1024])
        >>> boxes = torch.tensor([0.0, 0.0, 32.0, 32.0]).expand(2, 2, 5, 4)  # 5 boxes in 2 frames of 2 clips
        >>> network(torch.zeros(8, 3, 64, 64), boxes).shape
        torch.Size([2, 1024])
    """
    network = create_backbone(
        backbone, pretrained=pretrained, in_chans=in_chans, modality=modality, **arguments
    )
    part = _proposals(proposals, num_boxes, network, in_chans=in_chans, modality=modality)
    if pretrained and isinstance(part, DetectorProposals):
        part.load_published_weights()
    return I3DRegionGraph(network, num_segments=num_segments, form=OF_THE_TABLES, proposals=part)


def i3d_nl_gcn(
    backbone: str, *, similarity: Similarity = "embedded_gaussian", **arguments: Any
) -> I3DRegionGraph:
    """:func:`i3d_gcn` with the five non-local blocks of :func:`interlace.models.i3d.i3d_nl`.

    Example:
        >>> import torch
        >>> from interlace.models.region_graph import i3d_nl_gcn
        >>> i3d_nl_gcn("resnet18", num_segments=4, proposals="grid")(torch.zeros(8, 3, 64, 64)).shape
        torch.Size([2, 1024])
    """
    return insert_five_non_local(i3d_gcn(backbone, **arguments), similarity)


def _proposals(
    name: str, num_boxes: int, network: nn.Module, *, in_chans: int, modality: Modality
) -> nn.Module:
    if num_boxes < 1:
        raise ValueError(f"num_boxes={num_boxes}; a frame needs at least 1 region")
    if name == "grid":
        return GridProposals(num_boxes)
    if name != "detector":
        raise ValueError(f"proposals {name!r} is unknown; choose detector or grid")
    if modality != "rgb" or in_chans not in (1, 3):
        raise ValueError(
            f"proposals='detector' finds objects in pictures, not in modality={modality!r} with in_chans={in_chans}; "
            "use proposals='grid'"
        )
    mean, std = (tuple(pretrained_cfg(network)[name]) for name in ("mean", "std"))
    if in_chans == 1:  # as create_model normalises gray
        mean, std = ((sum(values) / 3,) for values in (mean, std))
    return DetectorProposals(num_boxes, mean=mean, std=std)
