from __future__ import annotations

import pytest
import torch

from interlace.checkpoints import ModelCard, read_card, save_checkpoint
from interlace.cli import main
from interlace.cli.ensemble import split_weights
from interlace.models import create_model


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("members")
    paths = []
    for num_segments in (2, 3):
        with torch.random.fork_rng():
            model = create_model("tsm_test_resnet", num_classes=2, num_segments=num_segments)
        card = ModelCard(
            model=model.builder,
            model_args=model.builder_args,
            labels=("wave", "clap"),
            sampling={"name": "segment", "num_segments": num_segments},
            preprocessing={
                "image_size": 32,
                "mean": list(model.mean),
                "std": list(model.std),
                "color": "rgb",
            },
        )
        paths.append(str(save_checkpoint(folder / f"{num_segments}.safetensors", model, card)))
    return paths


@pytest.mark.parametrize("weights", [["--weights", "1,1.5"], ["--weights", "1", "1.5"], ["--weights=1,1.5"]])
def test_one_file_out_of_several(tmp_path, members, weights, capsys):
    output = tmp_path / "new" / "e.safetensors"
    assert main(["ensemble", *members, *weights, "--output", str(output)]) == 0
    card = read_card(output)
    assert (card.model, card.num_segments, card.model_args["weights"]) == ("ensemble", 5, [1.0, 1.5])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"1 x {members[0]} (tsm_test_resnet, 2 frames, rgb)",
        f"1.5 x {members[1]} (tsm_test_resnet, 3 frames, rgb)",
        f"written: {output}",
    ]


def test_an_existing_file_stays(tmp_path, members, capsys):
    output = tmp_path / "e.safetensors"
    output.write_text("mine")
    assert main(["ensemble", *members, "--output", str(output)]) == 1
    assert f"{output} exists; give another --output, or --overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main(["ensemble", *members, "--output", str(output), "--overwrite", "--average", "logits"]) == 0
    assert read_card(output).model_args["average"] == "logits"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "e.pth"], "e.pth: a checkpoint ends in .safetensors"),
        (["--output", "e.safetensors", "--weights", "1"], "1 weights for 2 checkpoints"),
        (["absent.safetensors", "--output", "e.safetensors"], "absent.safetensors: there is no such file"),
    ],
)
def test_errors_in_one_line(members, words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["ensemble", *members, *words]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_weights_with_commas():
    words = ["a,b.safetensors", "--weights", "1,2", "3", "--output", "c,d"]
    assert split_weights(words) == ["a,b.safetensors", "--weights", "1", "2", "3", "--output", "c,d"]
