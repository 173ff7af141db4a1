"""`interlace import` as a person meets it: what it prints, what it writes, and what it says of a wrong file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

import interlace
from interlace.cli import VERBS, main


@pytest.fixture
def tsm(tmp_path: Path) -> Path:
    """A TSM on ResNet-18 of four classes as its authors' code saves it; the name of the file says something else."""
    network = timm.create_model("resnet18", num_classes=0)
    state = {
        f"module.base_model.{name.replace('conv1', 'conv1.net') if '.conv1.' in name else name}": value
        for name, value in network.state_dict().items()
    }
    state |= {"module.new_fc.weight": torch.randn(4, 512), "module.new_fc.bias": torch.randn(4)}
    path = tmp_path / "TIN_kinetics_RGB_resnet101_segment16.pth.tar"
    torch.save({"epoch": 50, "arch": "resnet18", "state_dict": state, "best_prec1": 41.25}, path)
    return path


def test_import_prints_what_it_found_and_the_checkpoint_predicts(tsm, make_video, tmp_path, capsys):
    output, labels = tmp_path / "tsm.safetensors", tmp_path / "category.txt"
    labels.write_text("fall\nlift\nopen\nturn\n")
    command = ["import", str(tsm), "--output", str(output), "--labels", str(labels), "--num-segments", "4"]
    assert main([*command, "--image-size", "32"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"read:     {tsm}",
        "format:   tsm",
        "network:  tsm_resnet18, fold_div=8",
        "sees:     4 frames of 32 x 32, rgb",
        "classes:  4 (fall, lift, open, ...)",
        "assumed:  fold_div=8: a shift has no weights",
        f"written:  {output}",
        f"try it:   interlace predict VIDEO --model {output}",
    ]
    recognizer = interlace.load(output, device="cpu")
    training = recognizer.card.training
    assert (training["imported_from"], training["epoch"], training["best_prec1"]) == ("tsm", 50, 41.25)
    told = subprocess.run(["sha256sum", str(tsm)], capture_output=True, text=True, check=True).stdout
    assert training["sha256"] == told.split()[0]
    prediction = recognizer(make_video(tmp_path / "clip.mp4"))
    assert {label for label, _ in prediction.top} == {"fall", "lift", "open", "turn"}
    assert main(["predict", str(tmp_path / "clip.mp4"), "--model", str(output), "--device", "cpu"]) == 0


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("a\nb\nc\nd\n", ("a", "b", "c", "d")),
        ("1 a\n2 b\n3 c\n4 d\n", ("a", "b", "c", "d")),
        ('{"d": "0", "c": "1", "b": "2", "a": "3"}', ("d", "c", "b", "a")),
    ],
)
def test_label_files_in_use(tsm, labels, names, tmp_path, capsys):
    file = tmp_path / "labels"
    file.write_text(labels)
    assert main(["import", str(tsm), "--output", str(tmp_path / "o.safetensors"), "--labels", str(file)]) == 0
    assert interlace.load(tmp_path / "o.safetensors", device="cpu").card.labels == names
    assert "assumed:  labels" not in capsys.readouterr().out


def test_what_was_assumed_is_said(tsm, tmp_path, capsys):
    assert main(["import", str(tsm), "--output", str(tmp_path / "o.safetensors"), "--multi-label"]) == 0
    assumed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("assumed: ")]
    assert [line.split(":")[1].strip().split("=")[0] for line in assumed] == [
        "num_segments",
        "fold_div",
        "labels",
    ]
    assert interlace.load(tmp_path / "o.safetensors", device="cpu").card.multi_label


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--format", "tin"], 1, "its names are not those of tin in particular; it looks like tsm"),
        (["--format", "mmaction2"], 1, r"not one of its 122 names is of mmaction2; it looks like tsm"),
        (["--format", "tsn"], 2, "x-temporal"),
        (["--labels", "LABELS"], 1, "2 labels, but .* tells 4 classes apart"),
        (["--num-segments", "0"], 1, "num_segments=0 must be at least 1"),
        (["--nmu-segments", "8"], 2, "did you mean 'num_segments'"),
    ],
)
def test_errors_name_the_file_and_the_remedy(tsm, options, status, message, tmp_path, capsys):
    (tmp_path / "LABELS").write_text("a\nb\n")
    options = [str(tmp_path / "LABELS") if word == "LABELS" else word for word in options]
    command = ["import", str(tsm), "--output", str(tmp_path / "o.safetensors"), *options]
    if status == 2:
        with pytest.raises(SystemExit) as left:
            main(command)
        assert left.value.code == 2
    else:
        assert main(command) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(message, error)
    assert not (tmp_path / "o.safetensors").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("o.pth", "a checkpoint is written as .safetensors"),
        ("folder.safetensors", "a folder; name the file to write"),
    ],
)
def test_the_output_is_a_safetensors_file(tsm, output, message, tmp_path, capsys):
    (tmp_path / "folder.safetensors").mkdir()
    assert main(["import", str(tsm), "--output", str(tmp_path / output)]) == 1
    assert message in capsys.readouterr().err


def test_a_checkpoint_of_ours_needs_no_import(tsm, tmp_path, capsys):
    output = tmp_path / "o.safetensors"
    assert main(["import", str(tsm), "--output", str(output)]) == 0
    assert main(["import", str(output), "--output", str(tmp_path / "again.safetensors")]) == 1
    assert f"{output}: already a checkpoint of interlace" in capsys.readouterr().err


def test_the_verb_is_listed_and_explained(capsys):
    assert "import" in VERBS
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "No code of the file is run" in told
    assert "tsm-mobilenetv2" in told


def test_help_loads_no_torch():
    code = "import sys; from interlace.cli import import_checkpoint; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"


def test_a_file_that_is_there_is_not_replaced_unasked(tsm, tmp_path, capsys):
    output = tmp_path / "tsm.safetensors"
    output.write_bytes(b"the work of a week")
    command = ["import", str(tsm), "--output", str(output), "--image-size", "32"]
    assert main(command) == 1
    assert f"{output} exists; give another --output, or --overwrite" in capsys.readouterr().err
    assert output.read_bytes() == b"the work of a week"
    assert main([*command, "--overwrite"]) == 0
    assert interlace.load(output, device="cpu").card.model == "tsm_resnet18"
