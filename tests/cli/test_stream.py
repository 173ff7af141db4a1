"""`interlace stream` on small videos: what it prints and writes, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli.stream import run
from interlace.data import live, video
from interlace.data.live_mailbox import LiveFrame

LABELS = ("clap", "nothing", "wave")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sees windows of 1 s. Its bias makes it sure that everything is a wave."""
    return _save(tmp_path_factory.mktemp("model") / "model.safetensors", "tsm_test_resnet")


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("model") / "causal.safetensors", "tsm_causal_test_resnet")


def _save(path: Path, name: str) -> Path:
    arguments = {"num_classes": 3, "num_segments": 4}
    model = interlace.create_model(name, **arguments)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, 0.0, 3.0]))
    preprocessing = {"image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "color": "rgb"}
    sampling = {"name": "segment", "num_segments": 4}
    return save_checkpoint(
        path, model, ModelCard(name, arguments, LABELS, sampling, preprocessing, window_seconds=1.0)
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """3 s of 48 x 64 at 12 frames a second."""
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", num_frames=36)


def test_lines_json_and_an_annotated_video(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, lines = tmp_path / "new" / "seen.mp4", tmp_path / "lines.jsonl"
    options = ["--model", str(checkpoint), "--pace", "fast", "--output", str(seen), "--json", str(lines)]
    assert run([str(clip), *options, "--top-k", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == (
        f"{clip}: 64 x 48, 12 frames a second; tsm_test_resnet on cpu sees the last 1 s, every 0.25 s; Ctrl-C ends"
    )
    assert told[1].startswith("begin: wave since 0.8 s")
    assert told[2].startswith("end:   wave from 0.8 to 2.8 s")
    assert told[3].startswith("2.9 s, 36 frames decoded, 36 looked at (")
    assert "9 predictions (latency" in told[3]
    assert told[4] == f"written: {seen}"
    with video.open(seen) as written:
        assert (written.num_frames, written.height, written.width) == (36, 240, 320)
        assert written.pts_seconds.tolist() == pytest.approx([i / 12 for i in range(36)], abs=1e-3)
        first, last = written.frames_at([0, 35]).int()
    blue = (last[2] - last[0]) > 60
    assert blue[:40].sum() > 1000  # a bar of 91 %
    assert not ((first[2] - first[0]) > 60).any()  # there was no answer yet
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["type"] for line in found] == [
        *("start", "prediction", "prediction", "event"),
        *["prediction"] * 7,
        *("event", "summary"),
    ]
    assert (found[0]["labels"], found[0]["thresholds"]["begin_score"]) == (list(LABELS), 0.5)
    assert found[1]["top"][0]["label"] == "wave"
    assert len(found[1]["top"]) == 2
    assert (found[-1]["num_frames"], found[-1]["dropped"], found[-1]["num_answers"]) == (36, 0, 9)


def test_json_on_stdout_leaves_nothing_else_there(
    clip: Path, causal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--model",
        str(causal),
        "--pace",
        "fast",
        "--json",
        "-",
        "--smooth-last",
        "2",
        "--ignore",
        "wave",
    ]
    assert run([str(clip), *options]) == 0
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["type"] for line in found] == ["start", *["prediction"] * 12, "summary"]
    assert found[0]["sees"] == "4 frames a second, one by one"
    assert found[0]["smoothing"] == "mean of the last 2"
    told = captured.err.splitlines()
    assert "tsm_causal_test_resnet on cpu sees 4 frames a second, one by one" in told[0]
    assert "0 events: the highest score was 9" in told[1]
    assert told[1].endswith("s; events begin at --begin_score 0.5 and last --min_seconds 0.5 or longer")


def test_duration_ends_it(clip: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", str(checkpoint), "--pace", "fast", "--duration", "1"]
    assert run([str(clip), *options, "--fps", "6"]) == 0
    assert ", 13 looked at (" in capsys.readouterr().out.splitlines()[-1]


def test_duration_ends_it_also_while_the_source_is_away(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(live.LiveSource):
        """A camera that is unplugged after its first frame, and then nothing comes."""

        def __init__(self) -> None:
            self.num_asked = 0

        height, width, fps, dropped, reconnects, decoded, is_over = 36, 48, 10.0, 0, 0, 1, False
        address = live.address_of("udp://@:5000")

        @property
        def away(self) -> str | None:
            return "unplugged" if self.num_asked > 1 else None

        def next_frame(self, timeout_seconds: float | None = None) -> LiveFrame | None:
            self.num_asked += 1
            assert self.num_asked < 1_000_000
            pixels = torch.zeros(3, 36, 48, dtype=torch.uint8)
            return LiveFrame(pixels, 0.0, 0) if self.num_asked == 1 else None

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(live, "open_live", lambda *_, **__: Gone())
    assert run(["0", "--model", str(checkpoint), "--duration", "0.05"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "away:  unplugged; waiting for it to come back"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_well(
    number: signal.Signals,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Endless(live.LiveSource):
        """A camera; somebody presses Ctrl-C at its twentieth frame."""

        def __init__(self) -> None:
            self.closed, self.num_frames, self.threads = threading.Event(), 0, threading.active_count()

        height, width, fps, dropped, reconnects, decoded, away = 36, 48, 10.0, 0, 0, 19, None
        address = live.address_of("udp://anna:secret@:5000")

        @property
        def is_over(self) -> bool:
            return self.closed.is_set()

        def next_frame(self, timeout_seconds: float | None = None) -> LiveFrame | None:
            self.num_frames += 1
            if self.num_frames == 20:
                signal.raise_signal(number)
            if self.num_frames >= 20:
                assert self.closed.wait(30)
                return None
            pixels = torch.full((3, 36, 48), 90, dtype=torch.uint8)
            return LiveFrame(pixels, (self.num_frames - 1) / 10, self.num_frames - 1)

        def close(self) -> None:
            self.closed.set()

    camera = Endless()
    monkeypatch.setattr(live, "open_live", lambda *_, **__: camera)
    seen = tmp_path / "seen.mp4"
    before = signal.getsignal(number)
    assert run(["0", "--model", str(checkpoint), "--output", str(seen), "--pace", "fast"]) == 0
    assert signal.getsignal(number) is before
    assert threading.active_count() == camera.threads
    told = capsys.readouterr().out.splitlines()
    assert "secret" not in told[0]
    assert told[-3].startswith("end:   wave from 0.8 to 1.8 s")
    assert told[-2].startswith("1.8 s, 19 frames decoded, 19 looked at (")
    with video.open(seen) as written:
        assert written.num_frames == 19
    assert [path.name for path in tmp_path.iterdir()] == ["seen.mp4"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--begin-score", "2"], "begin_score=2 and end_score=0.3: an event begins"),
        (["--top-k", "0"], "--top_k 0 asks for no label"),
        (["--duration", "0"], "--duration 0 is no time"),
        (["--reconnect", "-1"], "--reconnect -1 is no time"),
        (["--smooth-seconds", "-1"], "smooth_seconds=-1 is not a time"),
        (["--smooth-seconds", "1", "--smooth-last", "2"], "are two ways to smooth"),
        (["--fps", "0"], "fps=0 is not above zero"),
        (["--hop-seconds", "5"], "hop_seconds=5 is longer than the window of 1 s"),
        (["--ignore", "none"], "ignore names 'none', which is no label"),
        (["--output", "CLIP"], "is the source itself"),
        (["--json", "FOLDER"], "is a folder; name a file"),
        (["--output", "seen.txt"], r"end the name in \.mp4"),
        (["--output", "seen.mp4", "--json", "./seen.mp4"], "--output and --json are both seen.mp4"),
    ],
)
def test_values_that_mean_nothing(
    options: list[str], message: str, clip: Path, checkpoint: Path, tmp_path: Path
) -> None:
    before = clip.read_bytes()
    options = [{"CLIP": str(clip), "FOLDER": str(tmp_path)}.get(word, word) for word in options]
    with pytest.raises(ValueError, match=message):
        run([str(clip), "--model", str(checkpoint), *options])
    assert clip.read_bytes() == before


def test_a_source_that_is_not_there(checkpoint: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text("of yesterday\n")
    with pytest.raises(ValueError, match=r"nowhere\.mp4"):
        run(["nowhere.mp4", "--model", str(checkpoint), "--json", str(lines)])
    assert lines.read_text() == "of yesterday\n"


def test_options_in_a_file(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("begin_score: 0.99\nend_score: 0.2\npace: fast\n")
    assert run([str(clip), "--model", str(checkpoint), "--config", str(settings)]) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith("events begin at --begin_score 0.99 and last --min_seconds 0.5 or longer")
    )
