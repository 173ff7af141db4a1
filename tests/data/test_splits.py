from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, Annotations, Sample
from interlace.data.splits import group_folds, hold_out, read_splits


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(annotations: Annotations) -> list[str]:
    return [sample.path.name for sample in annotations.samples]


def counted(counts: list[int], root: Path = Path("root")) -> Annotations:
    samples = [
        Sample(root / f"{label}/{i}.mp4", (label,))
        for label, count in enumerate(counts)
        for i in range(count)
    ]
    return Annotations(tuple(samples), tuple(f"class{i}" for i in range(len(counts))), "by hand")


def test_hold_out_takes_its_part_of_each_class() -> None:
    train, val = hold_out(counted([50, 10, 3, 2, 1]), fraction=0.2)
    assert train.class_counts == (40, 8, 2, 1, 1)
    assert val.class_counts == (10, 2, 1, 1, 0)
    assert not {s.path for s in train.samples} & {s.path for s in val.samples}
    assert "20% of each class held out clip by clip (seed 0)" in val.source
    assert "only in training, because they have one clip: class4" in train.source


def test_hold_out_leaves_a_training_clip_whatever_the_fraction() -> None:
    train, val = hold_out(counted([5, 2]), fraction=0.99)
    assert (train.class_counts, val.class_counts) == ((1, 1), (4, 1))


def test_hold_out_depends_on_the_seed_not_on_order_or_place() -> None:
    annotations = counted([30, 20], Path("/first/place"))
    _, val = hold_out(annotations, fraction=0.3, seed=1, root=Path("/first/place"))
    moved = counted([30, 20], Path("/second"))
    shuffled = moved.subset(random.Random(0).sample(range(50), 50))
    _, again = hold_out(shuffled, fraction=0.3, seed=1, root=Path("/second"))
    assert {s.path.relative_to("/first/place") for s in val.samples} == {
        s.path.relative_to("/second") for s in again.samples
    }
    _, other = hold_out(annotations, fraction=0.3, seed=2, root=Path("/first/place"))
    assert names(other) != names(val)


def test_hold_out_of_multi_label_clips_leaves_every_class_in_training() -> None:
    # class 2 occurs only beside classes 0 and 1, of which one clip each is held out: maybe both of its own
    labels = ((0, 2), (0,), (1, 2), (1,), (3,), (3,), (3,))
    samples = tuple(Sample(Path(f"{i}.mp4"), clip) for i, clip in enumerate(labels))
    annotations = Annotations(samples, ("a", "b", "c", "d"), "by hand", multi_label=True)
    sizes = set()
    for seed in range(20):
        train, val = hold_out(annotations, fraction=0.3, seed=seed)
        assert min(train.class_counts) >= 1
        sizes.add((len(train), len(val)))
    assert sizes == {(4, 3), (5, 2)}  # (5, 2): a clip was given back


def test_hold_out_errors() -> None:
    with pytest.raises(ValueError, match=r"val_fraction=1\.5 must lie between 0 and 1"):
        hold_out(counted([4]), fraction=1.5)
    with pytest.raises(AnnotationError, match=r"no class has two clips"):
        hold_out(counted([1, 1]), fraction=0.5)


def test_folder_per_class(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{name}{i}.mp4" for name in ("run", "walk") for i in range(5)))
    train, val = read_splits(tmp_path, val_fraction=0.4, seed=3)
    assert (train.class_counts, val.class_counts) == ((3, 3), (2, 2))
    assert "40% of each class held out" in val.source


@pytest.mark.parametrize("val_name", ["val", "valid", "validation", "test"])
def test_split_folders(tmp_path: Path, val_name: str) -> None:
    touch(tmp_path, "train/run/a.mp4", "train/walk/b.mp4", f"{val_name}/walk/c.mp4")
    train, val = read_splits(tmp_path)
    assert (names(train), names(val)) == (["a.mp4", "b.mp4"], ["c.mp4"])
    assert val.classes == ("run", "walk")
    assert val.samples[0].labels == (1,)


def test_train_folder_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"train/run/{i}.mp4" for i in range(4)))
    train, val = read_splits(tmp_path, val_fraction=0.25)
    assert train.classes == ("run",)
    assert (len(train), len(val)) == (3, 1)


def test_a_class_called_train(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{i}.mp4" for name in ("plane", "train") for i in range(2)))
    assert read_splits(tmp_path)[0].classes == ("plane", "train")


def test_csv_files_in_the_data_folder_come_before_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/a.mp4", "val/run/b.mp4", "x.mp4", "y.mp4", "z.mp4")
    (tmp_path / "train.csv").write_text("path,label\nx.mp4,1\n")
    (tmp_path / "test.csv").write_text("path,label\ny.mp4,0\n")
    train, val = read_splits(tmp_path)
    assert (names(train), names(val)) == (["x.mp4"], ["y.mp4"])
    assert val.classes == train.classes == ("0", "1")
    assert val.source == f"csv: {tmp_path / 'test.csv'}"
    (tmp_path / "val.csv").write_text("path,label\nz.mp4,0\n")
    assert names(read_splits(tmp_path)[1]) == ["z.mp4"]


def test_given_files_come_first(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "y.mp4", "frames/00001.jpg")
    (tmp_path / "train.csv").write_text("path,label\nx.mp4,a\n")
    (tmp_path / "mine.csv").write_text("path,label\ny.mp4,a\n")
    (tmp_path / "list.txt").write_text("frames 1 0\n")
    train, val = read_splits(tmp_path, train=Path("mine.csv"), val=tmp_path / "list.txt")
    assert (names(train), names(val)) == (["y.mp4"], ["frames"])
    train, val = read_splits(tmp_path, val=tmp_path / "mine.csv")
    assert (names(train), names(val)) == (["x.mp4"], ["y.mp4"])


def test_kinetics_with_both_splits(tmp_path: Path) -> None:
    touch(tmp_path, "a_000000_000010.mp4", "b_000001_000011.mp4")
    (tmp_path / "k.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nwalk,a,0,10,train\nwalk,b,1,11,validate\n"
    )
    train, val = read_splits(tmp_path, train=tmp_path / "k.csv")
    assert (names(train), names(val)) == (["a_000000_000010.mp4"], ["b_000001_000011.mp4"])


def test_multi_label_holds_for_both(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "y.mp4")
    (tmp_path / "train.csv").write_text("path,label\nx.mp4,a;b\n")
    (tmp_path / "val.csv").write_text("path,label\ny.mp4,a\n")
    train, val = read_splits(tmp_path)
    assert train.multi_label
    assert val.multi_label


def test_clips_in_both_are_warned_about_once(tmp_path: Path) -> None:
    touch(tmp_path, *"abcdef")
    (tmp_path / "train.csv").write_text("path,label\n" + "".join(f"{name},x\n" for name in "abcde"))
    (tmp_path / "val.csv").write_text("path,label\n" + "".join(f"{name},x\n" for name in "abcdf"))
    with pytest.warns(
        UserWarning, match=r"4 of 5 validation clips are in training too.*a, .*b, .*c, \.\.\.;"
    ) as caught:
        read_splits(tmp_path)
    assert len(caught) == 1


def test_separate_spans_of_one_video_do_not_overlap(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "train.csv").write_text("path,label,start,end\na.mp4,x,0,2\n")
    (tmp_path / "val.csv").write_text("path,label,start,end\na.mp4,x,2,4\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_splits(tmp_path)
    (tmp_path / "val.csv").write_text("path,label,start,end\na.mp4,x,1,4\n")
    with pytest.warns(UserWarning, match="1 of 1 validation clips are in training too"):
        read_splits(tmp_path)


def test_errors(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "y.mp4")
    (tmp_path / "v.csv").write_text("path,label\nx.mp4,a\n")
    with pytest.raises(AnnotationError, match=r"validation clips are given, but no training clips"):
        read_splits(tmp_path, val=tmp_path / "v.csv")
    with pytest.raises(AnnotationError, match=r"nowhere: there is no such folder"):
        read_splits(tmp_path / "nowhere")
    (tmp_path / "t.csv").write_text("path,label\ny.mp4,b\n")
    with pytest.raises(
        AnnotationError, match=r"v\.csv:2: found label 'a', expected one of the 1 known classes"
    ):
        read_splits(tmp_path, tmp_path / "t.csv", tmp_path / "v.csv")


def test_group_folds_keep_groups_together_and_classes_even() -> None:
    generator = random.Random(0)
    labels = [i % 2 for i in range(120)]
    groups = [f"{generator.randrange(30)}" for _ in range(120)]
    folds = group_folds(labels, groups, 3)
    assert sorted(i for fold in folds for i in fold) == list(range(120))
    in_fold = [{groups[i] for i in fold} for fold in folds]
    assert not in_fold[0] & in_fold[1] | in_fold[0] & in_fold[2] | in_fold[1] & in_fold[2]
    for fold in folds:
        assert all(abs(sum(labels[i] == label for i in fold) - 20) <= 3 for label in (0, 1))
    with pytest.raises(ValueError, match=r"num_folds=3 must be 2 to 2"):
        group_folds([0, 1], ["a", "b"], 3)
