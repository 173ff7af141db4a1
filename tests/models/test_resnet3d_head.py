from __future__ import annotations

import torch

from interlace.models.resnet3d_head import Residual3d, ResNet3dHead


def test_time_and_the_picture_are_halved_twice():
    with torch.device("meta"):
        head = ResNet3dHead(96)
        x = head.res3b(head.res3a(torch.empty(2, 96, 16, 28, 28)))
        y = head.res4b(head.res4a(x))
        z = head.res5b(head.res5a(y))
    assert [tuple(maps.shape[1:]) for maps in (x, y, z)] == [
        (128, 16, 28, 28),
        (256, 8, 14, 14),
        (512, 4, 7, 7),
    ]


@torch.no_grad()
def test_without_its_branch_a_block_is_its_shortcut():
    x = torch.randn(2, 8, 4, 5, 7)
    plain, strided = Residual3d(8, 8).eval(), Residual3d(8, 6, stride=2).eval()
    for block in (plain, strided):
        block.norm1.running_mean.fill_(0.5)
        block.conv2.weight.zero_()
    assert torch.equal(plain(x), x)
    activated = ((x - 0.5) / (1 + 1e-5) ** 0.5).relu()
    torch.testing.assert_close(strided(x), strided.down(activated))


@torch.no_grad()
def test_the_branch_sees_the_frames_beside_its_own():
    """Two convolutions of three frames: a change of frame 3 is seen from 1 to 5."""
    block = Residual3d(8, 8).eval()
    x = torch.randn(1, 8, 7, 5, 5)
    changed = x.clone()
    changed[:, :, 3] += 1
    seen = (block(changed) - block(x)).abs().amax((0, 1, 3, 4)) > 0
    assert seen.tolist() == [False, True, True, True, True, True, False]
