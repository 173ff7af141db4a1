"""Where to look in a frame: boxes from a detector, or a fixed grid of them.

A part that proposes regions maps frames (F, C, H, W), as the network sees them, to boxes (F, N, 4): x1, y1, x2, y2
in pixels of the frames.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import FrozenBatchNorm2d

from interlace.models.plain import WeightsError, first_line

# As torchvision trained its detector.
ANCHOR_SIZES = ((32,), (64,), (128,), (256,), (512,))
ASPECT_RATIOS = ((0.5, 1.0, 2.0),)
CANDIDATES_PER_LEVEL = 1000
OVERLAP_OF_DUPLICATES = 0.7
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class GridProposals(nn.Module):
    """The same boxes in every frame: the whole of it, then the cells of the smallest square grid that has enough.

    Args:
        num_boxes: boxes in a frame (N); 10 are the frame and the cells of a 3 x 3 grid.

    Example:
        >>> import torch
        >>> from interlace.models.regions import GridProposals
        >>> GridProposals(3)(torch.zeros(1, 3, 6, 8))[0]
        tensor([[0., 0., 8., 6.],
                [0., 0., 4., 3.],
                [4., 0., 8., 3.]])
    """

    def __init__(self, num_boxes: int) -> None:
        super().__init__()
        self.num_boxes = num_boxes

    def forward(self, frames: Float[Tensor, "F C H W"]) -> Float[Tensor, "F N 4"]:
        """Frames, of which only the size matters, to boxes."""
        height, width = frames.shape[-2:]
        cells = max(1, math.ceil(math.sqrt(self.num_boxes - 1)))
        relative = [(0.0, 0.0, 1.0, 1.0)] + [
            (x / cells, y / cells, (x + 1) / cells, (y + 1) / cells)
            for y in range(cells)
            for x in range(cells)
        ]
        size = torch.tensor([width, height, width, height], device=frames.device, dtype=torch.float32)
        boxes = torch.tensor(relative[: self.num_boxes], device=frames.device, dtype=torch.float32) * size
        return boxes.expand(frames.shape[0], -1, -1)


class DetectorProposals(nn.Module):
    """The boxes that the region proposal network of torchvision's Faster R-CNN (ResNet-50, FPN) holds to be objects.

    It is of no class, frozen, always in eval mode, and computes in the precision of its weights without autocast.
    Frames go through it at the size they have. Frames with fewer boxes than asked for are filled up with the whole
    frame. Without weights it proposes arbitrary boxes.

    Its weights are saved with the network, so that a checkpoint is enough to use it. The choice of boxes depends on
    data, so the compiler leaves it out (a break in the graph; nothing with it can be exported).

    Args:
        num_boxes: boxes in a frame (N).
        mean: what preprocessing has subtracted from the frames, of RGB or gray values in 0..1.
        std: and what it has divided by.

    Example:
        >>> import torch
        >>> from interlace.models.regions import DetectorProposals
        >>> detector = DetectorProposals(2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        >>> detector(torch.zeros(3, 3, 64, 64)).shape
        torch.Size([3, 2, 4])
    """

    def __init__(self, num_boxes: int, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.num_boxes = num_boxes
        self.mean, self.std = mean, std
        # The published weights want batch norms without an epsilon.
        norm = partial(FrozenBatchNorm2d, eps=0.0)
        self.backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm)
        anchors = AnchorGenerator(ANCHOR_SIZES, ASPECT_RATIOS * len(ANCHOR_SIZES))
        candidates = {"training": CANDIDATES_PER_LEVEL, "testing": CANDIDATES_PER_LEVEL}
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(self.backbone.out_channels, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,  # this and the next two matter in the detector's own training only
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n=candidates,
            post_nms_top_n={"training": num_boxes, "testing": num_boxes},
            nms_thresh=OVERLAP_OF_DUPLICATES,
        )
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> DetectorProposals:  # noqa: ARG002 - it never trains
        """Stays in eval mode."""
        return super().train(False)

    @torch.compiler.disable
    @torch.no_grad()
    def forward(self, frames: Float[Tensor, "F C H W"]) -> Float[Tensor, "F N 4"]:
        """Normalised frames to the boxes most likely to hold an object, the likeliest first."""
        images = self._as_it_was_trained(frames)
        features, objectness, deltas = self._look(images)
        if frames.is_meta:  # for counting; there is nothing to choose by
            return _whole_frames(frames, self.num_boxes)
        # Boxes want float32 whatever the weights are: bfloat16 knows whole pixels up to 256 only.
        objectness, deltas, features = ([x.float() for x in maps] for maps in (objectness, deltas, features))
        size = (frames.shape[2], frames.shape[3])
        shown = ImageList(images, [size] * len(frames))
        anchors = self.rpn.anchor_generator(shown, features)
        per_level = [level[0].numel() for level in objectness]
        scores, offsets = concat_box_prediction_layers(objectness, deltas)
        boxes = self.rpn.box_coder.decode(offsets, anchors).view(len(frames), -1, 4)
        chosen, _ = self.rpn.filter_proposals(boxes, scores, shown.image_sizes, per_level)
        fill = _whole_frames(frames, self.num_boxes)
        return torch.stack(
            [torch.cat([few, whole])[: self.num_boxes] for few, whole in zip(chosen, fill, strict=True)]
        )

    def load_published_weights(self) -> None:
        """Take over the weights that torchvision publishes, trained on COCO; torch keeps the file.

        Raises:
            WeightsError: they cannot be fetched.
        """
        published = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
        parts = ("backbone.", "rpn.")  # its heads name objects and refine boxes; they are not needed
        try:
            state = published.get_state_dict(progress=False, check_hash=True)
            self.load_state_dict({key: value for key, value in state.items() if key.startswith(parts)})
        except Exception as error:  # no connection, a full disk, a damaged file
            raise WeightsError(
                f"the weights of torchvision's detector could not be fetched from {published.url} "
                f"({type(error).__name__}: {first_line(error)}); use proposals='grid', or pretrained=False for a "
                "detector that has learned nothing"
            ) from error

    def _look(self, images: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Features of each level, how much each anchor holds an object, and where its box should be."""
        # Autocast does not know the meta device, on which nothing is computed anyway.
        plain = nullcontext() if images.is_meta else torch.autocast(images.device.type, enabled=False)
        with plain:
            features = list(self.backbone(images).values())
            return (features, *self.rpn.head(features))

    def _as_it_was_trained(self, frames: Tensor) -> Tensor:
        """Frames as torchvision's detector has seen them: RGB with its own mean and deviation, in its precision."""
        colors = frames.float() * _per_channel(self.std, frames) + _per_channel(self.mean, frames)
        images = (colors.expand(-1, 3, -1, -1) - _per_channel(MEAN, frames)) / _per_channel(STD, frames)
        return images.to(self.rpn.head.cls_logits.weight.dtype)


def _whole_frames(frames: Tensor, num_boxes: int) -> Tensor:
    height, width = frames.shape[-2:]
    box = torch.tensor([0, 0, width, height], device=frames.device, dtype=torch.float32)
    return box.expand(len(frames), num_boxes, 4)


def _per_channel(values: tuple[float, ...], frames: Tensor) -> Tensor:
    return torch.tensor(values, device=frames.device).view(-1, 1, 1)
