"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli import MODULES, VERBS, main
from interlace.cli.parser import Parser
from interlace.data import video

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language; "" for those that name none."""
    return [
        text for name, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.S | re.M) if name == language
    ]


def test_the_operator_example_runs() -> None:
    (example,) = (block for block in blocks("python") if "ops.interlace" in block)
    scope: dict[str, object] = {}
    exec(example, scope)
    assert scope["y"].shape == (2, 8, 16, 7, 7)  # type: ignore[attr-defined]
    assert scope["frames"].shape == (16, 64, 7, 7)  # type: ignore[attr-defined]
    offset, weight = scope["records"][""]  # type: ignore[index]
    assert offset.shape == (2, 4)
    assert weight.shape == (2, 8, 4)


def test_the_file_tree_names_what_exists() -> None:
    (tree,) = (block for block in blocks("") if block.startswith("src/interlace/"))
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT / "src" / "interlace" if line.startswith("  ") else ROOT
        assert (folder / name).exists(), name
    listed = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    present = {
        path.name for path in (ROOT / "src" / "interlace").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert present - listed - {"__pycache__"} == set()


COMMANDS = [
    line.split("#")[0].split()
    for block in blocks("")
    for line in block.splitlines()
    if line.startswith("interlace ")
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_take_the_options_they_are_shown_with(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verb, arguments = words[1], words[2:]
    assert verb in VERBS
    parsed = []

    class ParsedError(Exception):
        """Stops the verb behind its parser."""

    def stop(parser: Parser, values: object) -> None:
        parsed.append(values)
        raise ParsedError

    monkeypatch.setattr(Parser, "instantiate", stop)
    module = __import__(f"interlace.cli.{MODULES.get(verb, verb)}", fromlist=["run"])
    with pytest.raises(ParsedError):
        module.run(arguments)
    assert parsed


LIVE, EXPORT = "## Live: cameras, files, streams", "## Take it away: export"
LABELS = ("left", "right", "still")


def section(title: str) -> str:
    """From its title to the next one."""
    return README.split(f"{title}\n")[1].split("\n## ")[0]


def lines_of(title: str, start: str) -> list[list[str]]:
    """The words of the commands of a section that begin so."""
    return [line.split("#")[0].split() for line in section(title).splitlines() if line.startswith(start)]


def example_of(title: str) -> tuple[str, str]:
    """The Python of a section, and what it prints there."""
    (found,) = re.findall(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", section(title), re.S | re.M)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """What the commands find: new_clip.mp4, clips/, and a small network where training would leave its own."""
    folder = tmp_path_factory.mktemp("readme")
    for label in LABELS:
        make_video(folder / "clips" / label / "0.mp4", num_frames=16)
        make_video(folder / "clips" / label / "1.mp4", num_frames=12)
    shutil.copy(folder / "clips" / "left" / "0.mp4", folder / "new_clip.mp4")
    tiny = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}
    torch.manual_seed(0)
    model = interlace.create_model("tsm_causal_resnet18", num_classes=3, num_segments=3, **tiny)
    torch.nn.init.normal_(model.head.weight)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=LABELS,
        sampling={"name": "segment", "num_segments": 3},
        preprocessing={"image_size": 40, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
        window_seconds=0.5,
    )
    (folder / "runs" / "live").mkdir(parents=True)
    save_checkpoint(folder / "runs" / "live" / "best.safetensors", model, card)
    return folder


def test_a_causal_network_steps_as_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    example, shown = example_of(LIVE)
    exec(example, {})
    assert capsys.readouterr().out == shown


def test_a_stream_remembers_as_much_as_is_stated() -> None:
    found = re.search(r"([\d,]+) numbers in `(\w+)` and\s([\d,]+) in `(\w+)`", section(LIVE))
    assert found is not None
    for numbers, name in (found.group(1, 2), found.group(3, 4)):
        with torch.device("meta"):  # shapes without numbers
            state = interlace.create_model(name, num_classes=2).init_state(1, 224)
        assert sum(tensor.numel() for tensor in state) == int(numbers.replace(",", "")), name


def test_the_live_command_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (command,) = lines_of(LIVE, "interlace stream new_clip.mp4")
    assert main([*command[1:], "--pace", "fast"]) == 0
    told, shown = capsys.readouterr().out.splitlines(), section(LIVE).splitlines()

    def form(line: str) -> str:
        """Without what the network and the clock say."""
        return re.sub(r"\d[\d.]*", "0", line.split(" event")[0].partition("; ")[2] or line.split(" event")[0])

    (headline,) = (line for line in shown if "Ctrl-C ends" in line)
    assert form(told[0]) == form(headline)
    (last,) = (line for line in shown if "frames decoded" in line)
    assert form(next(line for line in told if "frames decoded" in line)) == form(last)
    with video.open(folder / "seen.mp4") as seen:
        assert seen.num_frames == 16
    types = [json.loads(line)["type"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert (types[0], types[-1]) == ("start", "summary")
    assert types.count("prediction") == 8


def assert_the_page_has_the_form_of(report: str) -> None:
    """The report of a stream in docs/export.md has the lines and the limit that are printed today."""
    page = (ROOT / "docs" / "export.md").read_text()
    shown = page[page.index("exported: live.onnx") : page.index("```\n<!-- report:end -->")]
    firsts = [[line.split()[0] for line in text.splitlines() if line] for text in (shown, report)]
    assert firsts[0] == firsts[1]
    for start in ("network ", "* this file", "ratio:"):
        assert [line for line in shown.splitlines() if line.startswith(start)] == [
            line for line in report.splitlines() if line.startswith(start)
        ]


def test_the_export_commands_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(folder)
    clips, streams, _ = lines_of(
        EXPORT, "interlace export"
    )  # the third one quantizes: tests/export/test_int8.py
    for command in (clips, streams):
        assert main([*command[1:], "--clips", "2", "--rounds", "1"]) == 0
    told = capsys.readouterr().out
    assert_the_page_has_the_form_of("exported: stream.onnx" + told.split("exported: stream.onnx")[1])
    (shown,) = (line for line in section(EXPORT).splitlines() if line.startswith("parity:"))
    parity = [line for line in told.splitlines() if line.startswith("parity:")]
    assert [line.split(";")[1] for line in parity] == [shown.split(";")[1]] * 2
    (predict,), (evaluate,) = lines_of(EXPORT, "interlace predict"), lines_of(EXPORT, "interlace evaluate")
    (stream,) = lines_of(EXPORT, "interlace stream")
    assert main(predict[1:]) == 0
    assert re.match(r"new_clip\.mp4: (left|right|still) \d", capsys.readouterr().out)
    assert main([*evaluate[1:], "--num_workers", "0"]) == 0
    assert "1clip-center, 6 clips: top1 " in capsys.readouterr().out
    assert main([*stream[1:], "--pace", "fast"]) == 0
    assert ", 8 predictions (" in capsys.readouterr().out

    example, shown = example_of(EXPORT)
    exec(example, {})
    lines, wanted = capsys.readouterr().out.splitlines(), shown.splitlines()
    assert [line.split(":")[0] for line in lines] == [line.split(":")[0] for line in wanted]
    for of_both in (lines, wanted):
        assert len({line.split(":")[1] for line in of_both}) == 1  # the same label and score
        assert re.fullmatch(r" \w+ [01]\.\d{3}", of_both[0].split(":")[1])
