"""What the benchmark of the engines makes of the times that it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import corpus
from interlace.corpus.network import network_by_name


def test_the_start_is_apart_from_the_work() -> None:
    clock = corpus.Clock()
    clock.told = [(0.5, 0), (10.0, 4), (12.0, 8), (15.0, 24)]
    clock.began -= 20
    row = clock.row(24)
    assert row["startup_seconds"] == 10
    assert row["working_per_second"] == 4
    assert row["videos_per_second"] == pytest.approx(1.2, rel=0.01)


def test_the_local_way_makes_all_features(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    videos = [make_video(tmp_path / f"{number}.mp4", num_frames=3, size=(32, 48)) for number in range(2)]
    network = network_by_name("test_resnet", weights="none", image_size=32, num_segments=2)
    ways = corpus.ways(videos, network, None)
    assert list(ways) == ["local", "ray, 1 actors", "ray, 2 actors"]
    row = ways["local"](tmp_path)
    assert (tmp_path / "features.parquet").is_file()
    assert row["videos_per_second"] > 0


def test_rendered_videos(tmp_path: Path) -> None:
    assert len(list(corpus.rendered(tmp_path, 3).rglob("*.mp4"))) >= 3
