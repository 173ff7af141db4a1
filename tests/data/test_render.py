from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest

from interlace.data import render as module
from interlace.data.render import CLASSES, PARTNERS, encode, frames, render
from interlace.data.render_motion import MOTIONS
from interlace.data.sampling import segment_indices


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("render") / "moves"
    return render(output, clips_per_class=3, val_clips_per_class=2, size=48, seed=5, progress=False)


def test_every_class_has_one_partner():
    assert len(CLASSES) == 10
    assert all(PARTNERS[PARTNERS[name]] == name != PARTNERS[name] for name in CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_clip_played_backwards_is_a_clip_of_the_partner_class(name: str):
    clip = frames(name, np.random.default_rng(3), size=34)
    partner = frames(PARTNERS[name], np.random.default_rng(3), size=34)
    assert np.array_equal(clip[::-1], partner)
    assert not np.array_equal(clip, partner)
    assert 25 <= len(clip) <= 71
    assert len(clip) % 2 == 1


@pytest.mark.parametrize("name", MOTIONS)
def test_movements_go_where_their_name_says(name: str):
    movement, _ = MOTIONS[name](np.linspace(0, 1, 49, dtype=np.float32), np.random.default_rng(1))
    track = {
        "move_right": movement.x,
        "move_down": movement.y,
        "approach": movement.radius,
        "turn_clockwise": movement.angle,
        "appear": movement.opacity,
    }[name]
    assert (np.diff(track) >= 0).all()
    assert track[-1] > track[0] + 0.1
    if name == "turn_clockwise":  # y points down, so from 3 to 6 o'clock the angle grows
        x, y = movement.x - movement.x.mean(), movement.y - movement.y.mean()
        assert (x[:-1] * y[1:] - y[:-1] * x[1:]).sum() > 0
        assert np.diff(track[segment_indices(49, 8)]).max() < np.pi / 2  # the direction is never ambiguous


def test_files_of_twins_decode_to_reversed_frames(moves: Path):
    # Exactly: neither what is painted nor the quality of the encoding depends on the place in the file. So
    # every statistic that is blind to order has the same value for both.
    for name in MOTIONS:
        for clip in sorted((moves / name).iterdir()):
            assert np.array_equal(decode(clip)[::-1], decode(moves / PARTNERS[name] / clip.name))


def test_no_order_blind_classifier_tells_partners_apart(moves: Path):
    # A nearest-mean classifier on what is left of a decoded clip's sampled frames when their order is lost.
    def blind(side: str, clip_name: str, num_segments: int) -> np.ndarray:
        clip = decode(moves / side / f"{clip_name}.mp4")
        return np.sort(clip[segment_indices(len(clip), num_segments)], axis=0).astype(float)

    for name, num_segments in zip(MOTIONS, (8, 3, 5, 7, 16), strict=True):
        pair, correct = (name, PARTNERS[name]), 0
        train = {side: [blind(side, f"train_{i:04d}", num_segments) for i in range(3)] for side in pair}
        for side, i in itertools.product(pair, range(2)):
            clip = blind(side, f"val_{i:04d}", num_segments)
            nearest = min(pair, key=lambda other: np.abs(clip - np.mean(train[other], axis=0)).sum())
            correct += nearest == side
        assert correct == 2  # of four: twins get the same answer


def moving_light(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Center (x, y) and amount, in each frame, of the light that its place does not always have."""
    light = clip.mean(axis=-1) / clip.mean(axis=(1, 2, 3), keepdims=True)[..., 0]
    light = np.maximum(light - np.quantile(light, 0.3, axis=0) - 0.5, 0)
    y, x = np.indices(light.shape[1:])
    amount = light.sum(axis=(1, 2)) + 1e-6
    return (light * x).sum(axis=(1, 2)) / amount, (light * y).sum(axis=(1, 2)) / amount, amount


def direction(name: str, clip: np.ndarray) -> float:
    """Positive if decoded frames go forwards: the trend of the one track that the motion's name speaks of."""
    x, y, amount = moving_light(clip)
    if name == "turn_clockwise":  # y points down, so from 3 to 6 o'clock the angle grows
        x, y = x - x.mean(), y - y.mean()
        return float((x[:-1] * y[1:] - y[:-1] * x[1:]).sum())
    track = {"move_right": x, "move_down": y}.get(name, amount)
    return float(np.corrcoef(track, np.arange(len(track)))[0, 1])


@pytest.mark.parametrize("name", MOTIONS)
def test_order_tells_partners_apart(name: str, tmp_path: Path):
    forwards = 0
    for seed in range(12):
        encode(tmp_path / "clip.mp4", frames(name, np.random.default_rng(seed), size=48), 25)
        clip = decode(tmp_path / "clip.mp4")
        assert direction(name, clip) == pytest.approx(-direction(name, clip[::-1]))
        forwards += direction(name, clip) > 0
    assert forwards >= 10  # by chance once in fifty


def test_lists_name_every_file_once_and_splits_differ(moves: Path):
    rows = {}
    for split, count in (("train", 3), ("val", 2)):
        with (moves / f"{split}.csv").open(newline="") as file:
            rows[split] = list(csv.DictReader(file))
        assert len(rows[split]) == 10 * count
        assert all(row["path"].startswith(row["label"] + "/") for row in rows[split])
    listed = sorted(row["path"] for split in rows.values() for row in split)
    assert listed == sorted(path.relative_to(moves).as_posix() for path in moves.rglob("*.mp4"))
    first = [decode(moves / "approach" / f"{split}_0000.mp4")[0] for split in ("train", "val")]
    assert not np.array_equal(*first)


def test_same_seed_same_frames_and_another_seed_others(moves: Path, tmp_path: Path):
    arguments = {"clips_per_class": 1, "val_clips_per_class": 0, "size": 48, "progress": False}
    again = render(tmp_path / "again", seed=5, num_workers=1, **arguments)
    other = render(tmp_path / "other", seed=6, **arguments)
    clip = decode(again / "move_up" / "train_0000.mp4")
    assert np.array_equal(clip, decode(moves / "move_up" / "train_0000.mp4"))
    assert not np.array_equal(clip[0], decode(other / "move_up" / "train_0000.mp4")[0])


def test_files_are_h264_of_the_size_asked_for(moves: Path):
    for path in (moves / "vanish").iterdir():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec.name, stream.height, stream.width) == ("h264", 48, 48)
            assert 10 <= stream.average_rate <= 30


def test_decoded_frames_are_close_to_the_painted_ones(tmp_path: Path):
    clip = frames("appear", np.random.default_rng(0), size=48)
    encode(tmp_path / "clip.mp4", clip, 25)
    assert np.abs(decode(tmp_path / "clip.mp4").astype(int) - clip).mean() < 8  # chroma at half resolution


def test_a_finished_data_set_is_taken_as_it_is(moves: Path):
    times = {path: path.stat().st_mtime_ns for path in moves.rglob("*")}
    assert render(moves, clips_per_class=3, val_clips_per_class=2, size=48, seed=5, progress=False) == moves
    assert {path: path.stat().st_mtime_ns for path in moves.rglob("*")} == times


def test_another_data_set_is_refused(moves: Path):
    with pytest.raises(ValueError, match=r"another data set \(seed=5 there, 7 wanted\)"):
        render(moves, clips_per_class=3, val_clips_per_class=2, size=48, seed=7, progress=False)


@pytest.mark.parametrize("content", [None, "not json", "[]", json.dumps({"generator": "me"})])
def test_a_folder_that_holds_other_things_is_refused(content: str | None, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match="other things"):
        render(tmp_path, progress=False)


def test_an_interrupted_render_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "new" / "moves"
    output.mkdir(parents=True)
    arguments = {"clips_per_class": 1, "val_clips_per_class": 1, "size": 32, "progress": False}

    def interrupt(path: Path, *_: object) -> None:
        if path.name.startswith("val"):
            raise KeyboardInterrupt
        encode(path, *_)

    with monkeypatch.context() as patch:
        patch.setattr(module, "encode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            render(output, **arguments)
    assert [path.name for path in output.parent.iterdir()] == ["moves"]
    assert not any(output.iterdir())
    render(output, **arguments)
    assert len(list(output.rglob("*.mp4"))) == 20


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ({"size": 63}, "even"),
        ({"size": 30}, "below 32"),
        ({"clips_per_class": 0}, "at least 1 training clip"),
    ],
)
def test_bad_numbers_are_named(argument: dict[str, int], match: str, tmp_path: Path):
    with pytest.raises(ValueError, match=match):
        render(tmp_path / "moves", progress=False, **argument)
    assert not (tmp_path / "moves").exists()


def test_an_unknown_class_is_named():
    with pytest.raises(ValueError, match=r"no class is called 'jump'; there are appear, approach"):
        frames("jump", np.random.default_rng(0))
