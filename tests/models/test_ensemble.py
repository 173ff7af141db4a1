from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import interlace
from interlace.models import VideoModel
from interlace.models.ensemble import Ensemble, channels_in, joint_modality
from interlace.models.modality import channels_of

B, H, W, K = 2, 5, 7, 4


class Weighing(VideoModel):
    """Its logits say exactly which frames and channels it saw, and how they were normalised."""

    def __init__(
        self, num_segments: int, modality: str = "rgb", num_classes: int = K, colors: int = 3
    ) -> None:
        channels = channels_of(modality, colors)
        super().__init__(
            num_classes=num_classes,
            segments=(num_segments,),
            in_chans=channels,
            modality=modality,
            mean=tuple(0.1 * (i + 1) for i in range(channels)),
            std=tuple(0.5 + 0.1 * i for i in range(channels)),
            builder=f"{modality}{num_segments}",
            builder_args={"num_segments": num_segments},
        )
        self.head = nn.Linear(num_segments * channels, num_classes)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        self.check_clip(clip)
        return self.head(clip.mean((3, 4)).flatten(1))

    def heads(self) -> list[nn.Module]:
        return [self.head]

    def of_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return self((pixels - mean) / std)


def test_each_member_sees_its_own_frames():
    first, second = Weighing(2), Weighing(3)
    ensemble, clip = Ensemble([first, second], weights=[3, 1]), torch.rand(B, 5, 3, H, W)
    assert (ensemble.segments, ensemble.num_segments, ensemble.num_classes) == ((2, 3), 5, K)
    assert (ensemble.mean, ensemble.std) == ((0.0,) * 3, (1.0,) * 3)
    wanted = 0.75 * first.of_pixels(clip[:, :2]).softmax(1) + 0.25 * second.of_pixels(clip[:, 2:]).softmax(1)
    torch.testing.assert_close(ensemble(clip).softmax(1), wanted)


def test_members_that_share_frames_see_their_own_channels():
    rgb, flow = Weighing(3), Weighing(3, "flow")
    ensemble, clip = Ensemble([rgb, flow], average="logits", shares_frames=True), torch.rand(B, 3, 13, H, W)
    assert (ensemble.segments, ensemble.in_chans, ensemble.modality) == ((3,), 13, "rgb_flow")
    wanted = (rgb.of_pixels(clip[:, :, :3]) + flow.of_pixels(clip[:, :, 3:])) / 2
    torch.testing.assert_close(ensemble(clip), wanted)


def test_an_ensemble_of_ensembles():
    inner = [Ensemble([Weighing(2, kind), Weighing(3, kind)]) for kind in ("rgb", "flow")]
    outer, clip = Ensemble(inner, shares_frames=True), torch.rand(B, 5, 13, H, W)
    assert outer.segments == (2, 3)
    wanted = (inner[0](clip[:, :, :3]).softmax(1) + inner[1](clip[:, :, 3:]).softmax(1)) / 2
    torch.testing.assert_close(outer(clip).softmax(1), wanted)
    assert len(outer.heads()) == 4


def test_several_labels():
    members = [Weighing(1), Weighing(2)]
    clip = torch.rand(B, 3, 3, H, W)
    wanted = (members[0].of_pixels(clip[:, :1]).sigmoid() + members[1].of_pixels(clip[:, 1:]).sigmoid()) / 2
    torch.testing.assert_close(Ensemble(members, multi_label=True)(clip).sigmoid(), wanted)


def test_it_learns_in_every_member():
    ensemble = Ensemble([Weighing(1), Weighing(2)])
    assert ensemble.heads() == [member.head for member in ensemble.networks]
    loss = nn.functional.cross_entropy(ensemble(torch.rand(B, 3, 3, H, W)), torch.tensor([0, 3]))
    loss.backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in ensemble.parameters())


def test_the_normalisation_is_part_of_the_weights():
    ensemble, other = Ensemble([Weighing(1), Weighing(2)]), Ensemble([Weighing(1), Weighing(2)])
    for member in other.members:
        member.mean.zero_()
    other.load_state_dict(ensemble.state_dict())
    clip = torch.rand(B, 3, 3, H, W)
    assert torch.equal(other(clip), ensemble(clip))


def test_members_of_other_colors_or_classes_do_not_fit():
    with pytest.raises(ValueError, match="rgb1 has 4 classes and rgb2 5"):
        Ensemble([Weighing(1), Weighing(2, num_classes=5)])
    with pytest.raises(ValueError, match="rgb1 sees frames of 3 color channels and rgb_diff2 of 1"):
        Ensemble([Weighing(1), Weighing(2, "rgb_diff", colors=1)])
    with pytest.raises(ValueError, match="rgb1 sees frames of 1 color channels and rgb1 of 3"):
        Ensemble([Weighing(1, colors=1), Weighing(1)])
    with pytest.raises(ValueError, match=r"rgb2 sees clips of \(2,\) frames and rgb3 of \(3,\)"):
        Ensemble([Weighing(2), Weighing(3)], shares_frames=True)
    with pytest.raises(ValueError, match=r"multi_label=True, but ensemble, .* has multi_label=False"):
        Ensemble([Ensemble([Weighing(2)]), Weighing(3)], multi_label=True)
    with pytest.raises(ValueError, match="has no members"):
        Ensemble([])
    with pytest.raises(ValueError, match="3 weights for 2 networks"):
        Ensemble([Weighing(1), Weighing(2)], weights=[1, 2, 3])


@pytest.mark.parametrize(
    ("modalities", "colors", "wanted"),
    [
        (["rgb", "rgb"], 1, ("rgb", 1)),
        (["flow"], 3, ("flow", 10)),
        (["flow", "rgb"], 3, ("rgb_flow", 13)),
        (["flow", "rgb"], 1, ("rgb_flow", 11)),
        (["rgb_flow", "rgb"], 3, ("rgb_flow", 13)),
        (["flow", "rgb_flow"], 3, ("rgb_flow", 13)),
        (["rgb", "rgb_diff"], 3, ("rgb_diff", 18)),
    ],
)
def test_what_a_clip_holds_for_all(modalities, colors, wanted):
    assert joint_modality([Weighing(1, kind, colors=colors) for kind in modalities]) == wanted


def test_no_clip_holds_differences_and_flow():
    with pytest.raises(ValueError, match="flow and rgb_diff cannot form an ensemble"):
        Ensemble([Weighing(1, "flow"), Weighing(1, "rgb_diff")])


def test_channels_of_a_member():
    clip = torch.arange(13)
    assert clip[channels_in("flow", 10, 13)].tolist() == list(range(3, 13))
    assert clip[channels_in("rgb", 3, 13)].tolist() == [0, 1, 2]
    assert clip[channels_in("rgb_flow", 13, 13)].tolist() == list(range(13))


def test_wrong_clips_are_named():
    ensemble = Ensemble([Weighing(2), Weighing(3)])
    with pytest.raises(ValueError, match="4 frames, the network num_segments=5"):
        ensemble(torch.zeros(B, 4, 3, H, W))
    with pytest.raises(ValueError, match="1 channels, the network in_chans=3"):
        ensemble(torch.zeros(B, 5, 1, H, W))


def test_bf16_is_fused_in_float32():
    ensemble = interlace.create_model(
        "tsm_en_resnet18", num_classes=K, num_segments=6, zero_init_last=False
    ).eval()
    clip = torch.rand(B, 6, 3, 32, 32)
    with torch.no_grad():
        wanted = ensemble(clip)
        with torch.autocast("cpu", torch.bfloat16):
            out = ensemble(clip)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, wanted, atol=0.02, rtol=0)


def test_it_compiles_as_one_graph():
    """In a process of its own, as the shape checks of the test run cannot be compiled."""
    code = """
import torch
from torch import nn
from interlace.models.ensemble import Ensemble
from interlace.models.model import VideoModel
torch.manual_seed(0)

class Mean(VideoModel):
    def __init__(self, num_segments, modality, channels):
        super().__init__(num_classes=3, segments=(num_segments,), in_chans=channels, modality=modality,
                         mean=(0.5,) * channels, std=(2.0,) * channels, builder="mean", builder_args={})
        self.head = nn.Linear(channels, 3)

    def forward(self, clip):
        self.check_clip(clip)
        return self.head(clip.mean((1, 3, 4)))

ensemble = Ensemble([Ensemble([Mean(2, "rgb", 3)]), Mean(3, "flow", 10)], weights=[1, 0])
clip = torch.rand(2, 5, 13, 5, 7)
for ensemble.multi_label in (False, True):
    compiled = torch.compile(ensemble, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(clip), ensemble(clip))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
