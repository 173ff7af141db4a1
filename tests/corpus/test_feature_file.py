"""Features in one file: the same bytes however often the run was interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from interlace.corpus import feature_file
from interlace.corpus.feature_file import write_features
from interlace.corpus.network import Network, read_network
from interlace.corpus.work import Describing, How
from interlace.inference.batch import expand

WORK = Describing("features", 1, How(device="cpu"))


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> Network:
    return read_network(checkpoint)


def stop_at(position: int) -> object:
    def progress(done: int, total: int, path: Path) -> None:
        if done == position:
            raise KeyboardInterrupt

    return progress


def test_both_kinds_of_file_hold_the_features_of_each_video(
    tmp_path: Path, videos: Path, network: Network
) -> None:
    paths = expand([videos])
    matrix, table = tmp_path / "f.safetensors", tmp_path / "f.parquet"
    done, errors = write_features(paths, matrix, WORK, network)
    assert done == 8
    assert {Path(path).name: reason for path, reason in errors.items()} == {
        "broken.mp4": "not a video that FFmpeg can read; replace the file",
        "empty.mp4": "the file is empty (0 bytes); get it again",
    }
    assert write_features(paths, table, WORK, network) == (8, errors)
    extractor = WORK.extractor(network)
    good = [path for path in paths if str(path) not in errors]
    wanted = np.stack([extractor(path).values for path in good])
    assert wanted.shape == (6, 96)
    np.testing.assert_array_equal(load_file(matrix)["features"], wanted)
    with safe_open(matrix, framework="numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["paths"]) == [str(path) for path in good]
    assert json.loads(metadata["errors"]) == errors
    rows = {row["path"]: row for row in pq.read_table(table).to_pylist()}
    assert list(rows) == [str(path) for path in paths]
    for path, features in zip(good, wanted, strict=True):
        assert rows[str(path)]["features"] == features.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.parquet", "f.safetensors"]
    shutil.copytree(tmp_path, tmp_path / "f.safetensors.parts")  # killed before they were removed
    assert write_features(paths, matrix, WORK, network) == (0, errors)
    assert not (tmp_path / "f.safetensors.parts").exists()
    assert write_features(paths, table, WORK, network) == (0, errors)


@pytest.mark.parametrize("name", ["f.safetensors", "f.parquet"])
def test_an_interrupted_run_goes_on_and_writes_the_same_bytes(
    tmp_path: Path, videos: Path, network: Network, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_file, "VIDEOS_PER_PART", 2)
    paths, wanted, output = expand([videos]), tmp_path / "whole" / name, tmp_path / "stopped" / name
    write_features(paths, wanted, WORK, network)
    for position in (5, 7):
        with pytest.raises(KeyboardInterrupt):
            write_features(paths, output, WORK, network, stop_at(position))
        assert not output.exists()
    done, _ = write_features(paths, output, WORK, network)
    assert done == 2  # the last part; of eight videos four, then two were done before
    assert output.read_bytes() == wanted.read_bytes()
    assert [path.name for path in output.parent.iterdir()] == [name]


def test_other_videos_and_other_settings_are_refused(tmp_path: Path, videos: Path, network: Network) -> None:
    paths, output = expand([videos])[:3], tmp_path / "f.safetensors"
    write_features(paths, output, WORK, network)
    with pytest.raises(ValueError, match="holds other videos"):
        write_features(paths[:2], output, WORK, network)
    with pytest.raises(ValueError, match="made with other settings"):
        write_features(paths, output, Describing("logits", 1, How(device="cpu")), network)
    output.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no file of features"):
        write_features(paths, output, WORK, network)
    with pytest.raises(KeyboardInterrupt):
        write_features(paths, tmp_path / "g.parquet", WORK, network, stop_at(0))
    with pytest.raises(ValueError, match=r"other settings \(what \"features\" there, \"frames\" now\)"):
        write_features(paths, tmp_path / "g.parquet", Describing("frames", 1, How(device="cpu")), network)


def test_videos_that_come_while_it_is_stopped_are_taken_along(
    tmp_path: Path, videos: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_file, "VIDEOS_PER_PART", 2)
    paths, output = expand([videos]), tmp_path / "f.safetensors"
    with pytest.raises(KeyboardInterrupt):
        write_features(paths[3:], output, WORK, network, stop_at(3))
    done, _ = write_features(paths, output, WORK, network)
    assert done == 6
    write_features(paths, tmp_path / "anew.safetensors", WORK, network)
    np.testing.assert_array_equal(
        load_file(output)["features"], load_file(tmp_path / "anew.safetensors")["features"]
    )


def test_names_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown format '.csv'; end the name in .parquet or .safetensors"):
        feature_file.check_output(tmp_path / "f.csv")
    (tmp_path / "f.parquet").mkdir()
    with pytest.raises(ValueError, match="is a folder; name a file"):
        feature_file.check_output(tmp_path / "f.parquet")
