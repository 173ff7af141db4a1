"""What `interlace.benchmark` says of a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import interlace
from interlace.benchmark import (
    benchmark_model,
    count_macs,
    count_parameters,
    describe_machine,
    peak_bytes,
    time_shares,
)
from interlace.benchmark.parts import kind_of
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.models import Modality


def test_costs_are_those_of_the_papers() -> None:
    model = interlace.create_model("tin_resnet50", num_classes=174, num_segments=8)
    assert round(count_macs(model, (1, 8, 3, 224, 224)) / 1e9, 1) == 32.7
    assert round(count_parameters(model) / 1e6, 2) == 23.90
    assert next(model.parameters()).device.type == "cpu"


def test_peak_of_a_call() -> None:
    x = torch.zeros(1000)
    assert peak_bytes(lambda: x.neg()) == 4000
    assert peak_bytes(lambda: [x.neg(), x.neg(), x.neg()]) == 12000
    assert peak_bytes(lambda: x.neg_()) == 0


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("interlace::interlace", "temporal operators"),
        ("interlace::conv2d", "interlaced convolutions"),
        ("aten::convolution_backward", "convolutions"),
        ("aten::relu_", "activations"),
        ("aten::addmm", "matrix products"),
        ("aten::max_pool2d_with_indices", "pooling and means"),
        ("aten::as_strided", "other"),
    ],
)
def test_kinds(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_shares_name_the_temporal_operator() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 3), interlace.temporal.TemporalInterlace(16, num_segments=4))
    with torch.no_grad():
        shares = time_shares(lambda: model(torch.randn(8, 16, 32, 32)))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["temporal operators"] > 0
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_the_machine_has_no_name() -> None:
    import platform

    assert platform.node() not in str(describe_machine())


def test_report() -> None:
    told: list[str] = []
    report = benchmark_model(
        "tin_resnet10t",
        image_size=32,
        num_segments=4,
        batch_size=2,
        device="cpu",
        rounds=2,
        progress=told.append,
    )
    tin, tsn = report.networks["tin_resnet10t"], report.networks["tsn_resnet10t"]
    assert tsn["ratio"] == 1.0
    assert tin["parameters_m"] > tsn["parameters_m"]
    assert tin["gmac"] == pytest.approx(tsn["gmac"], rel=0.01)
    assert tin["clips_per_second"] == pytest.approx(1000 / tin["ms_per_clip"], rel=0.01)
    assert report.settings["clips"] == 2
    assert "round 4 of 4" in told
    text = str(report)
    assert "tin_resnet10t" in text
    assert "GMAC/clip" in text
    assert report.to_dict()["networks"]["tin_resnet10t"] == tin


def test_training_step_of_a_checkpoint_against_another_network(tmp_path: Path) -> None:
    model = interlace.create_model("tsm_test_resnet", num_classes=3, num_segments=4)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("a", "b", "c"),
        sampling={"name": "segment", "num_segments": 4},
        preprocessing={"image_size": 32, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
    )
    path = save_checkpoint(tmp_path / "own.safetensors", model, card)
    report = benchmark_model(
        path, against="tin_test_resnet", train=True, dtype="bfloat16", device="cpu", rounds=1
    )
    assert list(report.networks) == [str(path), "tin_test_resnet"]
    assert report.networks["tin_test_resnet"]["ratio"] == 1.0
    assert report.settings == {
        "clips": 1,
        "frames": 4,
        "size": 32,
        "dtype": "bfloat16",
        "step": "training",
        "mode": "eager",
    }


@pytest.mark.parametrize(
    ("name", "frames", "plain"),
    [
        ("tsm_en_resnet18", 24, "tsn_resnet18"),
        ("two_stream_tsn_resnet18", 8, "tsn_resnet18"),
        ("i3d_light_resnet18", 32, "tsn_resnet18"),
    ],
)
def test_networks_of_other_frames_and_channels(name: str, frames: int, plain: str) -> None:
    report = benchmark_model(name, image_size=32, device="cpu", rounds=1)
    assert list(report.networks) == [name, plain]
    assert report.settings["frames"] == frames
    own = report.networks[plain]
    same = create_on_meta(plain, frames)
    assert own["gmac"] == round(count_macs(same, (1, frames, 3, 32, 32)) / 1e9, 3)


@pytest.mark.parametrize(("modality", "channels"), [("flow", 10), ("rgb_diff", 18)])
def test_the_plain_network_sees_the_same_channels(tmp_path: Path, modality: Modality, channels: int) -> None:
    model = interlace.create_model("tsm_test_resnet", num_classes=3, num_segments=4, modality=modality)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("a", "b", "c"),
        sampling={"name": "segment", "num_segments": 4},
        preprocessing={
            **{"image_size": 32, "mean": list(model.mean), "std": list(model.std)},
            **{"color": "rgb", "modality": modality},
        },
    )
    path = save_checkpoint(tmp_path / "own.safetensors", model, card)
    report = benchmark_model(path, device="cpu", rounds=1)
    assert model.in_chans == channels
    tsm, tsn = report.networks.values()
    assert (tsm["gmac"], tsm["parameters_m"]) == (tsn["gmac"], tsn["parameters_m"])


def create_on_meta(name: str, num_segments: int) -> nn.Module:
    with torch.device("meta"):
        return interlace.create_model(name, num_classes=174, num_segments=num_segments)


def test_a_plain_network_is_compared_with_nothing() -> None:
    report = benchmark_model("tsn_test_resnet", image_size=32, num_segments=2, device="cpu", rounds=1)
    assert list(report.networks) == ["tsn_test_resnet"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"image_size": -1}, "image_size=-1 must be at least 1"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of float32, bfloat16, float16"),
        ({"optimize": True, "train": True}, "an optimised network is for inference"),
        ({"against": "tsn_resnet5"}, "there is no network 'tsn_resnet5'"),
    ],
)
def test_what_cannot_be_measured(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark_model("tin_test_resnet", device="cpu", **wrong)  # type: ignore[arg-type]
