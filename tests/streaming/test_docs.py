"""What docs/streaming.md shows works as it stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import save_checkpoint
from interlace.cli.stream import run
from interlace.inference import Recognizer

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "streaming.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)


def test_stepping_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (text for text in EXAMPLES if "model.step" in text)
    shown = PAGE[PAGE.index(example) + len(example) :].split("```")[2]
    exec(example, {})
    assert capsys.readouterr().out == shown.lstrip("\n")


def test_following_a_file_from_python(
    causal: Recognizer,
    make_video: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = (text for text in EXAMPLES if "open_live" in text)
    make_video(tmp_path / "clip.mp4", num_frames=24)
    save_checkpoint(tmp_path / "best.safetensors", causal.model, causal.card)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" s ")[0] for line in told[:5]] == ["0.00", "0.42", "0.92", "1.42", "1.92"]
    assert all(re.search(r"\('(dark|medium|bright)', 0\.\d+\)$", line) for line in told[:5])
    assert "24 frames decoded" in told[-1]
    assert "5 predictions" in told[-1]


def test_the_state_has_the_size_that_is_stated() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \| ([\d.]+) \|$", PAGE, re.M)
    assert len(rows) == 6
    for name, tensors, numbers, megabytes in rows:
        with torch.device("meta"):  # shapes without numbers
            state = interlace.create_model(name, num_classes=2).init_state(1, 224)
        assert len(state) == int(tensors)
        assert sum(tensor.numel() for tensor in state) == int(numbers.replace(",", ""))
        assert f"{sum(tensor.nbytes for tensor in state) / 1e6:.2f}" == megabytes


def test_the_options_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    there = set(re.findall(r"--(\w+)", capsys.readouterr().out)) - {"help", "config", "print_config"}
    commands = "\n".join(line for line in PAGE.splitlines() if "interlace stream" in line)
    assert set(re.findall(r"--(\w+)", commands)) <= there
    of_others = {"streaming", "timeline"}  # of `interlace export` and `predict`
    named = set(re.findall(r"--(\w+)", PAGE[PAGE.index("## What the network sees") :])) - of_others
    assert named <= there
    assert there - named <= {"model", "device", "optimize"}


def test_json_lines_have_the_keys_of_the_table(
    causal: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    table = PAGE[PAGE.index("| `type` | keys |") : PAGE.index("A password")]
    listed = {
        types[0]: set(re.findall(r"`(\w+)`", keys))
        for line in table.splitlines()[2:]
        if line
        for types, keys in [(re.findall(r"`(\w+)`", line.split("|")[1]), line.split("|")[2])]
    }
    save_checkpoint(tmp_path / "best.safetensors", causal.model, causal.card)
    clip = make_video(tmp_path / "clip.mp4", num_frames=24)
    options = ["--pace", "fast", "--begin_score", "0.01", "--end_score", "0.01", "--margin", "0.9"]
    lines = tmp_path / "lines.jsonl"
    run([str(clip), "--model", str(tmp_path / "best.safetensors"), "--json", str(lines), *options])
    found = {line.pop("type"): line for line in map(json.loads, lines.read_text().splitlines())}
    assert set(found) == {"start", "prediction", "event", "summary"}
    assert listed["start"] == set(found["start"])
    assert listed["prediction"] == {*found["prediction"], "label", "score"}
    assert listed["event"] == {*found["event"], "begin", "end"}
    assert listed["summary"] == set(found["summary"])
