"""`interlace benchmark` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from interlace.cli.benchmark import run

SMALL = ["--image-size", "32", "--num-segments", "4", "--rounds", "1", "--device", "cpu"]


def test_table_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "numbers.json"
    assert run(["tin_test_resnet", *SMALL, "--batch", "2", "--no-optimize", "--json", str(file)]) == 0
    text = capsys.readouterr().out
    for word in (
        "machine:",
        "clips/s",
        "GMAC/clip",
        "peak MiB",
        "tsn_test_resnet",
        "where the time of tin_test_resnet goes",
        "written:",
    ):
        assert word in text
    numbers = json.loads(file.read_text())
    assert numbers["settings"]["clips"] == 2
    assert numbers["networks"]["tsn_test_resnet"]["ratio"] == 1.0
    assert {"commit", "versions", "machine", "shares"} <= set(numbers)


def test_training_against_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tin_test_resnet", *SMALL, "--train", "--against", "tsm_test_resnet"]) == 0
    text = capsys.readouterr().out
    assert "step training" in text
    assert "tsm_test_resnet" in text
    assert "tsn_test_resnet" not in text


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        run(["tsn_test_resnet", *SMALL, "--threads", "1"])
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tin_resnet5"], "there is no network 'tin_resnet5'"),
        (["nothing.safetensors"], "nothing.safetensors: there is no such file"),
        (["tin_test_resnet", "--threads", "0"], "--threads 0 must be at least 1"),
        (["tin_test_resnet", "--batch", "0"], "--batch 0 must be at least 1"),
        (["tin_test_resnet", "--optimize", "--train"], "an optimised network is for inference"),
        (["tin_test_resnet", "--device", "tpu"], "device 'tpu' cannot be used"),
    ],
)
def test_errors_say_what_to_change(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(arguments)


def test_an_unknown_option_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["tin_test_resnet", "--round", "3"])
    assert "did you mean 'rounds'" in capsys.readouterr().err
