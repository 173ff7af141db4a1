from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, Annotations, Sample

CLIPS = tuple(Sample(Path(f"{i}.mp4"), (label,)) for i, label in enumerate((2, 0, 2)))


def test_counts_and_subset() -> None:
    annotations = Annotations(CLIPS, ("a", "b", "c"), "by hand")
    assert len(annotations) == 3
    assert annotations.class_counts == (1, 0, 2)
    part = annotations.subset([2, 1], source="two of them")
    assert part.samples == (CLIPS[2], CLIPS[1])
    assert (part.classes, part.source) == (("a", "b", "c"), "two of them")
    assert str(annotations) == "3 clips of 3 classes (by hand)"


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ((3,), ("a", "b", "c"), r"x\.mp4: found labels \(3,\), expected 0 to 2: there are 3 classes"),
        ((-1,), ("a", "b", "c"), r"x\.mp4: found labels \(-1,\)"),
        ((), ("a", "b"), r"x\.mp4: found labels \(\), expected one label a clip"),
        ((0, 1), ("a", "b"), r"x\.mp4: found labels \(0, 1\), expected one label a clip"),
        ((0,), ("a", "b", "a"), r"class names that occur twice: \['a'\]"),
    ],
)
def test_invalid(labels: tuple[int, ...], classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        Annotations((Sample(Path("x.mp4"), labels),), classes, "by hand")


def test_multi_label() -> None:
    annotations = Annotations((Sample(Path("x.mp4"), (0, 1)),), ("a", "b"), "by hand", multi_label=True)
    assert annotations.class_counts == (1, 1)
