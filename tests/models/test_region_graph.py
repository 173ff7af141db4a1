"""I3D and region graph: where features are read, what goes together, and what learns."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

import interlace
from interlace.benchmark import count_macs, count_parameters
from interlace.models import WeightsError
from interlace.models.i3d import i3d
from interlace.models.region_graph import i3d_gcn, i3d_nl_gcn, region_features
from interlace.models.regions import DetectorProposals

B, T, N, H, W = 2, 5, 3, 48, 64
T2 = 3  # frames 0, 2, 4


class Recorder(nn.Module):
    """Proposes the same boxes, and remembers what it was shown."""

    def __init__(self, boxes: torch.Tensor) -> None:
        super().__init__()
        self.boxes = boxes
        self.shown = None

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        self.shown = frames
        return self.boxes.expand(len(frames), -1, -1)


def some_boxes() -> torch.Tensor:
    corner = torch.rand(B, T2, N, 2) * torch.tensor([W / 2, H / 2])
    return torch.cat([corner, corner + 10 + 10 * torch.rand(B, T2, N, 2)], -1)


def test_a_region_of_a_constant_map_is_the_constant():
    """Each clip and each frame has its own; a box may lie anywhere in it."""
    value = torch.arange(B)[:, None] * 10.0 + torch.arange(T2)
    x = value[:, None, :, None, None].expand(B, 4, T2, 3, 5)
    nodes = region_features(x, some_boxes(), (H, W))
    wanted = value[:, :, None, None].expand(B, T2, N, 4).flatten(1, 2)
    torch.testing.assert_close(nodes, wanted)


def test_a_region_reads_its_place():
    """One bright cell, in row 2 and column 5 of 4 x 8: 16 pixels high and 8 wide."""
    x = torch.zeros(1, 1, 1, 4, 8)
    x[..., 2, 5] = 1.0
    on = [40.0, 32, 48, 48]
    boxes = torch.tensor([[[on, [0.0, 0, 24, 64], [8.0, 0, 64, 16], [0.0, 0, 64, 64]]]])
    near, left, above, whole = region_features(x, boxes, (64, 64))[0, :, 0].tolist()
    assert near > 0.8
    assert left == above == 0
    assert 0.5 < whole < 1


def test_columns_and_rows_are_not_confused():
    x = torch.arange(8.0).expand(1, 1, 1, 4, 8)  # grows from left to right
    left = torch.tensor([0.0, 0, 16, 64]).expand(1, 1, 1, 4)
    assert region_features(x, left, (64, 64)).item() < 2
    top = torch.tensor([0.0, 0, 64, 16]).expand(1, 1, 1, 4)
    assert region_features(x, top, (64, 64)).item() > 6


def test_the_feature_is_the_mean_of_the_regions_and_of_the_clip():
    network = i3d_gcn("resnet18", num_segments=T, proposals="grid").eval()
    frames, boxes = torch.randn(B * T, 3, H, W), some_boxes()
    with torch.no_grad():
        x = network.reduce(network.forward_features(frames))
        nodes = network.graph(region_features(x, boxes, (H, W)), boxes)
        out = network(frames, boxes)
    assert nodes.shape == (B, T2 * N, 512)
    torch.testing.assert_close(out[:, :512], nodes.mean(1))
    torch.testing.assert_close(out[:, 512:], x.mean((2, 3, 4)))


def test_every_second_frame_is_shown_and_given_boxes_are_taken():
    network = i3d_gcn("resnet18", num_segments=T, proposals="grid").eval()
    network.proposals = Recorder(torch.tensor([[4.0, 6, 20, 30], [9, 9, 60, 40]]))
    frames = torch.randn(B * T, 3, H, W)
    with torch.no_grad():
        proposed = network(frames)
        assert torch.equal(network.proposals.shown, frames[[0, 2, 4, 5, 7, 9]])
        given = network(frames, network.proposals.boxes.expand(B, T2, 2, 4))
        other = network(frames, network.proposals.boxes.expand(B, T2, 2, 4) / 2)
    assert torch.equal(proposed, given)
    assert (other - given)[:, :512].abs().max() > 1e-3
    assert torch.equal(other[:, 512:], given[:, 512:])


def test_boxes_that_do_not_fit():
    network = i3d_gcn("resnet18", num_segments=T, proposals="grid")
    frames = torch.randn(B * T, 3, H, W)
    with pytest.raises(
        ValueError, match=r"\(2, 5, 3, 4\) do not fit 2 clips of 5 frames; needed are \(2, 3,"
    ):
        network(frames, torch.zeros(B, T, N, 4))


def test_boxes_may_be_whole_numbers():
    network = i3d_gcn("resnet18", num_segments=T, proposals="grid").eval()
    frames, boxes = torch.randn(B * T, 3, H, W), some_boxes().round()
    with torch.no_grad():
        whole = inspect.unwrap(type(network).forward)(network, frames, boxes.long())
        assert torch.equal(whole, network(frames, boxes))


def test_a_file_without_a_detector_brings_the_published_one(tmp_path, monkeypatch):
    """That of an I3D; where the published weights cannot be fetched, this is an error."""
    file = tmp_path / "i3d.safetensors"
    save_file(i3d("resnet18", num_segments=2).state_dict(), file)
    published = DetectorProposals(N, mean=(0.5,), std=(0.5,)).state_dict()
    published_weights = type(FasterRCNN_ResNet50_FPN_Weights.COCO_V1)
    build = partial(
        interlace.create_model, "i3d_gcn_resnet18", num_classes=3, num_segments=2, pretrained=file
    )
    monkeypatch.setattr(published_weights, "get_state_dict", lambda _self, **_: dict(published))
    detector = build().backbone.proposals
    assert all(torch.equal(value, published[key]) for key, value in detector.state_dict().items())
    monkeypatch.setattr(
        published_weights, "get_state_dict", lambda _self, **_: {"backbone.fc": torch.zeros(1)}
    )
    with pytest.raises(WeightsError, match=r"torchvision's detector.*use proposals='grid'"):
        build()
    assert build(proposals="grid").backbone.own_keys()


def test_all_but_the_detector_learns_and_all_is_saved():
    """With non-local blocks, which begin at zero: their norms learn at once, what is behind them later."""
    torch.manual_seed(3)
    network = i3d_nl_gcn("resnet18", num_segments=4, num_boxes=N, zero_init_last=False)
    frames = torch.randn(B * 4, 3, H, W)
    network.train()(frames).square().sum().backward()
    for name, parameter in network.named_parameters():
        if name.startswith("proposals."):
            assert parameter.grad is None, name
        elif "non_local" in name and not name.endswith("norm.weight"):
            assert parameter.grad is not None, name
        else:
            assert parameter.grad.abs().sum() > 0, name
    torch.manual_seed(4)
    other = i3d_nl_gcn("resnet18", num_segments=4, num_boxes=N)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(frames), network.eval()(frames))
    new = {key.split(".")[0] for key in network.own_keys() if "non_local" not in key}
    assert new == {"graph", "proposals", "reduce"}


def test_flow_and_gray():
    for arguments, channels in (({"modality": "flow"}, 10), ({"in_chans": 1}, 1)):
        network = i3d_gcn("resnet18", num_segments=2, proposals="grid", **arguments)
        assert network(torch.randn(4, channels, 33, 47)).shape == (2, 1024)
    network = i3d_gcn("resnet18", num_segments=2, num_boxes=2, in_chans=1)
    assert network.proposals.mean == pytest.approx((0.449,), abs=1e-3)  # of ImageNet, as create_model has it
    assert network(torch.randn(4, 1, 33, 47)).shape == (2, 1024)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_boxes": 0}, "num_boxes=0"),
        ({"modality": "flow"}, "modality='flow'.*use proposals='grid'"),
        ({"in_chans": 4}, "in_chans=4; use proposals='grid'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        interlace.create_model("i3d_gcn_resnet18", num_classes=3, **arguments)


def test_proposals_that_it_does_not_know():
    with pytest.raises(ValueError, match="'boxes' is unknown; choose detector or grid"):
        inspect.unwrap(i3d_gcn)("resnet18", proposals="boxes")


@pytest.mark.parametrize(
    ("name", "proposals", "params", "macs"),
    [
        ("i3d_gcn_resnet50", "grid", 31.34, 156.4),
        ("i3d_gcn_resnet50", "detector", 58.73, 306.9),
        ("i3d_nl_gcn_resnet50", "detector", 66.09, 387.6),  # the tables have 62.2 and 303
    ],
)
def test_costs(name, proposals, params, macs):
    with torch.device("meta"):
        model = interlace.create_model(name, num_classes=174, proposals=proposals)
    assert count_parameters(model) / 1e6 == pytest.approx(params, rel=0.001)
    assert count_macs(model, (1, 32, 3, 224, 224)) / 1e9 == pytest.approx(macs, rel=0.001)


@pytest.mark.parametrize("proposals", ["grid", pytest.param("detector", marks=pytest.mark.slow)])
def test_compiles_in_bfloat16(proposals):
    """As one graph with a grid, with a break for the detector; in a process of its own (see test_i3d)."""
    code = f"""
import torch, interlace
torch.manual_seed(0)
clip = torch.randn(1, 3, 3, 32, 32)
small = {{"layers": (1, 1, 1, 1), "num_boxes": 2, "zero_init_last": False}}
model = interlace.create_model(
    "i3d_gcn_resnet18", num_classes=3, num_segments=3, proposals={proposals!r}, **small
)
torch.nn.init.normal_(model.eval().head.weight)
compiled = torch.compile(model, fullgraph={proposals == "grid"}, backend="aot_eager")
with torch.no_grad():
    wanted = model(clip)
    with torch.autocast("cpu", torch.bfloat16):
        out = compiled(clip)
torch.testing.assert_close(out.float(), wanted, atol=0.05 * wanted.abs().max().item(), rtol=0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_detector_undoes_the_normalisation_that_the_model_asks_for():
    told = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
    with torch.device("meta"):
        model = interlace.create_model("i3d_gcn_resnet18", num_classes=3, num_segments=4, **told)
    detector = model.backbone.proposals
    assert (detector.mean, detector.std) == (told["mean"], told["std"])
