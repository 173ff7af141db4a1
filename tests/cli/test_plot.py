from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from interlace.cli import main
from interlace.cli.plot import spread, watch_offsets
from interlace.data.annotations import read_annotations
from interlace.data.dataset import ViewDataset
from interlace.data.sampling import SegmentSampling
from interlace.data.transforms import Preprocess
from interlace.temporal import record_offsets


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video):
    """Two classes of three clips."""
    root = tmp_path_factory.mktemp("clips")
    for name, frames in (("long", 12), ("short", 5)):
        for number in range(3):
            make_video(root / name / f"{number}.mp4", num_frames=frames + number, size=(40, 36))
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Makes a checkpoint of a network by name."""
    folder = tmp_path_factory.mktemp("models")

    def make(name: str = "tin_test_resnet", num_segments: int = 4):
        torch.manual_seed(0)
        model = interlace.create_model(name, num_classes=2, num_segments=num_segments)
        card = ModelCard(
            model=model.builder,
            model_args=model.builder_args,
            labels=("long", "short"),
            sampling=SegmentSampling(num_segments).to_dict(),
            preprocessing={"image_size": 32, "mean": model.mean, "std": model.std, "color": "rgb"},
        )
        return save_checkpoint(folder / f"{name}-{num_segments}.safetensors", model, card)

    return make


def test_means_are_those_worked_out_by_hand(clips, checkpoint):
    """Clip by clip in float64, against batches of 4 and 2."""
    model, card = load_checkpoint(checkpoint())
    annotations = read_annotations(clips, classes=card.labels)
    layers = watch_offsets(model, card, annotations, batch_size=4).layers()

    views = ViewDataset(annotations, SegmentSampling(4), 1, "center", 32)
    preprocess = Preprocess(model.mean, model.std)
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    with record_offsets(model) as records, torch.no_grad():
        for item in views:
            model(preprocess(item["views"]))
            for name, (offset, weight) in records.items():
                found.setdefault(name, []).append((offset[0].double(), weight[0].double()))
    assert [layer.name for layer in layers] == list(found)
    assert len(found) == sum(name.endswith(".temporal") for name, _ in model.named_modules())
    for layer in layers:
        offsets, weights = (torch.stack(parts) for parts in zip(*found[layer.name], strict=True))
        assert offsets.shape == (6, 4)
        # float32 networks differ in their last bits with the batch
        np.testing.assert_allclose(layer.offset, offsets.mean(0), atol=1e-6)
        np.testing.assert_allclose(layer.offset_spread, offsets.std(0, correction=0), atol=1e-6)
        np.testing.assert_allclose(layer.weight, weights.mean(0), atol=1e-6)
        np.testing.assert_allclose(layer.weight_spread, weights.std(0, correction=0), atol=1e-6)


def test_a_picture_and_its_numbers_beside_the_checkpoint(clips, checkpoint, capsys):
    path = checkpoint()
    assert main(["plot", "offsets", str(path), str(clips), "--num_workers", "0"]) == 0
    picture = path.with_name("tin_test_resnet-4-offsets.png")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert f"picture: {picture}" in capsys.readouterr().out
    numbers = json.loads(picture.with_suffix(".json").read_text())
    assert numbers["networks"][0]["num_clips"] == 6
    assert numbers["series"][0]["title"] == "tin_test_resnet, 4 frames"
    model, card = load_checkpoint(path)
    wanted = watch_offsets(model, card, read_annotations(clips, classes=card.labels)).layers()
    assert [layer["name"] for layer in numbers["series"][0]["layers"]] == [layer.name for layer in wanted]
    for layer, right in zip(numbers["series"][0]["layers"], wanted, strict=True):
        np.testing.assert_allclose(layer["weight"], right.weight, rtol=1e-12)
    assert picture.with_suffix(".csv").read_text().startswith("network,depth,layer")


def test_several_networks_and_a_part_of_the_clips(clips, checkpoint, tmp_path):
    models = [str(checkpoint()), str(checkpoint(num_segments=6))]
    more = ["--num-clips", "3", "--num_workers", "0"]
    assert (
        main(["plot", "offsets", *models, "--data", str(clips), *more, "--output", str(tmp_path / "a.png")])
        == 0
    )
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert [one["title"] for one in numbers["series"]] == [
        f"{Path(model).parent.name}/{Path(model).stem}, tin_test_resnet, {frames} frames"
        for model, frames in zip(models, (4, 6), strict=True)
    ]
    assert [network["num_clips"] for network in numbers["networks"]] == [3, 3]
    assert main(["plot", "offsets", *models, str(clips), *more, "--output", str(tmp_path / "folder")]) == 0
    again = json.loads((tmp_path / "folder" / "tin_test_resnet-4-offsets.json").read_text())
    assert again["series"] == numbers["series"]


def test_clips_are_spread_over_the_list(clips):
    annotations = read_annotations(clips)
    labels = lambda number: [sample.labels[0] for sample in spread(annotations, number).samples]  # noqa: E731
    assert [labels(number) for number in (1, 2, 3, 4)] == [[1], [0, 1], [0, 1, 1], [0, 0, 1, 1]]
    assert spread(annotations, 6) is spread(annotations, None) is annotations
    assert spread(annotations, 2).source.endswith("; 2 of 6")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tsn}", "{clips}"], "tsn_test_resnet has no TIN modules.*interlace models 'tin"),
        (["{tin}"], "give a checkpoint and the folder"),
        (["{clips}"], "give a checkpoint and the folder"),
        (["{tin}", "{clips}", "--num_clips", "0"], "--num_clips 0 must be at least 1"),
        (["{clips}/none.safetensors", "{clips}"], "there is no such file"),
        (["{tin}", "{clips}", "--output", "a.pdf"], "--output a.pdf: the picture is a PNG"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(arguments, message, clips, checkpoint, capsys):
    names = {"tin": checkpoint(), "tsn": checkpoint("tsn_test_resnet"), "clips": clips}
    assert main(["plot", "offsets", *(word.format(**names) for word in arguments)]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error


def test_a_diverged_network_is_an_error(clips, checkpoint, tmp_path, capsys):
    model, card = load_checkpoint(checkpoint())
    model.backbone.layer2[0].conv1.temporal.offset_net.fc2.bias.data.fill_(float("nan"))
    broken = save_checkpoint(tmp_path / "broken.safetensors", model, card)
    assert main(["plot", "offsets", str(broken), str(clips), "--num_workers", "0"]) == 1
    assert f"{broken}: backbone.layer2.0.conv1.temporal gives offsets" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))


def test_another_picture_is_unknown(capsys):
    with pytest.raises(SystemExit):
        main(["plot", "weights", "model", "data"])
    assert "offsets" in capsys.readouterr().err


def test_the_picture_is_no_file_of_another_kind(clips, checkpoint, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    assert main(["plot", "offsets", str(checkpoint()), str(clips), "--output", str(tmp_path / "file")]) == 1
    said = capsys.readouterr()
    assert "file is a file; give a folder, or a name that ends in .png" in said.err
    assert said.out == ""  # before any clip was looked at
    monkeypatch.chdir(checkpoint().parent)
    models = ["tin_test_resnet-4.safetensors"] * 2
    output = ["--output", str(tmp_path / "a.png"), "--num-clips", "1", "--num_workers", "0"]
    assert main(["plot", "offsets", *models, str(clips), *output]) == 0
    titles = [one["title"] for one in json.loads((tmp_path / "a.json").read_text())["series"]]
    assert titles == ["tin_test_resnet-4, tin_test_resnet, 4 frames"] * 2
