"""Settings on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from interlace.training.config import TrainConfig
from interlace.training.run_folder import differences, open_run_folder, to_plain


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
