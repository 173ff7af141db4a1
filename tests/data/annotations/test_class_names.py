from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.annotations import AnnotationError, read_class_names


@pytest.mark.parametrize(
    "text",
    [
        "jump high\nwalk, slowly\nrun\n",
        "\ufeffjump high\r\nwalk, slowly\r\n\r\nrun\r\n",
        "1 jump high\n2 walk, slowly\n3 run\n",
        "2 run\n0 jump high\n1 walk, slowly\n",
        'id,name\n0,jump high\n1,"walk, slowly"\n2,run\n',
        '{"run": "2", "jump high": "0", "walk, slowly": 1}',
        '["jump high", "walk, slowly", "run"]',
    ],
)
def test_every_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels").write_text(text, encoding="utf-8", newline="")
    assert read_class_names(tmp_path / "labels") == ("jump high", "walk, slowly", "run")


def test_names_that_begin_with_a_number(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("100 metres\n200 metres\nhurdles\n")
    assert read_class_names(tmp_path / "labels.txt") == ("100 metres", "200 metres", "hurdles")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"labels: found no class name"),
        ("a\nb\na\n", r"labels: found names that occur twice: \['a'\]"),
        ('{"a": "0", "b": "2"}', r"labels: found indices \[0, 2\].* expected every index once"),
        ('{"a": "zero"}', r"labels: found an index that is not a number"),
        ('{"a": 0,\n}', r"labels:2: found broken JSON"),
    ],
)
def test_malformed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_class_names(tmp_path / "labels")
