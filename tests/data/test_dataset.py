from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.dataset import TrainDataset, ViewDataset, collate
from interlace.data.mirror import mirror_of
from interlace.data.sampling import DenseSampling, SegmentSampling
from interlace.data.seed import mixed_seed
from interlace.data.transforms import train_transform
from interlace.data.video import VideoError
from interlace.data.views import spatial_views
from interlace.modality import Modality

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Videos of 24, 13 and 5 frames at 12 a second, one that is none, and a folder of 9 pictures."""
    root = tmp_path_factory.mktemp("clips")
    for name, num_frames in (("a", 24), ("b", 13), ("c", 5)):
        make_video(root / f"{name}.mp4", num_frames=num_frames, size=(48, 64), fps=12.0)
    (root / "broken.mp4").write_bytes(b"this is no video")
    (root / "frames").mkdir()
    for i in range(1, 10):
        Image.new("RGB", (50, 40), (20 * i, 20 * i, 20 * i)).save(root / "frames" / f"{i:05d}.png")
    return root


def annotate(folder: Path, *names: str, **arguments: Any) -> Annotations:
    samples = tuple(Sample(folder / name, (i % 2,), **arguments) for i, name in enumerate(names))
    return Annotations(samples, ("zero", "one"), "by hand")


def train_set(
    folder: Path, names: tuple[str, ...] = ("a.mp4", "b.mp4", "c.mp4"), **arguments: Any
) -> TrainDataset:
    transform = train_transform(SIZE, crop="multi_scale", color_jitter=0.3)
    settings: dict[str, Any] = {
        "sampling": SegmentSampling(4),
        "transform": transform,
        "seed": 7,
        **arguments,
    }
    return TrainDataset(annotate(folder, *names), **settings)


def same(clip: Tensor, labels: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    return clip, labels


def test_a_training_clip(folder: Path) -> None:
    item = train_set(folder)[1]
    assert item["clip"].shape == (4, 3, SIZE, SIZE)
    assert item["clip"].dtype == torch.uint8
    assert (item["label"], item["index"]) == (1, 1)


def test_a_clip_is_a_function_of_seed_epoch_and_index(folder: Path) -> None:
    first = train_set(folder)
    again = train_set(folder)
    torch.manual_seed(12345)  # of no matter
    assert all(torch.equal(first[i]["clip"], again[i]["clip"]) for i in (2, 0, 1))
    again.set_epoch(1)
    other_epoch = again[0]["clip"]
    assert not torch.equal(first[0]["clip"], other_epoch)
    first.set_epoch(1)
    assert torch.equal(first[0]["clip"], other_epoch)
    assert not torch.equal(train_set(folder, seed=8)[0]["clip"], train_set(folder)[0]["clip"])


def test_an_occurrence_is_another_draw_of_the_same_video(folder: Path) -> None:
    dataset = train_set(folder)
    first, second, third = dataset[1], dataset[4], dataset[7]
    assert [item["index"] for item in (first, second, third)] == [1, 1, 1]
    assert not torch.equal(first["clip"], second["clip"])
    assert not torch.equal(second["clip"], third["clip"])
    assert torch.equal(second["clip"], train_set(folder)[4]["clip"])
    assert collate([first, second])["index"].tolist() == [1, 1]
    assert [item["index"] for item in dataset] == [0, 1, 2]


def test_the_first_occurrence_draws_by_seed_epoch_and_index(folder: Path) -> None:
    dataset = train_set(folder)
    dataset.set_epoch(5)
    generator = torch.Generator().manual_seed(mixed_seed(7, 5, 1, 0))
    with video.open(folder / "b.mp4") as reader:
        clip = reader.frames_at(SegmentSampling(4).train_indices(13, generator))
    torch.manual_seed(mixed_seed(7, 5, 1, 1))
    expected, _ = dataset.transform(clip, (1,))
    assert torch.equal(dataset[1]["clip"], expected)


def test_the_global_random_state_is_not_moved(folder: Path) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    train_set(folder)[0]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_workers_that_live_on_see_the_epoch(folder: Path) -> None:
    dataset = train_set(folder)
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=1,
        persistent_workers=True,
        collate_fn=collate,
        multiprocessing_context="fork",
    )
    for epoch in (0, 3):
        dataset.set_epoch(epoch)
        batches = [batch["clip"] for batch in loader]
        expected = [dataset[i]["clip"] for i in range(3)]
        assert torch.equal(torch.cat(batches), torch.stack(expected))


def test_bounds_limit_the_frames(folder: Path) -> None:
    annotations = annotate(folder, "a.mp4", start_seconds=0.5, end_seconds=1.0)  # frames 6 to 11
    item = ViewDataset(annotations, SegmentSampling(6), 1, "center", SIZE)[0]
    with video.open(folder / "a.mp4") as reader:
        expected = spatial_views(reader.frames_at(range(6, 12)), "center", SIZE)
    assert torch.equal(item["views"], expected)
    drawn = TrainDataset(annotations, SegmentSampling(6), same, seed=0)[0]["clip"]
    with video.open(folder / "a.mp4") as reader:
        assert torch.equal(drawn, reader.frames_at(range(6, 12)))


def numbers(clip: Tensor) -> list[list[int]]:
    """Which frames of ``a.mp4`` stand in the channels: frame i is gray at 10 i."""
    return (clip[:, ::3, 2, 2] / 10).round().int().tolist()


def test_snippets_stay_within_the_bounds(folder: Path) -> None:
    """Where a whole one fits: frames 6 to 17. In three frames none does, and it reads on."""
    annotations = annotate(folder, "a.mp4", start_seconds=0.5, end_seconds=1.5)
    for sampling in (SegmentSampling(9, 6), DenseSampling(4, 3, 6)):
        dataset = TrainDataset(annotations, sampling, same, seed=0, modality="rgb_diff")
        drawn = {tuple(snippet) for _ in range(3) for snippet in numbers(dataset[0]["clip"])}
        dataset.set_epoch(1)
        drawn |= {tuple(snippet) for snippet in numbers(dataset[0]["clip"])}
        assert drawn <= {tuple(range(first, first + 6)) for first in range(6, 13)}
        assert len(drawn) > 3
    short = annotate(folder, "a.mp4", start_seconds=0.5, end_seconds=0.75)
    view = ViewDataset(short, SegmentSampling(2, 6), 1, "center", SIZE, modality="rgb_diff")[0]["views"][0]
    assert numbers(view) == [[6, 7, 8, 9, 10, 11]] * 2


@pytest.mark.parametrize("modality", ["flow", "rgb_flow", "rgb_diff"])
def test_mirrored_views_are_those_of_the_modality(folder: Path, modality: Modality) -> None:
    dataset = ViewDataset(annotate(folder, "a.mp4"), SegmentSampling(2, 6), 1, "ten", SIZE, modality=modality)
    views = dataset[0]["views"]
    assert torch.equal(views[5:], mirror_of(modality)(views[:5]))
    assert not torch.equal(views[5:], views[:5].flip(-1)) or modality == "rgb_diff"


def test_bounds_past_the_end_name_the_file(folder: Path) -> None:
    annotations = annotate(folder, "a.mp4", start_seconds=30.0)
    with pytest.raises(VideoError, match=r"a\.mp4: no frame lies between start 30"):
        TrainDataset(annotations, SegmentSampling(4), same, seed=0)[0]


def test_a_list_files_number_of_frames_binds_for_folders(folder: Path) -> None:
    levels = ViewDataset(annotate(folder, "frames", num_frames=4), SegmentSampling(4), 1, "center", SIZE)[0]
    assert levels["views"][0, :, 0, 0, 0].tolist() == [20, 40, 60, 80]
    with pytest.raises(VideoError, match=r"frames: the list file promises 10 frames, the folder holds 9"):
        ViewDataset(annotate(folder, "frames", num_frames=10), SegmentSampling(4), 1, "center", SIZE)[0]
    video_file = ViewDataset(annotate(folder, "a.mp4", num_frames=99), SegmentSampling(4), 1, "center", SIZE)[
        0
    ]
    assert video_file["views"].shape == (1, 4, 3, SIZE, SIZE)


@pytest.mark.parametrize(("crops", "num_crops"), [("center", 1), ("three", 3), ("ten", 10)])
@pytest.mark.parametrize("sampling", [SegmentSampling(4), DenseSampling(4, frame_stride=2)])
def test_views_are_clips_times_crops(
    folder: Path, crops: Any, num_crops: int, sampling: SegmentSampling | DenseSampling
) -> None:
    views = ViewDataset(annotate(folder, "a.mp4"), sampling, 2, crops, SIZE)[0]["views"]
    assert views.shape == (2 * num_crops, 4, 3, SIZE, SIZE)
    with video.open(folder / "a.mp4") as reader:
        for k, clip in enumerate(sampling.test_indices(24, 2)):
            expected = spatial_views(reader.frames_at(clip), crops, SIZE)
            assert torch.equal(views[k * num_crops : (k + 1) * num_crops], expected)


def test_frames_of_several_views_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    original = video.VideoReader.frames_at

    def spy(self: video.VideoReader, indices: Any) -> Any:
        asked.append(list(indices))
        return original(self, indices)

    monkeypatch.setattr(video.VideoReader, "frames_at", spy)
    views = ViewDataset(annotate(folder, "c.mp4"), SegmentSampling(8), 10, "three", SIZE)[0]["views"]
    assert asked == [[0, 1, 2, 3, 4]]
    assert views.shape == (30, 8, 3, SIZE, SIZE)


def test_gray(folder: Path) -> None:
    assert train_set(folder, color="gray", transform=same)[0]["clip"].shape == (4, 1, 48, 64)


def test_multi_label_targets(folder: Path) -> None:
    samples = (Sample(folder / "a.mp4", (0, 2)), Sample(folder / "b.mp4", (1,)))
    annotations = Annotations(samples, ("x", "y", "z"), "by hand", multi_label=True)
    dataset = ViewDataset(annotations, SegmentSampling(4), 1, "center", SIZE)
    batch = collate([dataset[0], dataset[1]])
    assert batch["label"].tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_unreadable_raises_or_is_listed(folder: Path) -> None:
    names = ("a.mp4", "broken.mp4", "c.mp4")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        train_set(folder, names)[1]
    dataset = train_set(folder, names, on_error="skip")
    batch = collate([dataset[i] for i in range(3)])
    assert batch["clip"].shape == (2, 4, 3, SIZE, SIZE)
    assert batch["label"].tolist() == [0, 0]
    assert batch["index"].tolist() == [0, 2]
    [(index, reason)] = batch["errors"]
    assert index == 1
    assert "broken.mp4" in reason


def test_stand_ins_for_damaged_frames_are_told(folder: Path, damaged_video: Path) -> None:
    names = ("a.mp4", str(damaged_video))
    with pytest.raises(VideoError, match=r"damaged\.mp4: .*on_error"):
        train_set(folder, names)[1]
    views = ViewDataset(annotate(folder, *names), SegmentSampling(8), 1, "center", SIZE, on_error="skip")
    for dataset in (train_set(folder, names, sampling=SegmentSampling(8), on_error="skip"), views):
        batch = collate([dataset[0], dataset[1]])
        assert batch["index"].tolist() == [0, 1]
        assert batch["errors"] == []
        [(index, note)] = batch["notes"]
        assert index == 1
        assert "damaged" in note


def test_a_batch_without_a_readable_video(folder: Path) -> None:
    training = train_set(folder, ("broken.mp4",), on_error="skip")
    batch = collate([training[0]])
    assert "clip" not in batch
    assert "broken" in batch["errors"][0][1]
    views = ViewDataset(
        annotate(folder, "broken.mp4"), SegmentSampling(4), 1, "center", SIZE, on_error="skip"
    )
    batch = collate([views[0]])
    assert "views" not in batch
    assert len(batch["label"]) == len(batch["index"]) == 0
    assert batch["errors"][0][0] == 0
