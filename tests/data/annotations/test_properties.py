"""Every reader of annotations: what was written comes back; any content ends in annotations or in one error."""

from __future__ import annotations

import csv
import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st

from interlace.data.annotations import (
    FORMATS,
    AnnotationError,
    Annotations,
    detect_format,
    read_annotations,
    read_class_names,
)

LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def is_name(text: str) -> bool:
    """A file of that name can be written, and no format takes spaces off it."""
    return text == text.strip() and len(text.encode()) < 120 and unicodedata.normalize("NFC", text) == text


anything = st.characters(exclude_categories=["Cs"], exclude_characters="/\x00\\")
names = st.text(anything, min_size=1).map(lambda text: f"n{text}".strip()).filter(is_name)
"""Also with commas, quotes, spaces, semicolons and line ends; they begin with a letter."""
one_line = names.filter(lambda name: not set(name) & set(LINE_ENDS))
no_returns = names.filter(lambda name: "\r" not in name)  # reading a text file makes newlines of them
labels = no_returns.filter(lambda name: ";" not in name)
pairs = st.lists(st.tuples(one_line, one_line), min_size=1, max_size=4, unique_by=lambda pair: pair[0])


@pytest.fixture
def written() -> Callable[..., Annotations]:
    """Write clips and a list into a folder of its own, and read the list."""

    def make(format: str, clips: list[str], text: str | None, name: str = "list.txt") -> Annotations:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "root"
            for clip in clips:
                (root / clip).parent.mkdir(parents=True, exist_ok=True)
                (root / clip).touch()
            file = Path(folder) / name
            if text is not None:
                file.write_text(text, encoding="utf-8")
            return read_annotations(root, None if text is None else file, format=format)

    return make


def found(annotations: Annotations) -> set[tuple[str, str]]:
    """(name of the clip's file without its ending, name of its class)."""
    return {(sample.path.stem, annotations.classes[sample.labels[0]]) for sample in annotations.samples}


def test_csv(for_all, written) -> None:
    times = st.floats(0, 1e6, exclude_min=True)
    cells = st.lists(
        st.tuples(no_returns, labels, times), min_size=1, max_size=4, unique_by=lambda pair: pair[0]
    )

    def holds(rows: list[tuple[str, str, float]]) -> None:
        with tempfile.TemporaryFile("w+", newline="", encoding="utf-8") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(("path", "label", "start", "end"))
            writer.writerows((f"{clip}.mp4", label, end / 2, end) for clip, label, end in rows)
            text.seek(0)
            read = written("csv", [f"{clip}.mp4" for clip, _, _ in rows], text.read())
        assert found(read) == {(clip, label) for clip, label, _ in rows}
        assert [sample.end_seconds for sample in read.samples] == [end for _, _, end in rows]
        assert [sample.start_seconds for sample in read.samples] == [end / 2 for _, _, end in rows]

    for_all(holds, rows=cells)


def test_kinetics(for_all, written) -> None:
    def holds(rows: list[tuple[str, str]]) -> None:
        with tempfile.TemporaryFile("w+", newline="", encoding="utf-8") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(("label", "youtube_id", "time_start", "time_end", "split"))
            writer.writerows((label, clip, 3, 13, "train") for clip, label in rows)
            text.seek(0)
            read = written("kinetics", [f"{clip}_000003_000013.mp4" for clip, _ in rows], text.read())
        assert found(read) == {(f"{clip}_000003_000013", label) for clip, label in rows}

    for_all(holds, rows=pairs)


def test_tsn(for_all, written) -> None:
    numbered = st.lists(
        st.tuples(one_line, st.integers(1, 10**6), st.integers(0, 50)),
        min_size=1,
        max_size=4,
        unique_by=lambda row: row[0],
    )

    def holds(rows: list[tuple[str, int, int]]) -> None:
        text = "".join(f"{clip}.mp4 {num_frames} {label}\n" for clip, num_frames, label in rows)
        read = written("tsn", [f"{clip}.mp4" for clip, _, _ in rows], text)
        assert [(s.path.stem, s.num_frames, *s.labels) for s in read.samples] == rows
        assert read.classes == tuple(str(i) for i in range(1 + max(label for _, _, label in rows)))

    for_all(holds, rows=numbered)


@pytest.mark.parametrize("format", ["something_v1", "jester"])
def test_something_v1_and_jester(for_all, written, format: str) -> None:
    def holds(rows: dict[int, str]) -> None:
        text = "".join(f"{clip};{label}\n" for clip, label in rows.items())
        read = written(format, [f"{clip}/00001.jpg" for clip in rows], text)
        assert found(read) == {(str(clip), label) for clip, label in rows.items()}

    for_all(holds, rows=st.dictionaries(st.integers(0, 10**9), one_line, min_size=1, max_size=4))


def test_something_v2(for_all, written) -> None:
    without_brackets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1)

    def holds(rows: dict[str, str]) -> None:
        text = json.dumps([{"id": clip, "template": f"[{label}]"} for clip, label in rows.items()])
        read = written("something_v2", [f"{clip}.webm" for clip in rows], text)
        assert found(read) == set(rows.items())

    for_all(holds, rows=st.dictionaries(names, without_brackets, min_size=1, max_size=4))


def test_ucf101(for_all, written) -> None:
    def holds(rows: list[tuple[str, str]]) -> None:
        text = "".join(f"{label}/{clip}.avi\n" for clip, label in rows)
        read = written("ucf101", [f"{label}/{clip}.avi" for clip, label in rows], text)
        assert found(read) == set(rows)

    for_all(holds, rows=pairs)


def test_hmdb51(for_all, written) -> None:
    def holds(clips: list[str], label: str) -> None:
        text = "".join(f"{clip}.avi 1\n" for clip in clips)
        places = [f"{label}/{clip}.avi" for clip in clips]
        read = written("hmdb51", places, text, f"{label}_test_split1.txt")
        assert found(read) == {(clip, label) for clip in clips}

    for_all(holds, clips=st.lists(one_line, min_size=1, max_size=4, unique=True), label=one_line)


def test_folder(for_all, written) -> None:
    def holds(rows: list[tuple[str, str]]) -> None:
        read = written("folder", [f"{label}/{clip}.mp4" for clip, label in rows], None)
        assert found(read) == set(rows)
        assert read.classes == tuple(sorted({label for _, label in rows}))

    for_all(holds, rows=pairs)


def test_class_names(for_all, tmp_path: Path) -> None:
    file = tmp_path / "names"

    def lines(found: list[str]) -> None:
        file.write_text("\n".join(found), encoding="utf-8")
        assert read_class_names(file) == tuple(found)
        file.write_text("\n".join(f"{i + 1} {name}" for i, name in enumerate(found)), encoding="utf-8")
        assert read_class_names(file) == tuple(found)

    def as_json(found: list[str]) -> None:
        file.write_text(json.dumps(found), encoding="utf-8")
        assert read_class_names(file) == tuple(found)
        file.write_text(json.dumps({name: i for i, name in enumerate(found)}), encoding="utf-8")
        assert read_class_names(file) == tuple(found)

    several = {"min_size": 1, "max_size": 5, "unique": True}
    for_all(lines, found=st.lists(one_line.filter(lambda name: not name.endswith('"')), **several))
    for_all(as_json, found=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), **several))


@contextmanager
def refused_by_name(file: Path) -> Iterator[None]:
    """What is done inside goes well, or is refused by an error that names the file."""
    refusal = ""
    try:
        yield
    except AnnotationError as error:
        refusal = str(error)
    assert not refusal or str(file) in refusal


PIECES = (
    *(
        "path,label",
        "label,youtube_id,time_start,time_end,split",
        "a.mp4",
        "b c.mp4",
        "run",
        "walk",
        "41",
        "id",
        "template",
    ),
    *(
        " ",
        ",",
        ";",
        "&",
        '"',
        "'",
        "\n",
        "\r\n",
        "\t",
        "/",
        "..",
        ".avi",
        "[",
        "]",
        "{",
        "}",
        ":",
        "0",
        "1",
        "-1",
        "²",
        "٣",
    ),
    *(
        "1e400",
        "nan",
        "9" * 4400,
        "\x00",
        "\ufeff",
        "\u2028",
        "\x1c",
        "\ud800",
        "é",
        "x" * 300,
        "null",
        "[" * 3000,
        '{"a":',
    ),
)
"""What lists are made of, and what breaks them."""
contents = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(PIECES), max_size=14).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    ),
    st.lists(st.sampled_from(PIECES[:34]), max_size=14).map(lambda parts: "".join(parts).encode()),
)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder in which some of the clips are that the pieces name."""
    for clip in ("a.mp4", "b c.mp4", "run/a.avi", "walk/b.avi"):
        (tmp_path / clip).parent.mkdir(exist_ok=True)
        (tmp_path / clip).touch()
    (tmp_path / "41").mkdir()
    return tmp_path


@pytest.mark.parametrize("format", ["auto", *(name for name in FORMATS if name != "folder")])
@pytest.mark.parametrize("missing", ["raise", "skip"])
def test_any_content_is_read_or_refused(for_all, clips: Path, format: str, missing: str) -> None:
    file = clips / ("run_test_split1.txt" if format == "hmdb51" else "list")

    def holds(content: bytes) -> None:
        file.write_bytes(content)
        with refused_by_name(file):
            read = read_annotations(clips, file, format=format, missing=missing)
            assert len(read) > 0
            assert all(sample.path.is_relative_to(clips) for sample in read.samples)

    for_all(holds, content=contents)


@pytest.mark.parametrize("read", [read_class_names, detect_format])
def test_any_content_of_other_files(for_all, tmp_path: Path, read) -> None:
    file = tmp_path / "file"

    def holds(content: bytes) -> None:
        file.write_bytes(content)
        with refused_by_name(file):
            assert read(file)

    for_all(holds, content=contents)
