from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet
from interlace.audiovisual.features.extractor import Features
from interlace.audiovisual.features.feature_store import FeatureStore
from interlace.audiovisual.timelines.event_list import read_event_list
from interlace.audiovisual.timelines.event_timelines import EventReader, open_event_list


class Store(FeatureStore):
    """Features of videos of which only the durations are given; no networks."""

    def __init__(self, durations: Mapping[str, float]) -> None:
        self.folder = Path("stored")
        self.durations = durations

    def names(self) -> list[str]:
        return sorted(self.durations)

    def read(self, relative_path: str | Path) -> Features:
        duration = self.durations[str(relative_path)]
        n = max(1, int(duration + 0.5))
        audio = torch.full((n, 7), duration)
        return Features(audio, torch.full((n, 4, 11), -duration), torch.ones(n).bool(), ("a note",), duration)


def write(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).write_text("\n".join(["path,event,start,end", *lines]))
    return folder


def test_a_timeline_is_the_features_and_the_regions(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "a.mp4,bell,1,3", "b.mp4,bark,0,0.5", "c.mp4,,,", "a.mp4,bell,4,")
    write(tmp_path, "val.csv", "d.mp4,,,")
    store = Store({"a.mp4": 5.4, "b.mp4": 3.0, "c.mp4": 0.2, "d.mp4": 1.0})
    timelines = open_event_list(tmp_path, "train", store)
    assert timelines.labels == ("bark", "bell")
    rows = {timeline.name: timeline for timeline in timelines}
    assert {name: (row.event, row.relevant.int().tolist()) for name, row in rows.items()} == {
        "a.mp4": (1, [0, 1, 1, 0, 1]),
        "b.mp4": (0, [1, 0, 0]),
        "c.mp4": (NO_EVENT, [0]),
    }
    assert bool((rows["a.mp4"].audio == 5.4).all())
    assert rows["a.mp4"].visual.shape == (5, 4, 11)
    assert rows["a.mp4"].notes == ("a note",)


def names(timelines: TimelineSet) -> list[str]:
    return [timeline.name for timeline in timelines]


def many(folder: Path, file: str = "train.csv") -> Store:
    """10 videos each of two events and of background; one of an event that occurs once."""
    lines = [f"{event or 'none'}{i}.mp4,{event},," for event in ("bark", "bell", "") for i in range(10)]
    write(folder, file, *lines, "once.mp4,rare,,")
    return Store({line.split(",")[0]: 2.0 for line in [*lines, "once.mp4,"]})


def test_validation_is_held_out_by_video_of_each_event(tmp_path: Path) -> None:
    store = many(tmp_path)
    train, val = (
        open_event_list(tmp_path, split, store, val_share=0.3, seed=5) for split in ("train", "val")
    )
    assert sorted(names(train) + names(val)) == store.names()
    assert sorted(name[:4] for name in names(val)) == ["bark"] * 3 + ["bell"] * 3 + ["none"] * 3
    assert train.labels == val.labels == ("bark", "bell", "rare")
    assert "30% of each class held out" in val.source
    assert "without the 30%" in train.source


def test_the_seed_decides_who_is_held_out(tmp_path: Path) -> None:
    store = many(tmp_path)
    held = [names(open_event_list(tmp_path, "val", store, seed=seed)) for seed in (0, 0, 1)]
    assert held[0] == held[1]
    assert held[0] != held[2]
    assert all(len(part) == 6 for part in held)


def test_one_file_is_training_and_validation(tmp_path: Path) -> None:
    store = many(tmp_path, "everything.csv")
    file = tmp_path / "everything.csv"
    train, val = (open_event_list(file, split, store) for split in ("train", "val"))
    assert (len(train), len(val)) == (25, 6)
    with pytest.raises(ValueError, match=r"everything\.csv is one file: .* to have a test split"):
        open_event_list(file, "test", store)


def test_files_of_the_splits(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "a.mp4,bell,,", "b.mp4,bark,,")
    write(tmp_path, "val.csv", "c.mp4,bell,,")
    write(tmp_path, "test.csv", "d.mp4,,,", "e.mp4,bark,,")
    store = Store({f"{name}.mp4": 2.0 for name in "abcde"})
    sets = [open_event_list(tmp_path, split, store) for split in ("train", "val", "test")]
    assert [names(part) for part in sets] == [["a.mp4", "b.mp4"], ["c.mp4"], ["d.mp4", "e.mp4"]]
    assert {part.labels for part in sets} == {("bark", "bell")}
    assert [[timeline.event for timeline in part] for part in sets] == [[1, 0], [1], [NO_EVENT, 0]]
    assert sets[2].source == str(tmp_path / "test.csv")


def test_it_can_be_sent_to_another_process(tmp_path: Path) -> None:
    timelines = open_event_list(tmp_path, "train", many(tmp_path))
    assert names(pickle.loads(pickle.dumps(timelines))) == names(timelines)


@pytest.mark.parametrize(
    ("split", "files", "message"),
    [
        ("train", {"val": ["a.mp4,bark,,"]}, "train.csv is missing; it lists the videos to train on"),
        ("test", {"train": ["a.mp4,bark,,"]}, "test.csv is missing; it lists the split's videos"),
        ("train", {"train": ["a.mp4,,,", "b.mp4,,,"]}, "train.csv: found background videos only"),
        (
            "val",
            {"train": ["a.mp4,bark,,"], "val": ["b.mp4,bell,,"]},
            "val.csv:2: found the event 'bell', expected one of",
        ),
        (
            "val",
            {"train": ["a.mp4,bark,,"], "val": ["b.mp4,bark,,", "a.mp4,,,"]},
            "val.csv:3: found a.mp4, which is in",
        ),
        (
            "train",
            {"train": ["a.mp4,bark,,", "y.mp4,bark,,"], "test": ["b.mp4,,,", "a.mp4,,,"]},
            "which is in test.csv:3 too",
        ),
        (
            "train",
            {"train": ["a.mp4,bark,,", "z.mp4,bark,,", "y.mp4,bark,,"]},
            "found z.mp4, of which stored has none",
        ),
        ("val", {"train": ["a.mp4,bark,,"]}, "no class has two clips"),
    ],
)
def test_splits_that_cannot_be(tmp_path: Path, split: str, files: dict[str, list[str]], message: str) -> None:
    for name, lines in files.items():
        write(tmp_path, f"{name}.csv", *lines)
    with pytest.raises(ValueError) as error:
        open_event_list(tmp_path, split, Store({"a.mp4": 2.0, "b.mp4": 2.0, "y.mp4": 2.0}), val_share=0.1)
    assert message in str(error.value)


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    store = many(tmp_path)
    with pytest.raises(ValueError, match=r"val_share=1\.0 must lie between 0 and 1"):
        open_event_list(tmp_path, "val", store, val_share=1.0)
    with pytest.raises(ValueError, match="split 'all' is not one of train, val, test"):
        open_event_list(tmp_path, "all", store)


def read_first(folder: Path, *lines: str) -> Timeline:
    write(folder, "test.csv", *lines)
    file = folder / "test.csv"
    return EventReader(file, tuple(read_event_list(file)), ("bark",), Store({"a.mp4": 4.0}))(0)


def test_regions_that_are_lost_or_late_are_said(tmp_path: Path) -> None:
    timeline = read_first(tmp_path, "a.mp4,bark,0,1", "a.mp4,bark,2.1,2.4", "a.mp4,bark,3,6")
    assert timeline.relevant.nonzero().flatten().tolist() == [0, 3]
    assert timeline.notes == (
        "a note",
        "bark from 2.1 to 2.4 s alone covers half of no segment",
        "bark ends at 6 s, after the video (4 s)",
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["a.mp4,bark,1.8,2.2"],
            "test.csv:2: found bark in a.mp4 that covers half of none of its 4 segments",
        ),
        (
            ["a.mp4,bark,0,1", "a.mp4,bark,4,6"],
            "test.csv:3: found bark from 4 s on, expected a start before the end",
        ),
    ],
)
def test_events_that_are_nowhere(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(ValueError) as error:
        read_first(tmp_path, *lines)
    assert message in str(error.value)
