"""The benchmarks of streams and exports in small."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest
import torch

import audiovisual
import exports
import interlace
import streaming
from interlace.data import video
from interlace.export.network import Network
from moved import blurred_noise, moved_from_start

TINY = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}


def tiny(name: str):
    return interlace.create_model(name, num_classes=5, num_segments=4, **TINY)


def test_a_moved_network_tells_orders_and_clips_apart() -> None:
    model = moved_from_start(tiny("tin_causal_resnet18"), size=32)
    assert not model.training
    assert not any(module.training for module in model.modules())
    clip = blurred_noise(2, 4, 3, 32, torch.Generator().manual_seed(5))
    with torch.no_grad():
        logits, turned = model(clip), model(clip.flip(1))
    assert 0.05 < logits.std() < 50
    assert (logits - turned).abs().max() > 0.02 * logits.abs().max()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SIZE", 32)
    model = moved_from_start(tiny("tsm_causal_resnet18"), size=32)
    stream = streaming.Stream(model, "cpu")
    with torch.no_grad():
        expected = model.forward_frames(stream.frames[:3].transpose(0, 1))[0]
    for i in range(3):
        torch.testing.assert_close(stream()[0], expected[i], atol=1e-4, rtol=1e-4)
    # A fold is an eighth of the 64, 16, 16 and 32 channels that come to the stages, of maps of 8, 8, 4 and 2 pixels.
    assert stream.state_bytes == 4 * (8 * 8**2 + 2 * 8**2 + 2 * 4**2 + 4 * 2**2)


def test_cost_is_a_ratio_to_tsn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SIZE", 32)
    options = argparse.Namespace(device="cpu", rounds=1, calls=1)
    rows = streaming.measure_cost("test_resnet", "eager float32", options)
    assert list(rows) == ["tsn", "tsm_causal", "tin_causal"]
    assert rows["tsn"]["ratio"] == 1
    assert (
        rows["tsn"]["state_bytes"]
        == 0
        < rows["tsm_causal"]["state_bytes"]
        < rows["tin_causal"]["state_bytes"]
    )


def test_frames_are_counted_with_their_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100.0, 130.0])
    monkeypatch.setattr(streaming, "resident_mib", lambda: next(sizes))
    follower = streaming.Follower(5, 2, "title")
    assert [follower(latency) for latency in (0.01, 0.02, 0.03, 0.04, 0.05)] == [True] * 4 + [False]
    rows = follower.rows()
    speed = rows["speed"]
    assert (speed["frames"], speed["p50_ms"], speed["max_ms"]) == (5, 30.0, 50.0)
    assert rows["resident_mib"] == {"2": 100, "4": 130, "growth": 30, "growth of the last half": 0}
    few = streaming.Follower(5, 7, "title")
    few(0.02)
    assert few.rows()["speed"]["p99_ms"] == 20  # of those that came
    assert few.rows()["resident_mib"] == {}


def test_a_video_again_and_again(tmp_path: Path) -> None:
    clip = audiovisual.make_clip(tmp_path / "clip.mp4", seconds=1, width=64, height=48)
    long = streaming.repeated(clip, tmp_path, 75)
    assert (long.width, long.height) == (64, 48)
    with video.open(clip) as one, video.open(long.path) as many:
        assert one.num_frames == 30
        frames = many.frames_at([3, 33, 63])
        assert torch.equal(frames, one.frames_at([3]).expand_as(frames))
        times = many.pts_seconds[:60]
    torch.testing.assert_close(times, torch.arange(60, dtype=torch.float64) / 30, atol=1e-3, rtol=0)


def test_cases_of_streams() -> None:
    options = argparse.Namespace(
        parts=["cost", "frames", "file"],
        backbones=["resnet50"],
        modes=["eager float32", "optimized float32"],
        networks=["tsm_causal_mobilenetv2_100"],
        video=[Path("/data/demo.mp4")],
    )
    assert list(streaming.chosen_cases(options)) == [
        "resnet50, a step, eager float32",
        "resnet50, a step, optimized float32",
        "tsm_causal_mobilenetv2_100, frame after frame, optimized float32",
        "tsm_causal_mobilenetv2_100, file to events, demo.mp4",
    ]


def test_all_networks_are_exported_or_have_a_reason() -> None:
    titles = exports.networks()
    assert set(interlace.list_models()) < set(titles)
    assert {title for title in titles if exports.why_not_exported(title)} == {
        f"i3d_{graph}gcn_{backbone}" for graph in ("", "nl_") for backbone in ("resnet18", "resnet50")
    }
    assert exports.why_not_exported("i3d_gcn_resnet18, proposals grid") is None


@pytest.mark.parametrize("streams", [False, True])
def test_a_file_is_compared(streams: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SIZE", 32)
    monkeypatch.setattr(exports, "NUM_CLASSES", 5)
    model = moved_from_start(tiny("tin_causal_resnet18"), size=32)
    network = Network(model, exports.card_of(model), streaming=streams)
    pixels = exports.clips_of_noise(4, 3)
    wanted = network.answers(pixels)
    assert exports.of_time(network, pixels, wanted) > 0.02
    if not streams:
        row = exports.export_one(model, "torch-export", network, pixels, wanted)
        assert row["agrees"]
        assert row["relative_difference"] < 1e-4
        assert row["megabytes"] > 0.1


def test_a_reason_names_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(graph, example, path, metadata):
        raise ValueError(f"could not write {path}")

    monkeypatch.setitem(exports.WRITERS, "onnx", fail)
    monkeypatch.setattr(exports, "NUM_CLASSES", 5)
    model = tiny("tsn_resnet18").eval()
    network = Network(model, exports.card_of(model), streaming=False)
    row = exports.export_one(model, "onnx", network, exports.clips_of_noise(4, 3), torch.zeros(4, 1, 5))
    assert row == {"why_not": "ValueError: could not write .../graph.onnx"}
    assert "Traceback" in capsys.readouterr().err


def test_a_network_whose_process_dies_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = argparse.Namespace(work=tmp_path, anew=False, formats=["onnx", "torch-export"], threads=1)
    file = tmp_path / "tsn_resnet18.json"
    runs: list[list[str]] = []

    def killed(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        runs.append(command)
        exports.write(file, {"clip": {"network": {}, "onnx": {"agrees": True}}})
        return subprocess.CompletedProcess(command, -9)

    monkeypatch.setattr(subprocess, "run", killed)
    died = {"why_not": "its process ended with -9"}
    for _ in range(2):
        found = exports.in_own_process("tsn_resnet18", options)
        assert found == {"clip": {"network": {}, "onnx": {"agrees": True}, "torch-export": died}}
    assert len(runs) == 2
    assert "torch-export" not in exports.read(file)["clip"]
    exports.write(file, {**exports.read(file), "done": {"formats": ["onnx", "torch-export"]}})
    assert exports.in_own_process("tsn_resnet18", options) == {
        "clip": {"network": {}, "onnx": {"agrees": True}}
    }
    assert len(runs) == 2  # nothing was missing
    counts = {
        "files": 0,
        "agree": 0,
        "do not agree": 0,
        "not written": 0,
        "networks that cannot be exported": 0,
    }
    exports.count(found["clip"], counts)
    assert counts == {**counts, "files": 2, "agree": 1, "not written": 1}
