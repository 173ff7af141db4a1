"""Exported files where other networks are used: `interlace.load`, evaluate, streams and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import interlace
from interlace.checkpoints import ModelCard
from interlace.cli import main
from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.sampling import segment_indices
from interlace.data.transforms import Preprocess
from interlace.data.views import spatial_views
from interlace.evaluation import evaluate
from interlace.inference import Recognizer
from interlace.streaming.steps import frame_steps

FORMATS = ("onnx", "pt2", "xml")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Annotations:
    """Three clips of other lengths, so of other brightness at the times that are seen."""
    folder = tmp_path_factory.mktemp("videos")
    paths = [make_video(folder / f"{count}.mp4", num_frames=count, size=(32, 48)) for count in (9, 24, 40)]
    labels = ("wave", "clap", "turn", "wäve", 'say "<&>"')
    return Annotations(tuple(Sample(path, (i,)) for i, path in enumerate(paths)), labels, "three clips")


@pytest.fixture(scope="module")
def clips(videos: Annotations, card: ModelCard) -> Tensor:
    """What a network sees of them."""
    views = []
    for sample in videos.samples:
        with video.open(sample.path) as reader:
            frames = reader.frames_at(segment_indices(reader.num_frames, 4))
        views.append(spatial_views(frames, "center", 8)[0])
    return Preprocess(card.preprocessing["mean"], card.preprocessing["std"])(torch.stack(views))


def expected_scores(network: nn.Module, kind: str, clips: Tensor) -> Tensor:
    with torch.no_grad():
        if kind == "clip":
            return network(clips).softmax(1)
        faded = before = torch.zeros(len(clips), 3)
        answers = []
        for frame in clips.unbind(1):
            logits, faded, before = network(frame, faded, before)
            answers.append(logits)
    return torch.stack(answers, 1).mean(1).softmax(1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("kind", "inside"), [("clip", False), ("clip", True), ("stream", True)])
def test_files_are_recognized_and_evaluated_as_by_the_network(
    make_export: Callable[..., Path],
    network: Callable[..., nn.Module],
    videos: Annotations,
    clips: Tensor,
    tmp_path: Path,
    format: str,
    kind: str,
    inside: bool,
) -> None:
    path = make_export(format, kind, inside)
    expected = expected_scores(network(kind), kind, clips)
    recognizer = interlace.load(path)
    for sample, scores in zip(videos.samples, expected, strict=True):
        found = dict(recognizer(sample.path).top)
        assert [found[label] for label in videos.classes] == pytest.approx(scores.tolist(), abs=1e-5)
    report = evaluate([path], videos, num_workers=0, batch_size=2, output=tmp_path / "report", progress=False)
    right = (expected.argmax(1) == torch.arange(3)).double().mean().item()
    assert report.metrics["top1"] == pytest.approx(100 * right)
    assert report.num_clips == 3
    assert report.details["checkpoints"][0]["model"] == "tsm_causal_resnet18"
    rows = (tmp_path / "report" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4


def test_windows_of_a_long_video(make_export: Callable[..., Path], videos: Annotations) -> None:
    path = videos.samples[2].path
    windows = {
        format: interlace.load(make_export(format)).timeline(path, window_seconds=1.0) for format in FORMATS
    }
    assert len(windows["onnx"]) == 6
    for others in (windows["pt2"], windows["xml"]):
        for one, other in zip(windows["onnx"], others, strict=True):
            assert (one.start_seconds, one.label) == (other.start_seconds, other.label)
            assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["clip", "stream"])
def test_streams_are_followed(
    make_export: Callable[..., Path], network: Callable[..., nn.Module], format: str, kind: str
) -> None:
    recognizer = interlace.load(make_export(format, kind, True))
    steps = frame_steps(recognizer, frame_rate=4.0)
    frames = torch.randint(
        0, 256, (9, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )
    answers = [steps.step(frame, i / 4) for i, frame in enumerate(frames)]
    if kind == "clip":
        assert sum(answer is not None for answer in answers) == 6  # from the first full window on
        last = recognizer(frames[-4:])
        found = torch.stack([answers[-1][recognizer.card.labels.index(label)] for label, _ in last.top])
        assert found.tolist() == pytest.approx([score for _, score in last.top], abs=1e-6)
        return
    faded = before = torch.zeros(1, 3)
    for frame, answer in zip(frames, answers, strict=True):
        with torch.no_grad():
            cut = spatial_views(frame[None], "center", 8)[0]
            logits, faded, before = network("stream", True)(cut, faded, before)
        torch.testing.assert_close(answer.float(), logits[0].softmax(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("format", FORMATS)
def test_what_an_export_cannot_do(
    make_export: Callable[..., Path], videos: Annotations, tmp_path: Path, format: str
) -> None:
    path = make_export(format)
    with pytest.raises(ValueError, match=r"is optimized already"):
        interlace.load(path, optimize=True)
    with pytest.raises(ValueError, match=r"always sees 4 frames in a clip, not 8"):
        interlace.load(path, num_segments=8)
    recognizer = interlace.load(path)
    with pytest.raises(ValueError, match=r"is optimized already"):
        Recognizer(recognizer.model, recognizer.card, optimize=True)
    refused = {
        "is optimized already": {"optimize": True},
        "keeps the precision that it was exported in": {"precision": "bf16"},
        "always sees 4 frames in a clip, not 8": {"num_segments": 8},
        "was exported for 8x8; resize them, or use a protocol": {"protocol": "full-res", "num_workers": 0},
    }
    for message, arguments in refused.items():
        with pytest.raises(ValueError, match=message):
            evaluate([path], videos, output=tmp_path / message[:5], progress=False, **arguments)


def test_exports_of_one_network_have_reports_of_their_own(
    make_export: Callable[..., Path], videos: Annotations, tmp_path: Path
) -> None:
    path = tmp_path / "best.onnx"
    path.write_bytes(make_export("onnx").read_bytes())
    report = evaluate([path], videos, num_workers=0, progress=False)
    assert report.output == tmp_path / "evaluation-1clip-center-best-onnx"


def test_weights_count_where_they_are_a_second_file(
    make_export: Callable[..., Path], videos: Annotations, tmp_path: Path
) -> None:
    path = tmp_path / "model.xml"
    source = make_export("xml")
    path.write_bytes(source.read_bytes())
    weights = source.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(weights)
    evaluate([path], videos, num_workers=0, progress=False)
    path.with_suffix(".bin").write_bytes(weights[:-4] + b"\0\0\0\0")
    with pytest.raises(ValueError, match=r"holds another evaluation .*weights of the network"):
        evaluate([path], videos, num_workers=0, progress=False)


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_line(
    make_export: Callable[..., Path],
    videos: Annotations,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    format: str,
) -> None:
    path, folder = str(make_export(format)), videos.samples[0].path.parent
    output = tmp_path / "out.json"
    assert main(["predict", str(folder), "--model", path, "--output", str(output), "--top_k", "2"]) == 0
    predictions = json.loads(output.read_text(encoding="utf-8"))["predictions"]
    assert [Path(answer["path"]).name for answer in predictions] == ["24.mp4", "40.mp4", "9.mp4"]
    assert predictions[0]["top"][0]["label"] == interlace.load(path)(folder / "24.mp4").label

    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n9.mp4,wave\n24.mp4,clap\n40.mp4,turn\n", encoding="utf-8")
    arguments = ["evaluate", str(folder), "--annotations", str(labels), "--num_workers", "0", "--model", path]
    assert main([*arguments, "--output", str(tmp_path / "report")]) == 0
    assert "1clip-center, 3 clips: top1" in capsys.readouterr().out

    assert main([*arguments, "--optimize"]) == 1
    assert main(["predict", str(folder), "--model", path, "--optimize"]) == 1
    assert capsys.readouterr().err.count("is optimized already") == 2
