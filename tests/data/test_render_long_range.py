from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from interlace.data.render import render
from interlace.data.render_long_range import CLASSES, paint_returns
from interlace.data.sampling import segment_indices


def corners_of(frames: list[np.ndarray]) -> list[int]:
    """In which corner each frame of the same scene has the disc, clockwise from the top left."""
    behind = np.median(frames, axis=0)  # of three and more, no two discs in one place
    corners = []
    for frame in frames:
        y, x = (axis.mean() / len(frame) for axis in np.nonzero(np.abs(frame - behind).sum(-1) > 60))
        corners.append({(0, 0): 0, (1, 0): 1, (1, 1): 2, (0, 1): 3}[int(x > 0.5), int(y > 0.5)])
    return corners


@pytest.mark.parametrize("seed", range(6))
def test_the_class_is_how_far_round_it_comes_back(seed: int) -> None:
    clips = paint_returns(np.random.default_rng(seed), size=64)
    ends = corners_of([clips[name][-1].astype(float) for name in CLASSES])
    come = dict(zip(CLASSES, ends, strict=True))
    assert sorted(ends) == [0, 1, 2, 3]
    here = come["returns_here"]
    assert come["returns_clockwise"] == (here + 1) % 4
    assert come["returns_opposite"] == (here + 2) % 4
    assert come["returns_counterclockwise"] == (here + 3) % 4
    # And it began where it is when it returns here: there the first frame has the disc's texture, too.
    behind = np.median([clips[name][-1] for name in CLASSES], axis=0)
    likeness = {}
    for name in CLASSES:
        last, first = clips[name][-1].astype(float), clips[name][0].astype(float)
        disc = np.abs(last - behind).sum(-1) > 60
        likeness[name] = np.corrcoef(last[disc].ravel(), first[disc].ravel())[0, 1]
    assert max(likeness, key=likeness.__getitem__) == "returns_here"


def test_beginnings_are_alike_and_the_middle_shows_nothing() -> None:
    clips = list(paint_returns(np.random.default_rng(1), size=48, pause=0.66).values())
    num_frames = len(clips[0])
    differs = [
        {t for t in range(num_frames) if not np.array_equal(clip[t], clips[0][t])} for clip in clips[1:]
    ]
    assert differs[0] == differs[1] == differs[2]
    assert min(differs[0]) > 0.75 * num_frames
    assert max(differs[0]) == num_frames - 1


@pytest.mark.parametrize("num_segments", [8, 16])
def test_every_sampled_clip_shows_both_ends(num_segments: int) -> None:
    for seed in range(20):
        clips = paint_returns(np.random.default_rng(seed), size=32, pause=0.66)
        here, opposite = clips["returns_here"], clips["returns_opposite"]
        indices = segment_indices(len(here), num_segments)
        assert not np.array_equal(here[indices[-1]], opposite[indices[-1]])
        assert indices[0] < 0.14 * len(here)


@pytest.mark.parametrize("pause", [0.16, 0.34, 0.66])
def test_the_pause_is_as_long_as_told(pause: float) -> None:
    for seed in range(5):
        clips = paint_returns(np.random.default_rng(seed), size=48, pause=pause)
        here, opposite = (clips[name].astype(float) for name in ("returns_here", "returns_opposite"))
        late = np.nonzero(np.abs(here - opposite).sum((1, 2, 3)))[0]
        changes = np.abs(np.diff(here[: late[0]], axis=0)).sum((1, 2, 3))
        gone = 1 + changes.argmax()  # behind the disc all moves slowly
        assert (late[0] - gone) / len(here) == pytest.approx(pause, abs=0.06 + 2 / len(here))


@pytest.mark.parametrize("pause", [0.0, 0.7, float("nan")])
def test_a_pause_that_cannot_be(tmp_path: Path, pause: float) -> None:
    with pytest.raises(ValueError, match=r"pause=.*from 0\.06 to 0\.66"):
        render(tmp_path / "far", classes="long_range", size=32, pause=pause, progress=False)
    with pytest.raises(ValueError, match="only the classes long_range"):
        render(tmp_path / "moves", size=32, pause=0.3, progress=False)


def test_a_data_set_of_them(tmp_path: Path) -> None:
    folder = render(
        tmp_path / "far",
        classes="long_range",
        clips_per_class=2,
        val_clips_per_class=1,
        size=32,
        progress=False,
    )
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == list(CLASSES)
    assert len((folder / "train.csv").read_text().splitlines()) == 9
    assert len(list(folder.glob("*/val_*.mp4"))) == 4
    with pytest.raises(ValueError, match=r"pause=0\.34 there, 0\.5 wanted"):
        render(
            folder,
            classes="long_range",
            clips_per_class=2,
            val_clips_per_class=1,
            size=32,
            pause=0.5,
            progress=False,
        )
    with pytest.raises(ValueError, match="holds another data set"):
        render(folder, clips_per_class=2, val_clips_per_class=1, size=32, progress=False)
