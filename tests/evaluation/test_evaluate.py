from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from interlace.data.annotations import Annotations, Sample
from interlace.data.sampling import SegmentSampling, sampling_from_dict
from interlace.data.transforms import Preprocess
from interlace.data.video import VideoError
from interlace.data.views import spatial_views
from interlace.evaluation import Protocol, evaluate
from interlace.evaluation.loop import score_clips
from interlace.models import create_model

CLASSES = ("left", "right", "still")
WIDER = Protocol("mine", num_clips=2, crops="three")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Annotations:
    folder = tmp_path_factory.mktemp("clips")
    samples = tuple(
        Sample(make_video(folder / f"{i}.mp4", num_frames=5 + 2 * i, size=(40 + 2 * i, 56)), (i % 3,))
        for i in range(7)
    )
    return Annotations(samples, CLASSES, source="seven clips")


def _checkpoint(
    path: Path,
    seed: int = 0,
    num_segments: int = 3,
    labels: tuple[str, ...] = CLASSES,
    multi_label: bool = False,
) -> Path:
    """A network with random weights whose scores differ from clip to clip."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model("tsn_resnet18", num_classes=len(labels), num_segments=num_segments)
        torch.nn.init.normal_(model.head.weight)
    card = ModelCard(
        model="tsn_resnet18",
        model_args={"num_classes": len(labels), "num_segments": num_segments},
        labels=labels,
        sampling=SegmentSampling(num_segments).to_dict(),
        preprocessing={"image_size": 28, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
        multi_label=multi_label,
    )
    return save_checkpoint(path, model, card)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _checkpoint(tmp_path_factory.mktemp("model") / "best.safetensors")


def _rows(folder: Path, name: str = "predictions.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(folder: Path) -> dict[str, list[float]]:
    return {row["path"]: [float(row[f"p({name})"]) for name in CLASSES] for row in _rows(folder)}


def _by_hand(path: Path, clips: Annotations, protocol: Protocol) -> dict[str, list[float]]:
    """The same without batches, workers or the evaluation's code: one view at a time."""
    from interlace.data import video

    model, card = load_checkpoint(path)
    preprocess = Preprocess(card.preprocessing["mean"], card.preprocessing["std"])
    found = {}
    for sample in clips.samples:
        with video.open(sample.path) as reader:
            picked = sampling_from_dict(card.sampling).test_indices(reader.num_frames, protocol.num_clips)
            taken = [spatial_views(reader.frames_at(one), protocol.crops, 28) for one in picked]
        with torch.inference_mode():
            logits = torch.cat([model.eval()(preprocess(view[None])) for view in torch.cat(taken)])
        found[sample.path.as_posix()] = logits.softmax(1).mean(0).tolist()
    return found


def test_scores_are_those_of_the_network(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    report = evaluate(
        [checkpoint], clips, protocol=WIDER, batch_size=4, num_workers=0, output=tmp_path / "out"
    )
    expected = _by_hand(checkpoint, clips, WIDER)
    table = _table(tmp_path / "out")
    assert list(table) == [sample.path.as_posix() for sample in clips.samples]
    for path, row in table.items():
        assert row == pytest.approx(expected[path], abs=1e-5)
    hits = [
        max(range(3), key=expected[sample.path.as_posix()].__getitem__) == sample.labels[0]
        for sample in clips.samples
    ]
    assert report.metrics["top1"] == pytest.approx(100 * sum(hits) / 7)
    assert (report.protocol, report.num_clips, report.skipped) == ("mine", 7, ())
    assert str(report).startswith("mine, 7 clips: top1 ")


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (5, 2), (64, 1)])
def test_numbers_do_not_depend_on_batches_workers_and_order(
    tmp_path: Path, checkpoint: Path, clips: Annotations, batch_size: int, num_workers: int
) -> None:
    first = evaluate([checkpoint], clips, protocol=WIDER, batch_size=6, num_workers=0, output=tmp_path / "a")
    shuffled = clips.subset([4, 0, 6, 2, 5, 1, 3])
    second = evaluate(
        [checkpoint],
        shuffled,
        protocol=WIDER,
        batch_size=batch_size,
        num_workers=num_workers,
        output=tmp_path / "b",
    )
    assert second.metrics == pytest.approx(first.metrics, abs=1e-6)
    before, after = _table(tmp_path / "a"), _table(tmp_path / "b")
    for path, row in before.items():
        assert after[path] == pytest.approx(row, abs=1e-5)


def test_report_files(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    home = tmp_path / "run"
    home.mkdir()
    path = home / "best.safetensors"
    path.write_bytes(checkpoint.read_bytes())
    report = evaluate([path], clips, num_workers=0)
    assert report.output == home / "evaluation-1clip-center"
    names = sorted(file.name for file in report.output.iterdir())
    assert names == [
        "confusion.csv",
        "confusion.png",
        "metrics.json",
        "per_class.csv",
        "predictions.csv",
        "report.html",
        "worst.csv",
    ]
    summary = json.loads((report.output / "metrics.json").read_text())
    assert summary["metrics"] == report.metrics
    assert (summary["protocol"], summary["average"]) == ("1clip-center", "probabilities")
    assert summary["views"] == {"num_clips": 1, "crops": "center"}
    assert (summary["num_clips"], summary["num_skipped"], summary["skipped"]) == (7, 0, [])
    assert (summary["data"], summary["device"].split()[0]) == ("seven clips", "cpu" if not _gpu() else "cuda")
    assert summary["checkpoints"][0]["path"] == str(path)
    assert len(summary["checkpoints"][0]["sha256"]) == 64
    assert {"commit", "command", "date", "versions", "seconds", "platform", "batch_size"} <= set(summary)
    assert "top5 is top3" in summary["notes"][0]
    rows = _rows(report.output)
    correct = sum(int(row["correct"]) for row in rows)
    assert report.metrics["top1"] == pytest.approx(100 * correct / 7)
    assert len(_rows(report.output, "worst.csv")) == 7 - correct
    confusion = _rows(report.output, "confusion.csv")
    assert sum(int(row[name]) for row in confusion for name in CLASSES) == 7
    assert [int(row["clips"]) for row in _rows(report.output, "per_class.csv")] == [3, 2, 2]
    again = evaluate([path], clips, num_workers=0)  # the same evaluation may be repeated in place
    assert again.metrics == report.metrics
    with pytest.raises(ValueError, match=r"holds another evaluation .other clips"):
        evaluate([path], clips.subset([0, 1]), num_workers=0)
    assert evaluate([path], clips.subset([0, 1]), num_workers=0, overwrite=True).num_clips == 2


def _gpu() -> bool:
    return torch.cuda.is_available()


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_ensemble_is_the_weighted_mean_of_its_members(
    tmp_path: Path, clips: Annotations, average: Any
) -> None:
    paths = [
        _checkpoint(tmp_path / "a.safetensors", seed=1),
        _checkpoint(tmp_path / "b.safetensors", seed=2, num_segments=5),
    ]
    common: dict[str, Any] = {"num_workers": 0, "average": average}
    for name, members, weights in (("a", paths[:1], None), ("b", paths[1:], None), ("ab", paths, [3, 1])):
        evaluate(members, clips, weights=weights, output=tmp_path / name, **common)
    a, b, both = (_table(tmp_path / name) for name in ("a", "b", "ab"))
    for path in both:
        one, other = torch.tensor(a[path]), torch.tensor(b[path])
        if average == "probabilities":
            expected = 0.75 * one + 0.25 * other
        else:
            expected = (0.75 * one.log() + 0.25 * other.log()).softmax(0)
        assert both[path] == pytest.approx(expected.tolist(), abs=1e-4)
    summary = json.loads((tmp_path / "ab" / "metrics.json").read_text())
    assert [member["weight"] for member in summary["checkpoints"]] == [3.0, 1.0]


def test_unreadable_videos(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    samples = (clips.samples[0], Sample(broken, (1,)), *clips.samples[1:])
    with_broken = Annotations(samples, CLASSES, source="eight clips, one broken")
    report = evaluate([checkpoint], with_broken, on_error="skip", num_workers=0, output=tmp_path / "skip")
    assert report.num_clips == 7
    ((path, reason),) = report.skipped
    assert path == str(broken)
    assert str(broken) in reason
    summary = json.loads((tmp_path / "skip" / "metrics.json").read_text())
    assert (summary["num_clips"], summary["num_skipped"]) == (7, 1)
    assert summary["skipped"][0]["path"] == str(broken)
    assert len(_rows(tmp_path / "skip")) == 7
    without = evaluate([checkpoint], clips, num_workers=0, output=tmp_path / "without")
    assert report.metrics == pytest.approx(without.metrics, abs=1e-6)
    only = Annotations((samples[1],), CLASSES, source="one broken clip")
    with pytest.raises(
        ValueError, match=r"one broken clip: none of the 1 clips could be scored; .*broken.mp4"
    ):
        evaluate([checkpoint], only, on_error="skip", num_workers=0, output=tmp_path / "none")


def test_damaged_videos_are_scored_and_listed(
    tmp_path: Path, checkpoint: Path, clips: Annotations, damaged_video: Path
) -> None:
    mixed = Annotations((*clips.samples[:2], Sample(damaged_video, (1,))), CLASSES, source="three clips")
    report = evaluate([checkpoint], mixed, on_error="skip", num_workers=1, output=tmp_path / "out")
    ((path, note),) = report.damaged
    assert path == str(damaged_video)
    assert "damaged" in note
    assert (report.num_clips, report.skipped) == (3, ())
    assert str(report).startswith("1clip-center, 3 clips, 1 damaged: top1 ")
    summary = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (summary["num_damaged"], summary["damaged"]) == (1, [{"path": path, "note": note}])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "3 clips scored, 0 skipped, 1 damaged." in page
    assert str(damaged_video) in page


@pytest.mark.parametrize("num_workers", [0, 1])
def test_raise_names_the_file_in_one_line_and_keeps_what_was_scored(
    tmp_path: Path,
    checkpoint: Path,
    clips: Annotations,
    num_workers: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    mixed = Annotations((*clips.samples[:4], Sample(broken, (1,))), CLASSES, source="five clips")
    with pytest.raises(VideoError) as caught:
        evaluate([checkpoint], mixed, batch_size=2, num_workers=num_workers, output=tmp_path / "out")
    assert str(caught.value).startswith(str(broken))
    assert len(str(caught.value).splitlines()) == 1
    assert "interrupted after 4 of 5 clips" in capfd.readouterr().err
    assert len(_rows(tmp_path / "out", "predictions.csv.part")) == 4
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_interrupt_keeps_what_was_scored(
    tmp_path: Path,
    checkpoint: Path,
    clips: Annotations,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = sys.modules["interlace.evaluation.evaluate"]
    real = score_clips

    def interrupted(*args: Any, **kwargs: Any) -> Iterator[Any]:
        batches = real(*args, **kwargs)
        yield next(batches)
        batches.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "score_clips", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate([checkpoint], clips, batch_size=3, num_workers=0, output=tmp_path / "out")
    assert "interrupted after 3 of 7 clips; their scores are in" in capsys.readouterr().err
    assert len(_rows(tmp_path / "out", "predictions.csv.part")) == 3
    with pytest.raises(KeyboardInterrupt):
        evaluate([checkpoint] * 2, clips, batch_size=3, num_workers=0, output=tmp_path / "two")
    said = "before any of the 7 clips was scored by all 2 checkpoints; nothing is kept"
    assert said in capsys.readouterr().err
    monkeypatch.setattr(module, "score_clips", real)
    evaluate(
        [checkpoint], clips, num_workers=0, output=tmp_path / "out"
    )  # starting again needs no permission
    assert not (tmp_path / "out" / "predictions.csv.part").exists()


def test_multi_label(tmp_path: Path, clips: Annotations) -> None:
    path = _checkpoint(tmp_path / "m.safetensors", multi_label=True)
    samples = tuple(Sample(s.path, (0, 2) if i % 2 else (1,)) for i, s in enumerate(clips.samples))
    several = Annotations(samples, CLASSES, source="several labels", multi_label=True)
    report = evaluate([path], several, num_workers=0, output=tmp_path / "out")
    assert list(report.metrics) == ["mAP"]
    assert 0 < report.metrics["mAP"] <= 100
    assert not (tmp_path / "out" / "confusion.png").exists()
    rows = _rows(tmp_path / "out")
    assert [row["true"] for row in rows[:2]] == ["right", "left|still"]
    assert any(abs(sum(float(row[f"p({name})"]) for name in CLASSES) - 1) > 0.05 for row in rows)  # sigmoids
    single = _checkpoint(tmp_path / "s.safetensors")
    with pytest.raises(ValueError, match=r"several labels a clip, .* was trained for one"):
        evaluate([single], several, num_workers=0, output=tmp_path / "no")
    with pytest.raises(ValueError, match="evaluate them one by one"):
        evaluate([single, path], clips, num_workers=0, output=tmp_path / "no")


def test_classes_must_agree(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    other = _checkpoint(tmp_path / "o.safetensors", labels=("left", "still", "right"))
    with pytest.raises(
        ValueError, match=r"class 1 is 'right' in .*best.safetensors and 'still' in .*o.safetensors"
    ):
        evaluate([checkpoint, other], clips, num_workers=0, output=tmp_path / "out")
    with pytest.raises(ValueError, match=r"class 1 is 'still' in .*o.safetensors and 'right' in seven clips"):
        evaluate([other], clips, num_workers=0, output=tmp_path / "out")
    fewer = Annotations(clips.samples[:2], CLASSES[:2], source="two classes")
    with pytest.raises(ValueError, match="has 3 classes and two classes has 2"):
        evaluate([checkpoint], fewer, num_workers=0, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1, 2], "2 weights for 1 checkpoints"), ([-1], "must not be negative"), ([0], "not all zero")],
)
def test_weights_must_fit(
    tmp_path: Path, checkpoint: Path, clips: Annotations, weights: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate([checkpoint], clips, weights=weights, output=tmp_path / "out")


def test_no_checkpoint_and_unknown_protocol(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    with pytest.raises(ValueError, match="no checkpoint to evaluate"):
        evaluate([], clips, output=tmp_path / "out")
    with pytest.raises(ValueError, match="did you mean '1clip-center'"):
        evaluate([checkpoint], clips, protocol="1clip-centre", output=tmp_path / "out")


def test_scores_that_are_not_numbers(tmp_path: Path, clips: Annotations) -> None:
    path = _checkpoint(tmp_path / "good.safetensors")
    model, card = load_checkpoint(path)
    torch.nn.init.constant_(model.head.bias, float("nan"))
    broken = save_checkpoint(tmp_path / "nan.safetensors", model, card)
    with pytest.raises(ValueError, match=r"nan.safetensors gives scores that are not numbers for .*0\.mp4"):
        evaluate([broken], clips, num_workers=0, output=tmp_path / "out")


def test_bfloat16_is_close(tmp_path: Path, checkpoint: Path, clips: Annotations) -> None:
    evaluate([checkpoint], clips, num_workers=0, output=tmp_path / "a")
    evaluate([checkpoint], clips, num_workers=0, precision="bf16", output=tmp_path / "b")
    exact, coarse = _table(tmp_path / "a"), _table(tmp_path / "b")
    for path, row in exact.items():
        assert coarse[path] == pytest.approx(row, abs=0.1)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_global_randomness_is_neither_used_nor_moved(
    checkpoint: Path, clips: Annotations, num_workers: int
) -> None:
    model, card = load_checkpoint(checkpoint)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    batches = list(score_clips(model, card, clips, WIDER, batch_size=12, num_workers=num_workers))
    assert torch.equal(torch.get_rng_state(), before)
    assert [batch.indices for batch in batches] == [[0, 1], [2, 3], [4, 5], [6]]


def test_the_bar_is_quiet_where_there_is_no_terminal(
    checkpoint: Path, clips: Annotations, capfd: pytest.CaptureFixture[str]
) -> None:
    model, card = load_checkpoint(checkpoint)
    list(score_clips(model, card, clips, WIDER, num_workers=0, progress=True))
    assert capfd.readouterr() == ("", "")
