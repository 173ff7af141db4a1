"""Mixup and cutmix of clips."""

from __future__ import annotations

import random

import torch

from interlace.training.mixing import mix_clips, random_box


def constant_clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Clip i is i everywhere and of class i, so that a mixed clip tells what it is made of."""
    clip = torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 4, 2, 10, 12).clone()
    return clip, torch.eye(3)


def test_off_changes_nothing():
    clip, target = constant_clips()
    mixed, soft = mix_clips(clip, target, random.Random(0), mixup=0.0, cutmix=0.0)
    assert mixed is clip
    assert soft is target


def test_mixup_targets_say_what_the_pixels_are():
    clip, target = constant_clips()
    mixed, soft = mix_clips(clip, target, random.Random(1), mixup=1.0, cutmix=0.0)
    assert not torch.equal(soft, target)
    torch.testing.assert_close(mixed.mean((1, 2, 3, 4)), soft @ torch.arange(3.0))
    torch.testing.assert_close(soft.sum(1), torch.ones(3))


def test_cutmix_box_is_at_one_place_on_all_frames():
    clip, target = constant_clips()
    for seed in range(20):
        mixed, soft = mix_clips(clip, target, random.Random(seed), mixup=0.0, cutmix=1.0)
        assert torch.equal(mixed, mixed[:, :1, :1].expand_as(mixed))
        torch.testing.assert_close(mixed.mean((1, 2, 3, 4)), soft @ torch.arange(3.0))
    assert torch.equal(clip, constant_clips()[0])  # the batch itself is left alone


def test_repeats_with_the_generator():
    clip, target = constant_clips()
    first, second = (mix_clips(clip, target, random.Random(5), mixup=0.4, cutmix=1.0)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_boxes_lie_inside_the_picture_and_have_the_area():
    rng = random.Random(0)
    areas = []
    for _ in range(300):
        top, bottom, left, right = random_box((40, 60), 0.25, rng)
        assert 0 <= top <= bottom <= 40
        assert 0 <= left <= right <= 60
        areas.append((bottom - top) * (right - left) / 2400)
    assert max(areas) == 0.25  # 20 x 30 where no edge cuts it off
