"""Boxes: the grid by hand, the detector against torchvision's own."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn
from torchvision.models.detection.image_list import ImageList

from interlace.models import WeightsError
from interlace.models.regions import DetectorProposals, GridProposals

F, N, H, W = 3, 5, 64, 80
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def detector() -> DetectorProposals:
    torch.manual_seed(0)
    detector = DetectorProposals(N, mean=MEAN, std=STD)
    nn.init.normal_(detector.rpn.head.bbox_pred.weight, std=0.05)  # boxes of all forms
    nn.init.normal_(detector.rpn.head.cls_logits.weight, std=0.05)
    return detector


def test_grid_by_hand():
    frames = torch.zeros(2, 1, 6, 9)
    boxes = GridProposals(10)(frames)
    assert boxes.shape == (2, 10, 4)
    assert boxes[0, 0].tolist() == [0, 0, 9, 6]
    assert boxes[1, 1].tolist() == [0, 0, 3, 2]
    assert boxes[1, 6].tolist() == [6, 2, 9, 4]  # second row, last column
    assert boxes[1, 9].tolist() == [6, 4, 9, 6]
    areas = (boxes[0, :, 2] - boxes[0, :, 0]) * (boxes[0, :, 3] - boxes[0, :, 1])
    assert areas[1:].sum() == areas[0]  # the cells are the frame


@pytest.mark.parametrize("num_boxes", [1, 2, 3, 5, 6])
def test_a_grid_has_as_many_boxes_as_asked_for(num_boxes):
    boxes = GridProposals(num_boxes)(torch.zeros(1, 3, H, W))[0]
    assert (
        len({tuple(box) for box in boxes.tolist()}) == min(num_boxes, len(boxes)) if num_boxes > 2 else True
    )
    assert boxes.shape == (num_boxes, 4)


def test_boxes_are_those_of_torchvision(detector, monkeypatch):
    """Weights as torchvision publishes them, from its own network; its own proposals."""
    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, rpn_post_nms_top_n_test=N).eval()
    for head in (theirs.rpn.head.bbox_pred, theirs.rpn.head.cls_logits):
        nn.init.normal_(head.weight, std=0.05)
    published = type(FasterRCNN_ResNet50_FPN_Weights.COCO_V1)
    monkeypatch.setattr(published, "get_state_dict", lambda _self, **_: dict(theirs.state_dict()))
    ours = DetectorProposals(N, mean=MEAN, std=STD)
    ours.load_published_weights()
    colors = torch.rand(F, 3, H, W)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    shown = torch.stack([theirs.transform.normalize(frame) for frame in colors])
    with torch.no_grad():
        wanted, _ = theirs.rpn(ImageList(shown, [(H, W)] * F), theirs.backbone(shown))
    torch.testing.assert_close(ours((colors - mean) / std), torch.stack(wanted), atol=0.05, rtol=0)


def test_boxes_lie_in_the_frame_and_repeat(detector):
    frames = torch.randn(F, 3, H, W)
    boxes = detector(frames)
    assert boxes.shape == (F, N, 4)
    assert boxes.dtype == torch.float32
    assert (boxes[..., :2] < boxes[..., 2:]).all()
    assert (boxes >= 0).all()
    assert (boxes <= torch.tensor([W, H, W, H])).all()
    assert torch.equal(detector(frames), boxes)
    assert (detector(frames.flip(0)).flip(0) - boxes).abs().max() < 0.05
    assert (boxes[0] - boxes[1]).abs().max() > 1


def test_a_frame_with_few_objects_is_filled_up():
    detector = DetectorProposals(400, mean=MEAN, std=STD)
    boxes = detector(torch.randn(2, 3, 32, 40))
    assert boxes.shape == (2, 400, 4)
    assert boxes[0, -1].tolist() == [0, 0, 40, 32]
    assert boxes[0, 0].tolist() != [0, 0, 40, 32]


def test_gray_frames_are_shown_in_all_colors(detector):
    gray = DetectorProposals(N, mean=(0.5,), std=(0.25,))
    gray.load_state_dict(detector.state_dict())
    level = torch.rand(F, 1, H, W)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(gray((level - 0.5) / 0.25), detector((level - mean) / std), atol=0.05, rtol=0)


def test_it_is_frozen(detector):
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    assert not any(parameter.requires_grad for parameter in detector.parameters())
    network = nn.Sequential(detector).train()
    assert network.training
    assert not any(module.training for module in detector.modules())
    boxes = network(torch.randn(1, 3, H, W, requires_grad=True))
    assert not boxes.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.modules())


def test_autocast_does_not_move_boxes(detector):
    frames = torch.randn(F, 3, H, W)
    wanted = detector(frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(detector(frames), wanted)


def test_weights_that_cannot_be_fetched(detector, monkeypatch):
    def fetch(_self, **_):
        raise URLError("no route to host")

    monkeypatch.setattr(type(FasterRCNN_ResNet50_FPN_Weights.COCO_V1), "get_state_dict", fetch)
    with pytest.raises(WeightsError, match=r"no route to host.*proposals='grid'"):
        detector.load_published_weights()
