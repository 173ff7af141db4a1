from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet, collate
from interlace.audiovisual.timelines.timeline_file import load_timelines, save_timelines

A, P, D = 7, 4, 11


def make(
    name: str, event: int, relevant: list[bool], audio: int = A, dtype: torch.dtype = torch.float32
) -> Timeline:
    n = len(relevant)
    return Timeline(
        name,
        torch.rand(n, audio, dtype=dtype),
        torch.rand(n, P, D, dtype=dtype),
        event,
        torch.tensor(relevant),
        (f"of {n}",),
    )


@pytest.fixture
def timelines() -> TimelineSet:
    rows = (
        make("bark.mp4", 1, [False, True, True]),
        make("städtchen, 雨.mp4", NO_EVENT, [False] * 5),
        make("bell.mp4", 0, [True]),
    )
    return TimelineSet(("bell", "bark"), rows, "by hand")


@pytest.fixture
def file(tmp_path: Path, timelines: TimelineSet) -> Path:
    save_timelines(tmp_path / "train.safetensors", timelines)
    return tmp_path / "train.safetensors"


def test_all_comes_back(file: Path, timelines: TimelineSet) -> None:
    again = load_timelines(file)
    assert (again.labels, again.source, len(again)) == (("bell", "bark"), "by hand", 3)
    for one, other in zip(again, timelines, strict=True):
        assert (one.name, one.event, one.notes) == (other.name, other.event, other.notes)
        for key in ("audio", "visual", "relevant"):
            assert torch.equal(getattr(one, key), getattr(other, key))


def test_the_layout_is_as_documented(file: Path, timelines: TimelineSet) -> None:
    tensors = load_file(file)
    assert {name: tuple(value.shape) for name, value in tensors.items()} == {
        "audio": (9, A),
        "visual": (9, P, D),
        "relevant": (9,),
        "lengths": (3,),
        "event": (3,),
    }
    assert tensors["lengths"].tolist() == [3, 5, 1]
    assert torch.equal(tensors["visual"][3:8], timelines[1].visual)
    with safe_open(file, framework="pt") as opened:
        assert sorted(opened.metadata()) == ["format", "labels", "names", "notes", "source"]


def test_half_precision_stays(tmp_path: Path) -> None:
    half = TimelineSet(("bark",), (make("a", 0, [True], dtype=torch.float16),))
    save_timelines(tmp_path / "a.safetensors", half)
    assert torch.equal(load_timelines(tmp_path / "a.safetensors")[0].visual, half[0].visual)
    assert load_timelines(tmp_path / "a.safetensors")[0].visual.dtype == torch.float16


def test_without_a_source_the_file_is_it(tmp_path: Path) -> None:
    save_timelines(tmp_path / "a.safetensors", TimelineSet(("bark",), (make("a", 0, [True]),)))
    assert load_timelines(tmp_path / "a.safetensors").source == str(tmp_path / "a.safetensors")


def test_workers_and_other_processes_read_it(file: Path) -> None:
    again = pickle.loads(pickle.dumps(load_timelines(file)))
    batches = list(
        DataLoader(again, batch_size=2, num_workers=1, collate_fn=collate, multiprocessing_context="fork")
    )
    assert [batch.mask.sum(1).tolist() for batch in batches] == [[3, 5], [1]]


def test_a_failed_save_leaves_the_file(file: Path, timelines: TimelineSet) -> None:
    before = file.read_bytes()
    with pytest.raises(ValueError, match="no timelines to save"):
        save_timelines(file, TimelineSet(("bark",), ()))
    bad = make("bad", 0, [True, False])
    bad.audio[1, 2] = float("inf")
    with pytest.raises(ValueError, match="bad has features that are not finite"):
        save_timelines(file, TimelineSet(("bell", "bark"), (*timelines, bad)))
    with pytest.raises(ValueError, match=r"wide has audio features of \(9,\) a segment, bark.mp4 of \(7,\)"):
        save_timelines(file, TimelineSet(("bell", "bark"), (*timelines, make("wide", 0, [True], audio=9))))
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_notes_and_a_source_need_not_be_there(file: Path) -> None:
    rewritten(file, notes=None, source=None)
    timelines = load_timelines(file)
    assert (timelines.source, [timeline.notes for timeline in timelines]) == (str(file), [(), (), ()])


def rewritten(file: Path, tensors: dict[str, Tensor | None] | None = None, **metadata: str | None) -> None:
    """Change some parts of a file; None takes one away."""
    with safe_open(file, framework="pt") as opened:
        told: dict[str, Any] = opened.metadata()
    parts: dict[str, Any] = {**load_file(file), **(tensors or {})}
    told |= metadata
    save_file(
        {name: value for name, value in parts.items() if value is not None},
        file,
        {name: value for name, value in told.items() if value is not None},
    )


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({}, {"format": None}, r"no file of timelines: its metadata has format None"),
        ({"audio": None, "event": None}, {}, "has no audio, event"),
        ({}, {"labels": "bark"}, "no labels in JSON"),
        ({}, {"notes": "none"}, "no notes in JSON"),
        ({}, {"labels": None}, "no labels in JSON"),
        (
            {"audio": torch.zeros(9, A, dtype=torch.int32)},
            {},
            "audio is of I32 and visual of F32; features are",
        ),
        ({}, {"names": json.dumps("abc")}, "names is abc"),
        ({}, {"names": json.dumps([1, 2, 3])}, "names is"),
        ({}, {"names": json.dumps(["a", "b"])}, "2 names, 3 notes, lengths \\(3,\\)"),
        ({"event": torch.tensor([1.0, -1.0, 0.0])}, {}, "int64"),
        ({"event": torch.tensor([1, -1, 2])}, {}, "bell.mp4 has event 2, but there are 2 labels"),
        ({"event": torch.tensor([1, -2, 0])}, {}, "has event -2"),
        ({"event": torch.tensor([1, 0, 0])}, {}, "has event 0 and 0 relevant segments"),
        ({"event": torch.tensor([-1, -1, 0])}, {}, "bark.mp4 has event -1 and 2 relevant segments"),
        ({"lengths": torch.tensor([3, 5, 2])}, {}, "for 10 segments"),
        ({"lengths": torch.tensor([4, 5, 0])}, {}, "none below 1"),
        ({"audio": torch.zeros(8, A)}, {}, r"audio \(8, 7\)"),
        ({"visual": torch.zeros(9, D)}, {}, r"visual \(9, 11\)"),
        ({"relevant": torch.ones(9)}, {}, "float32 relevant"),
    ],
)
def test_files_that_cannot_be(
    file: Path, tensors: dict[str, Tensor | None], metadata: dict[str, str | None], message: str
) -> None:
    rewritten(file, tensors, **metadata)
    with pytest.raises(ValueError, match=f"(?s)train.safetensors.*{message}"):
        load_timelines(file)


def test_features_that_are_not_finite_are_found_when_read(file: Path) -> None:
    timelines = load_timelines(file)
    audio = load_file(file)["audio"]
    audio[3, 0] = float("nan")  # the first row of the second timeline
    rewritten(file, {"audio": audio})
    assert len([timelines[0], timelines[2]]) == 2  # the others can be read
    with pytest.raises(
        ValueError, match=r"train\.safetensors: städtchen, 雨\.mp4 has features that are not finite"
    ):
        timelines[1]


def test_a_file_that_is_missing_or_cut(file: Path) -> None:
    with pytest.raises(ValueError, match=r"val\.safetensors is missing"):
        load_timelines(file.with_name("val.safetensors"))
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"train\.safetensors is not a whole \.safetensors file"):
        load_timelines(file)
