from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.inference import Recognizer
from interlace.inference.batch import AnswerOptions
from interlace.inference.settings import fingerprint, settings_of, source_of


def test_the_network_and_all_options_are_settings(
    make_recognizer: Callable[..., Recognizer], tmp_path: Path
) -> None:
    recognizer = make_recognizer()
    with pytest.raises(ValueError, match="comes from no file"):
        settings_of(recognizer, AnswerOptions())
    recognizer.path = tmp_path / "best.safetensors"
    recognizer.path.write_bytes(b"weights")
    before = settings_of(recognizer, AnswerOptions(top_k=3, hop_seconds=0.5))
    assert before | {"interlace": ""} == {
        "top_k": 3,
        "timeline": "auto",
        "window_seconds": None,
        "hop_seconds": 0.5,
        "frames": None,
        "flow": None,
        "optimize": False,
        "device": "cpu",
        "model": "best.safetensors",
        "model_sha256": hashlib.sha256(b"weights").hexdigest(),
        "interlace": "",
    }
    recognizer.path.write_bytes(b"others")
    after = settings_of(recognizer, AnswerOptions(top_k=3, hop_seconds=0.5))
    assert {name for name in before if before[name] != after[name]} == {"model_sha256"}


def test_the_weights_beside_an_openvino_file_count(tmp_path: Path) -> None:
    graph, weights = tmp_path / "model.xml", tmp_path / "model.bin"
    graph.write_bytes(b"<net/>")
    alone = fingerprint(graph)
    weights.write_bytes(b"1")
    first = fingerprint(graph)
    weights.write_bytes(b"2")
    assert len({alone, first, fingerprint(graph)}) == 3
    other = tmp_path / "model.onnx"
    other.write_bytes(b"<net/>")
    assert fingerprint(other) == alone  # model.bin is not its own


def test_a_folder_of_pictures_changes_with_each_of_them(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"x" * (number + 2))
        os.utime(tmp_path / f"{number}.jpg", ns=(0, 10**9 * number))
    os.utime(tmp_path, ns=(0, 10**9))
    assert source_of(tmp_path) == [9, 2 * 10**9]
    (tmp_path / "1.jpg").write_bytes(b"yyy")  # in place: the folder's own time stays
    os.utime(tmp_path / "1.jpg", ns=(0, 3 * 10**9))
    os.utime(tmp_path, ns=(0, 10**9))
    assert source_of(tmp_path) == [9, 3 * 10**9]


def test_what_has_gone_or_cannot_be_looked_at_has_no_source(tmp_path: Path) -> None:
    assert source_of(tmp_path / "absent.mp4") is None
    (tmp_path / "link.mp4").symlink_to(tmp_path / "link.mp4")
    assert source_of(tmp_path / "link.mp4") is None
    assert source_of(tmp_path / ("x" * 300)) is None
