from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.dataset import TrainDataset
from interlace.data.flow import (
    FLOW_METHODS,
    NO_MOTION,
    flow_algorithm,
    optical_flow,
    to_bytes,
    to_pixels,
)
from interlace.data.sampling import SegmentSampling
from interlace.data.video import VideoError


def gray(folder, number):
    return np.asarray(Image.open(folder / f"img_{number:05d}.png").convert("L"))


@pytest.mark.parametrize("method", FLOW_METHODS)
@pytest.mark.parametrize("step", [(3, 0), (0, 2), (-2, -1)])
def test_right_and_down_are_positive(tmp_path, moving_square, method, step):
    folder = moving_square(tmp_path, num_frames=2, step=step)
    flow = optical_flow(gray(folder, 1), gray(folder, 2), method=method)
    assert flow.shape == (72, 96, 2)
    inside = flow[22:50, 26:54]
    tolerance = 1.2 if method == "dis_fast" else 0.5  # it looks at a quarter of the resolution
    np.testing.assert_allclose(np.median(inside, axis=(0, 1)), step, atol=tolerance)
    np.testing.assert_allclose(np.median(flow[:, 75:], axis=(0, 1)), 0, atol=0.1)


@pytest.mark.parametrize(
    ("pixels", "byte"),
    [(-21, 0), (-20, 0), (-19.9, 1), (-3, 108), (0, 128), (0.07, 128), (3, 147), (19.93, 255), (99, 255)],
)
def test_bytes_are_those_of_the_released_tsn(pixels, byte):
    # CAST(v, -20, 20) = cvRound(255 * (v + 20) / 40)
    assert to_bytes(np.array([pixels], np.float32)).tolist() == [byte]


def test_bytes_give_the_pixels_back():
    pixels = np.linspace(-20, 20, 1001, dtype=np.float32)
    assert np.abs(to_pixels(to_bytes(pixels)) - pixels).max() <= 20 / 255 + 1e-5
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(to_pixels(every)), every)


def test_the_reader_gives_the_flow_of_the_frames(tmp_path, moving_square):
    folder = moving_square(tmp_path, num_frames=4)
    with video.open_pictures(folder, modality="flow") as reader:
        fields = reader.frames_at([0, 2, 3])
    assert fields.shape == (3, 2, 72, 96)
    expected = to_bytes(optical_flow(gray(folder, 3), gray(folder, 4)))
    assert torch.equal(fields[1].permute(1, 2, 0), torch.from_numpy(expected))
    x, y = to_pixels(fields[0].numpy())[:, 25:50, 30:50]
    assert abs(np.median(x) - 3) < 0.5 > abs(np.median(y))
    assert (fields[2] == NO_MOTION).all()  # from the last frame on nothing moves


def test_data_workers_may_be_forked_after_it(tmp_path, moving_square):
    """OpenCV's own threads would be missing in the worker, which would wait for them for ever."""
    folder = moving_square(tmp_path, num_frames=8)
    samples = tuple(Sample(folder, (0,)) for _ in range(3))
    clips = TrainDataset(
        Annotations(samples, ("square",), "by hand"),
        SegmentSampling(2, 6),
        lambda clip, labels: (clip, labels),
        seed=0,
        modality="flow",
    )
    here = [clips[i]["clip"] for i in range(3)]
    loader = DataLoader(clips, batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60)
    for item, expected in zip(loader, here, strict=True):
        assert torch.equal(item["clip"], expected)
    assert cv2.getNumThreads() == 1


def test_frames_that_are_too_small_are_named(tmp_path):
    for i in range(3):
        Image.new("RGB", (11, 7)).save(tmp_path / f"{i}.png")
    with pytest.raises(VideoError, match=r"11 x 7 pixels are too small for optical flow; it takes 12 pixels"):
        video.open(tmp_path, modality="flow")
    with video.open(tmp_path, modality="rgb_diff") as reader:
        assert reader.frames_at([0]).shape == (1, 18, 7, 11)


def test_an_unknown_method_is_named(tmp_path):
    with pytest.raises(
        ValueError, match="flow method 'farneback' is unknown; choose from dis, dis_fast, tvl1"
    ):
        flow_algorithm.__wrapped__("farneback")  # past the type check of the tests
    with pytest.raises(ValueError, match="flow 'farneback' is no method"):
        video.open_pictures.__wrapped__(tmp_path, modality="flow", flow="farneback")
    with pytest.raises(ValueError, match="modality 'depth' is unknown; choose from rgb, flow"):
        video.open_pictures.__wrapped__(tmp_path, modality="depth")


def test_opencv_without_tv_l1(monkeypatch):
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(ValueError, match="without TV-L1: pip install opencv-contrib-python-headless"):
        flow_algorithm("tvl1")


def test_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r"optical flow needs OpenCV .*: pip install 'interlace\[flow\]'"):
        flow_algorithm("dis")
