"""Settings on disk."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from interlace.training.config import TrainConfig, TrainerConfig
from interlace.training.run import train
from interlace.training.run_folder import differences, open_run_folder, require_whole, to_plain


def test_differences_are_named_by_their_path():
    old = {"a": 1, "b": {"c": [1, 2], "d": 3}}
    new = {"a": 1, "b": {"c": [1, 3], "e": 4}}
    assert list(differences(old, new)) == [("b.c", [1, 2], [1, 3]), ("b.d", 3, None), ("b.e", None, 4)]


def test_a_failed_start_is_not_a_run(tmp_path):
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run")
    assert open_run_folder(config, device="cpu") is None
    assert open_run_folder(config, device="cpu") is None  # no checkpoint yet: nothing to lose
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert written["augment"]["crop_area"] == [0.3, 1.0]
    assert written["data"] == "clips"


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert open_run_folder(TrainConfig(data=Path("clips"), output=tmp_path / "run"), device="cpu") is None
    assert not (tmp_path / "run").exists()


def test_plain_values():
    assert to_plain({"a": (Path("b/c"), None, True)}) == {"a": ["b/c", None, True]}


def test_a_run_of_before_there_was_a_setting_goes_on(tmp_path):
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", resume=True)
    open_run_folder(config, device="cpu")
    file = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    del settings["modality"], settings["flow"], settings["decode"]["cache"]
    file.write_text(yaml.safe_dump(settings))
    (tmp_path / "run" / "last.ckpt").touch()
    assert open_run_folder(config, device="cpu") == tmp_path / "run" / "last.ckpt"
    with pytest.raises(ValueError, match="modality was 'auto' and is 'flow' now"):
        open_run_folder(replace(config, modality="flow"), device="cpu")


def test_a_run_of_when_the_name_was_of_another_network_does_not_go_on(tmp_path):
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", model="tin_resnet18", resume=True)
    open_run_folder(config, device="cpu")
    (tmp_path / "run" / "last.ckpt").touch()
    assert open_run_folder(config, device="cpu") is not None
    about = tmp_path / "run" / "environment.json"
    facts = json.loads(about.read_text())
    del facts["format"]
    about.write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r'tin_resnet18 was another network.*"initial_offset": 0\.5'):
        open_run_folder(config, device="cpu")


@pytest.mark.parametrize("text", ['{"format": 2', '{"format": "two"}', "[]"])
def test_a_damaged_record_of_what_a_run_began_in_is_named(tmp_path, text):
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", model="tin_resnet18", resume=True)
    open_run_folder(config, device="cpu")
    (tmp_path / "run" / "last.ckpt").touch()
    (tmp_path / "run" / "environment.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"environment\.json: damaged .* begin a new run with another --output"
    ):
        open_run_folder(config, device="cpu")


@pytest.mark.parametrize("name", ["tin_resnet18", "tsm_resnet50"])
def test_a_run_of_when_the_numbers_were_written_goes_on(tmp_path, name):
    """Both were numbers before they could be left to the network."""
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", model=name, resume=True)
    open_run_folder(config, device="cpu")
    file = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    assert (settings["num_segments"], settings["augment"]["crop_scales"]) == (None, None)
    settings["num_segments"], settings["augment"]["crop_scales"] = 8, [1.0, 0.875, 0.75, 0.66]
    file.write_text(yaml.safe_dump(settings))
    (tmp_path / "run" / "last.ckpt").touch()
    assert open_run_folder(config, device="cpu") == tmp_path / "run" / "last.ckpt"
    with pytest.raises(ValueError, match="num_segments was 8 and is 16 now"):
        open_run_folder(replace(config, num_segments=16), device="cpu")
    with pytest.raises(ValueError, match="crop_scales was"):
        open_run_folder(replace(config, modality="flow"), device="cpu")


def test_another_number_of_devices_needs_as_many_clips_a_step(tmp_path):
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", resume=True, batch_size=6)
    open_run_folder(config, device="cpu")
    (tmp_path / "run" / "last.ckpt").touch()

    def go_on(devices: int, batch_size: int, nodes: int = 1) -> Path | None:
        trainer = TrainerConfig(devices=devices, num_nodes=nodes, strategy="fsdp")
        return open_run_folder(replace(config, batch_size=batch_size, trainer=trainer), device="cpu")

    checkpoint = tmp_path / "run" / "last.ckpt"
    assert go_on(2, 3) == go_on(1, 1, nodes=6) == checkpoint
    with pytest.raises(ValueError, match=r"a step had 6 clips \(1 x 6\); on 3 devices give --batch_size 2"):
        go_on(3, 6)
    with pytest.raises(
        ValueError, match=r"6 clips .*, which 4 devices cannot share; take one of \[1, 2, 3, 6\]"
    ):
        go_on(4, 6)


class Evil:
    """A pickle that makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def _flip_a_bit(checkpoint: Path, mark: Path) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[content.index(torch.tensor([4.5, 5.5]).numpy().tobytes()) + 2] ^= 1
    checkpoint.write_bytes(content)


def _cut_off(checkpoint: Path, mark: Path) -> None:
    os.truncate(checkpoint, checkpoint.stat().st_size - 1)


def _empty(checkpoint: Path, mark: Path) -> None:
    checkpoint.write_bytes(b"")


def _hold_code(checkpoint: Path, mark: Path) -> None:
    torch.save({"epoch": 3, "callbacks": Evil(mark)}, checkpoint)


def _be_a_pickle(checkpoint: Path, mark: Path) -> None:
    checkpoint.write_bytes(pickle.dumps({"epoch": Evil(mark)}))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_flip_a_bit, "last/data/0"),
        (_cut_off, "File is not a zip file"),
        (_empty, "File is not a zip file"),
        (_hold_code, "it would run posix.system"),
        (_be_a_pickle, "File is not a zip file"),
    ],
)
def test_a_damaged_or_hostile_last_checkpoint_is_refused_and_nothing_is_changed(
    tmp_path: Path, harm: Callable[[Path, Path], None], told: str
) -> None:
    config = TrainConfig(data=Path("clips"), output=tmp_path / "run", resume=True)
    open_run_folder(config, device="cpu")
    checkpoint, mark = tmp_path / "run" / "last.ckpt", tmp_path / "mark"
    torch.save({"epoch": 3, "state_dict": {"weight": torch.tensor([4.5, 5.5])}}, checkpoint)
    require_whole(checkpoint)
    harm(checkpoint, mark)
    before = checkpoint.read_bytes()
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged \(") as error:
        train(config)
    line = str(error.value)
    assert told in line
    assert "restore it from a copy, or begin a new run with another --output" in line
    assert "\n" not in line
    assert checkpoint.read_bytes() == before
    assert not mark.exists()
