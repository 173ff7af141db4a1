"""Something-Something V1, V2 and Jester, in the shape their publisher gave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, read_annotations

V1_LABELS = "Holding something\nTurning something upside down\nApproaching something with your camera\n"
V2_LABELS = {
    "Approaching something with your camera": "0",
    "Putting something on something": "1",
    "Turning something upside down": "2",
}


@pytest.mark.parametrize("folder", ["", "20bn-something-something-v1"])
def test_v1(tmp_path: Path, folder: str) -> None:
    for clip in ("100218", "24413"):
        (tmp_path / folder / clip).mkdir(parents=True)
        (tmp_path / folder / clip / "00001.jpg").touch()
    (tmp_path / "something-something-v1-labels.csv").write_text(V1_LABELS)
    file = tmp_path / "something-something-v1-train.csv"
    file.write_text("100218;Turning something upside down\n24413;Approaching something with your camera\n")
    annotations = read_annotations(tmp_path, file)
    assert annotations.source.startswith("something_v1: ")
    assert annotations.classes == (  # alphabetical, as the released networks number them
        "Approaching something with your camera",
        "Holding something",
        "Turning something upside down",
    )
    assert [(s.path, s.labels) for s in annotations.samples] == [
        (tmp_path / folder / "100218", (2,)),
        (tmp_path / folder / "24413", (0,)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1;Holding something\n2\n", r":2: found '2', expected 'id;label' \(a test list without labels\?\)"),
        (
            "1;Holding something\nx;Holding something\n",
            r":2: found 'x;Holding something', expected 'id;label'",
        ),
        ("1;Holding somthing\n", r":1: found label 'Holding somthing', .*the nearest is 'Holding something'"),
    ],
)
def test_v1_malformed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "labels.csv").write_text(V1_LABELS)
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(tmp_path, tmp_path / "train.csv", labels=Path("labels.csv"), format="something_v1")


def test_jester(tmp_path: Path) -> None:
    for clip in ("34870", "56557"):
        (tmp_path / "20bn-jester-v1" / clip).mkdir(parents=True)
    (tmp_path / "jester-v1-labels.csv").write_text("Swiping Left\nSwiping Right\nDoing other things\n")
    file = tmp_path / "jester-v1-train.csv"
    file.write_text("34870;Swiping Right\n56557;Doing other things\n")
    annotations = read_annotations(tmp_path, file)
    assert annotations.source.startswith("jester: ")
    assert annotations.classes == ("Doing other things", "Swiping Left", "Swiping Right")
    assert [s.labels for s in annotations.samples] == [(2,), (0,)]
    assert annotations.samples[0].path == tmp_path / "20bn-jester-v1" / "34870"


def v2_item(clip: str, template: str) -> dict[str, object]:
    label = template.replace("[something]", "a cup").lower()
    return {"id": clip, "label": label, "template": template, "placeholders": ["a cup"]}


def test_v2(tmp_path: Path) -> None:
    (tmp_path / "20bn-something-something-v2").mkdir()
    (tmp_path / "20bn-something-something-v2" / "78687.webm").touch()
    (tmp_path / "42326.mp4").touch()
    (tmp_path / "100904").mkdir()
    items = [
        v2_item("78687", "Putting [something] on [something]"),
        v2_item("42326", "Approaching [something] with your camera"),
        v2_item("100904", "Turning [something] upside down"),
    ]
    file = tmp_path / "something-something-v2-train.json"
    file.write_text(json.dumps(items, indent=1))
    (tmp_path / "something-something-v2-labels.json").write_text(json.dumps(V2_LABELS))
    annotations = read_annotations(tmp_path, file)
    assert annotations.source.startswith("something_v2: ")
    assert annotations.classes == tuple(V2_LABELS)
    assert [s.labels for s in annotations.samples] == [(1,), (0,), (2,)]
    assert [s.path.name for s in annotations.samples] == ["78687.webm", "42326.mp4", "100904"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[\n{"id": "1", "template": "A [b]"},\n{"id": "2"}\n]',
            r":3: found .*'id': '2'.* \(a test list without",
        ),
        (
            '[\n{"id": "1", "template": "A [b]"},\n17\n]',
            r":3: found 17, expected an object with id and template",
        ),
        ('[\n{"id": "1",, "template": "A [b]"}\n]', r":2: found broken JSON"),
        (
            '[\n{"id": "1", "template": "A [b]"}\n{"id": "2"}]',
            r":3: found '\{\"id\": \"2\"\}\]', expected a comma",
        ),
        ('[\n{"id": "1", "template": "A [b]"}', r":2: found the end of the file, expected a comma"),
        ('{"id": "1"}', r":1: found .* expected a JSON list"),
    ],
)
def test_v2_malformed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "1.webm").touch()
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(AnnotationError, match=r"train\.json" + message):
        read_annotations(tmp_path, tmp_path / "train.json")


def test_v2_template_without_a_class(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(V2_LABELS))
    (tmp_path / "val.json").write_text(json.dumps([v2_item("1", "Putting [something] on [anything]")]))
    with pytest.raises(
        AnnotationError, match=r"val\.json:1: .*the nearest is 'Putting something on something'"
    ):
        read_annotations(tmp_path, tmp_path / "val.json")
