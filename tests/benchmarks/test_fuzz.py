"""The fuzzer in small: cases repeat, damage is done, findings are kept, a crash and a hang are pinned to their case."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzing import cases, checksums, mutations, seeds, structure, texts

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"
KINDS = ("video", "sound", "pictures", "flow", "annotations", "features")


def fuzz(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), "--results", str(folder), *arguments]
    return subprocess.run(
        [*command, "--videos", "none", "--kinds", *KINDS],
        capture_output=True, text=True, check=False, env={**os.environ, "SVT_LOG": "0"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def test_sixty_cases_end_in_a_result_or_in_a_line(folder: Path) -> None:
    done = fuzz(folder, "--cases", "60")
    findings = "\n".join(file.read_text() for file in folder.glob("findings/*/finding.txt"))
    assert done.returncode == 0, done.stdout + done.stderr + findings
    entry = json.loads((folder / "fuzz.json").read_text())[-1]
    rows = entry["results"]["seed 0, 60 cases"]
    assert rows["all"]["cases"] == sum(rows[kind]["cases"] for kind in KINDS if kind in rows) == 60
    assert rows["all"]["findings"] == {}
    assert entry["versions"]["av"]


@pytest.mark.faults
def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """The last line of the journal is cut off, as by a power failure."""
    fuzz(tmp_path, "--cases", "20")
    journal = next(tmp_path.glob("*.jsonl"))
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:18]) + lines[18][:20])
    done = fuzz(tmp_path, "--cases", "21")
    assert "3 of 3 cases" in done.stdout, done.stdout + done.stderr
    after = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry["case"] for entry in after] == list(range(21))
    assert after[:18] == [json.loads(line) for line in lines[:18]]


@pytest.mark.faults
def test_one_case_is_repeated(tmp_path: Path) -> None:
    fuzz(tmp_path, "--cases", "8")
    entry = json.loads(next(tmp_path.glob("*.jsonl")).read_text().splitlines()[7])
    done = fuzz(tmp_path, "--case", "7")
    assert f"case 7: {entry['kind']}, {entry['source']}, {', '.join(entry['steps'])}" in done.stdout
    assert done.returncode == 0, done.stdout


@pytest.mark.faults
def test_a_crash_and_a_hang_are_pinned_to_their_case(folder: Path) -> None:
    """In a process of its own, for the script's parent must be one that has no threads."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_of_faults.py")), str(folder)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SCRIPT.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["crash", "hang", "memory", "traceback", "unnamed", "fine"]


def test_a_case_is_the_same_again(tmp_path: Path) -> None:
    seeds.write_seeds(tmp_path / "seeds", ("annotations", "pictures", "flow"), None)
    for number in range(30):
        contents = []
        for place in (tmp_path / f"{number} a", tmp_path / f"{number} b"):
            place.mkdir()
            cases.make_case(number, 3, tmp_path / "seeds", place, ("annotations", "pictures", "flow"))
            files = sorted(file for file in place.rglob("*") if file.is_file())
            contents.append([(str(file.relative_to(place)), file.read_bytes()) for file in files])
        assert contents[0] == contents[1]


def test_damage_is_done_in_every_way(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    seeds.write_video(video, "mpeg4")
    content, names = video.read_bytes(), set()
    for seed in range(200):
        after, steps = mutations.mutated(content, b"other file", random.Random(seed), steps=1)
        names.update(steps)
        assert len(after) <= mutations.LARGEST
    assert names == {way.__name__ for way in mutations.WAYS}


def test_parts_of_a_video_are_its_boxes(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    seeds.write_video(video, "mpeg4")
    content = video.read_bytes()
    names = [content[part.start + 4 : part.start + 8] for part in structure.parts_of(content)]
    assert {b"ftyp", b"moov", b"trak", b"stsz", b"mdat"} <= set(names)
    outer = [part for part in structure.parts_of(content) if content[part.start + 4 : part.start + 8] != b""]
    assert max(part.end for part in outer) == len(content)


def test_checksums_are_put_right(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "a.png"
    Image.new("L", (7, 5)).save(file)
    content = bytearray(file.read_bytes())
    assert checksums.with_checksums(bytes(content)) == bytes(content)
    content[-14] ^= 1  # of the sum of the pixels' chunk
    assert checksums.with_checksums(bytes(content)) == file.read_bytes()


def test_json_stays_json() -> None:
    card = {"model": "a", "sampling": {"num_segments": 2}, "labels": ["a", "b"], "mean": [0.5, 0.25]}
    changed = [texts.mutated_json(card, random.Random(seed)) for seed in range(300)]
    assert card == {"model": "a", "sampling": {"num_segments": 2}, "labels": ["a", "b"], "mean": [0.5, 0.25]}
    assert sum(json.dumps(value) != json.dumps(card) for value in changed) > 280
