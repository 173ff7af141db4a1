from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from interlace.audiovisual import NO_EVENT, collate
from interlace.audiovisual.timelines.ave import open_ave
from interlace.audiovisual.timelines.ave_annotations import AveEvent, read_ave_events, rows_of

h5py = pytest.importorskip("h5py")

# As in the release: not in alphabetical order, a name with commas, a video with two events, one from 0 to 0 s.
LINES = [
    "Church bell&RUhOCu3LNXM&good&0&10",
    "Church bell&VWi2ENBuTbw&good&0&0",
    "Bark&3jS8tWfLJxI&good&7&9",
    "Bark&-J2WJaG1Dd4&good&0&3",
    "Violin, fiddle&3jS8tWfLJxI&good&2&10",
]
BELL, BARK, VIOLIN, BACKGROUND = range(4)
V, N, A, P, D = 5, 10, 7, 3, 11
EXPECTED = [
    [BELL] * 10,
    [BACKGROUND] * 10,
    [BACKGROUND] * 7 + [BARK] * 2 + [BACKGROUND],
    [BARK] * 3 + [BACKGROUND] * 7,
    [BACKGROUND] * 2 + [VIOLIN] * 8,
]


def one_hot(classes: list[list[int]]) -> np.ndarray:
    return np.eye(4, dtype=np.float64)[np.array(classes)]


def write(folder: Path, name: str, values: np.ndarray, dataset: str = "avadataset") -> None:
    with h5py.File(folder / name, "w") as file:
        file.create_dataset(dataset, data=values)


@pytest.fixture
def ave(tmp_path: Path) -> Path:
    """A folder as published, but for the numbers of rows and of features."""
    numbers = np.random.default_rng(0)
    (tmp_path / "Annotations.txt").write_text("\n".join(LINES) + "\n")
    write(tmp_path, "labels.h5", one_hot(EXPECTED))
    write(tmp_path, "audio_feature.h5", numbers.random((V, N, A), dtype=np.float32))
    write(tmp_path, "visual_feature.h5", numbers.random((V, N, P, P, D), dtype=np.float32))
    for split, rows in (("train", [4, 0, 2]), ("val", [1]), ("test", [3])):
        write(tmp_path, f"{split}_order.h5", np.array(rows), "order")
    return tmp_path


def test_a_split_has_its_rows_in_its_order(ave: Path) -> None:
    train = open_ave(ave, "train")
    assert train.labels == ("Church bell", "Bark", "Violin, fiddle")
    assert train.source == f"{ave}, train: 3 of 5 rows"
    assert [(t.name, t.event) for t in train] == [
        ("3jS8tWfLJxI (row 4)", VIOLIN),
        ("RUhOCu3LNXM (row 0)", BELL),
        ("3jS8tWfLJxI (row 2)", BARK),
    ]
    assert [len(open_ave(ave, split)) for split in ("val", "test")] == [1, 1]


def test_values_are_those_of_the_files(ave: Path) -> None:
    timeline = open_ave(ave, "train")[-1]
    with h5py.File(ave / "audio_feature.h5") as file:
        assert np.array_equal(timeline.audio, file["avadataset"][2])
    with h5py.File(ave / "visual_feature.h5") as file:
        assert timeline.visual.shape == (N, P * P, D)
        assert np.array_equal(timeline.visual[6, 5], file["avadataset"][2, 6, 1, 2])
    assert timeline.relevant.tolist() == [False] * 7 + [True, True, False]
    assert timeline.audio.dtype == timeline.visual.dtype == torch.float32
    assert timeline.notes == ()


def test_an_event_of_no_length_is_background(ave: Path) -> None:
    timeline = open_ave(ave, "val")[0]
    assert (timeline.event, int(timeline.relevant.sum()), timeline.notes) == (NO_EVENT, 0, ())


def test_features_without_places(ave: Path) -> None:
    write(ave, "visual_feature.h5", np.ones((V, N, D)))
    assert open_ave(ave, "test")[0].visual.shape == (N, 1, D)


def test_annotations_may_have_a_header_and_windows_line_ends(ave: Path) -> None:
    text = "\r\n".join(["Category&VideoID&Quality&StartTime&EndTime", *LINES, ""])
    (ave / "Annotations.txt").write_bytes(text.encode())
    assert [t.event for t in open_ave(ave, "train")] == [VIOLIN, BELL, BARK]


def test_splits_may_be_lines_of_the_annotations(ave: Path) -> None:
    (ave / "test_order.h5").unlink()
    (ave / "testSet.txt").write_text(f"{LINES[4]}\n{LINES[1]}\n")
    assert [t.name for t in open_ave(ave, "test")] == ["3jS8tWfLJxI (row 4)", "VWi2ENBuTbw (row 1)"]


def test_equal_lines_are_different_rows(tmp_path: Path) -> None:
    (tmp_path / "testSet.txt").write_text(f"{LINES[0]}\n{LINES[0]}\n")
    bell = AveEvent("Church bell", "RUhOCu3LNXM", 0.0, 10.0)
    assert rows_of(tmp_path / "testSet.txt", [bell, bell]) == [0, 1]
    with pytest.raises(
        ValueError, match=r"testSet.txt:2: .*RUhOCu3LNXM from 0 to 10 s.*not more often than there"
    ):
        rows_of(tmp_path / "testSet.txt", [bell])


def test_where_the_files_differ_the_labels_count_and_a_note_says_so(ave: Path) -> None:
    other = [*EXPECTED[:3], [BARK] * 2 + [BACKGROUND] * 8, EXPECTED[4]]
    write(ave, "labels.h5", one_hot(other))
    timeline = open_ave(ave, "test")[0]
    assert int(timeline.relevant.sum()) == 2
    assert timeline.notes == ("labels.h5 has Bark in segments 0-1, Annotations.txt Bark from 0 to 3 s",)
    write(ave, "labels.h5", one_hot([*EXPECTED[:3], [BACKGROUND] * 10, EXPECTED[4]]))
    timeline = open_ave(ave, "test")[0]
    assert timeline.event == NO_EVENT
    assert timeline.notes == ("labels.h5 has background, Annotations.txt Bark from 0 to 3 s",)


def test_data_workers_read_it(ave: Path) -> None:
    train = open_ave(ave, "train")
    train[0]  # a file opened here must not be shared
    batches = list(
        DataLoader(train, batch_size=2, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    )
    assert [batch.event.tolist() for batch in batches] == [[VIOLIN, BELL], [BARK]]
    assert torch.equal(batches[1].visual[0], train[2].visual)


def test_it_can_be_sent_to_another_process(ave: Path) -> None:
    train = open_ave(ave, "train")
    again = pickle.loads(pickle.dumps(train))
    assert torch.equal(again[1].audio, train[1].audio)


def test_features_are_read_when_they_are_asked_for(ave: Path) -> None:
    train = open_ave(ave, "train")
    with h5py.File(ave / "audio_feature.h5", "a") as file:
        file["avadataset"][4] = 5.0
    assert bool((train[0].audio == 5).all())


@pytest.mark.parametrize("name", ["Annotations.txt", "labels.h5", "audio_feature.h5", "visual_feature.h5"])
def test_a_missing_file(ave: Path, name: str) -> None:
    (ave / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing; .*download them from"):
        open_ave(ave, "train")


def test_a_missing_split(ave: Path) -> None:
    (ave / "val_order.h5").unlink()
    with pytest.raises(ValueError, match=r"neither .*val_order\.h5 nor valSet\.txt is there"):
        open_ave(ave, "val")
    with pytest.raises(ValueError, match="split 'valid' is not one of train, val, test"):
        open_ave(ave, "valid")


def test_a_file_that_is_no_hdf5_or_has_another_dataset(ave: Path) -> None:
    (ave / "audio_feature.h5").write_bytes(b"half of it")
    with pytest.raises(ValueError, match=r"audio_feature\.h5 cannot be read as HDF5"):
        open_ave(ave, "train")
    write(ave, "audio_feature.h5", np.ones((V, N, A)))
    whole = (ave / "audio_feature.h5").read_bytes()
    (ave / "audio_feature.h5").write_bytes(whole[:-200])  # a download that stopped
    with pytest.raises(ValueError, match=r"audio_feature\.h5 cannot be read as HDF5"):
        open_ave(ave, "train")
    write(ave, "audio_feature.h5", np.ones((V, N, A)), "features")
    with pytest.raises(ValueError, match=r"audio_feature\.h5 has no dataset 'avadataset'; it holds features"):
        open_ave(ave, "train")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "labels.h5",
            (4, N, 4),
            r"labels\.h5 holds \(4, 10, 4\), but Annotations\.txt has 5 lines of 3 events",
        ),
        ("labels.h5", (V, N, 5), r"labels\.h5 holds \(5, 10, 5\)"),
        ("labels.h5", (V, 4), r"labels\.h5 holds \(5, 4\)"),
        (
            "audio_feature.h5",
            (4, N, A),
            r"audio_feature\.h5 holds \(4, 10, 7\), but labels.h5 has 5 rows of 10",
        ),
        ("audio_feature.h5", (V, 9, A), r"audio_feature\.h5 holds \(5, 9, 7\)"),
        ("audio_feature.h5", (V, N), r"audio_feature\.h5 holds \(5, 10\)"),
        ("visual_feature.h5", (V, N, P, D), r"visual_feature\.h5 holds \(5, 10, 3, 11\)"),
        ("visual_feature.h5", (V, N, P, P, 0), r"visual_feature\.h5 holds \(5, 10, 3, 3, 0\)"),
        (
            "visual_feature.h5",
            (V, N, D, P, P),
            r"holds \(5, 10, 11, 3, 3\); places are expected before features",
        ),
    ],
)
def test_shapes_that_do_not_fit(ave: Path, name: str, shape: tuple[int, ...], message: str) -> None:
    write(ave, name, np.zeros(shape))
    with pytest.raises(ValueError, match=message):
        open_ave(ave, "train")


def changed(change: Callable[[np.ndarray], None]) -> np.ndarray:
    labels = one_hot(EXPECTED)
    change(labels)
    return labels


def test_segments_without_exactly_one_label(ave: Path) -> None:
    def none(labels: np.ndarray) -> None:
        labels[3, 4] = 0

    def two(labels: np.ndarray) -> None:
        labels[3, 4, BELL] = 1

    def half(labels: np.ndarray) -> None:
        labels[3, 4] = 0.25

    for change, message in (
        (none, "0 labels that sum to 0"),
        (two, "2 labels"),
        (half, "4 labels that sum to 1"),
    ):
        write(ave, "labels.h5", changed(change))
        with pytest.raises(ValueError, match=rf"labels\.h5: row 3, segment 4 is not one-hot: {message}"):
            open_ave(ave, "train")


def test_a_row_with_two_events(ave: Path) -> None:
    write(ave, "labels.h5", one_hot([*EXPECTED[:4], [VIOLIN] * 6 + [BARK] * 4]))
    with pytest.raises(ValueError, match=r"labels\.h5: row 4 has two events, Bark and Violin, fiddle"):
        open_ave(ave, "train")


def test_columns_in_alphabetical_order_are_found_out(ave: Path) -> None:
    swapped = [[{BELL: BARK, BARK: BELL}.get(label, label) for label in row] for row in EXPECTED]
    write(ave, "labels.h5", one_hot(swapped))
    with pytest.raises(
        ValueError, match=r"column 0 should be Church bell, .* but 2 of its 2 rows .* are of Bark"
    ):
        open_ave(ave, "train")


def test_background_in_the_first_column_is_found_out(ave: Path) -> None:
    write(ave, "labels.h5", one_hot([[(label + 1) % 4 for label in row] for row in EXPECTED]))
    with pytest.raises(ValueError, match=r"two events, .* background, which is the last column"):
        open_ave(ave, "train")
    whole = [
        [BELL] * 10,
        [BELL] * 10,
        [BARK] * 10,
        [BARK] * 10,
        [VIOLIN] * 10,
    ]  # nothing but whole-length events
    write(ave, "labels.h5", one_hot([[label + 1 for label in row] for row in whole]))
    with pytest.raises(ValueError, match=r"column 1 should be Bark, .* background is the last column"):
        open_ave(ave, "train")


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 5], "entry 1, row 5, is not of the 5 rows, 0 to 4"),
        ([-1], "entry 0, row -1, is not of the 5 rows"),
        ([2, 0, 2], "entry 2, row 2, is there twice"),
        ([0.5], "whole numbers"),
        ([float("nan")], "whole numbers"),
        ([b"0"], "numbers are expected"),
        ([[0, 1]], "whole numbers"),
        ([], "whole numbers"),
    ],
)
def test_an_order_that_cannot_be(ave: Path, order: list[object], message: str) -> None:
    write(ave, "train_order.h5", np.array(order), "order")
    with pytest.raises(ValueError, match=rf"train_order\.h5.*{message}"):
        open_ave(ave, "train")


@pytest.mark.parametrize("name", ["audio_feature.h5", "visual_feature.h5"])
def test_features_that_are_not_finite(ave: Path, name: str) -> None:
    train = open_ave(ave, "train")
    with h5py.File(ave / name, "a") as file:
        file["avadataset"][0, 3] = np.nan
    assert len([train[0], train[2]]) == 2  # the others can be read
    with pytest.raises(ValueError, match=rf"{name}: row 0 has features that are not finite"):
        train[1]


def test_h5py_is_named_where_it_is_missing(ave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match=r'h5py .*pip install "interlace\[ave\]"'):
        open_ave(ave, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Bark&abc&good&0", r"Annotations\.txt:1: found 'Bark&abc&good&0'"),
        ("\nBark&abc&good&zero&10", r"Annotations\.txt:2: .*times in seconds"),
        ("Bark&abc&good&5&4", r"Annotations\.txt:1: .*the end not before it"),
        ("Bark&abc&good&nan&4", r"Annotations\.txt:1"),
        ("&abc&good&0&4", r"Annotations\.txt:1"),
        ("Category&VideoID&Quality&StartTime&EndTime\n", r"Annotations\.txt: found no events"),
    ],
)
def test_annotations_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Annotations.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_ave_events(tmp_path / "Annotations.txt")
