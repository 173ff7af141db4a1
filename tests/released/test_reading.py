"""What is a file of weights, what is refused and why; nothing of a file is run."""

from __future__ import annotations

import argparse
import gzip
import io
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from interlace.released import ReleasedError
from interlace.released.reading import read_source, sha256

STATE = {"module.new_fc.weight": torch.ones(3, 2), "module.new_fc.bias": torch.zeros(3)}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        OrderedDict(STATE),
        {"state_dict": STATE, "epoch": 45, "arch": "resnet50"},
        {
            "model": STATE,
            "lr_scheduler": {"last_epoch": 3},
            "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
        },
        {"net_state_dict": STATE, "iteration": 7},
        {"model": {"state_dict": STATE}},
        {"state_dict": {f"module.{name}": value for name, value in STATE.items()}},
        {"state_dict": {name: nn.Parameter(value) for name, value in STATE.items()}},
        {"state_dict": STATE, "best_prec1": torch.tensor(45.5), "loss": torch.zeros(3)},
    ],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_weights_are_found_in_training_states(content, new_format, tmp_path):
    torch.save(content, tmp_path / "file.pth.tar", _use_new_zipfile_serialization=new_format)
    state = read_source(tmp_path / "file.pth.tar").state
    assert list(state) == ["new_fc.weight", "new_fc.bias"]
    assert torch.equal(state["new_fc.weight"], torch.ones(3, 2))


def test_a_training_state_that_holds_itself_ends(tmp_path):
    state = {"epoch": 3}
    state["model"] = state
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(ReleasedError, match="no weights in it"):
        read_source(tmp_path / "file.pth")


def test_safetensors_are_read(tmp_path):
    save_file(STATE, tmp_path / "file.safetensors")
    assert list(read_source(tmp_path / "file.safetensors").state) == ["new_fc.bias", "new_fc.weight"]


def test_numpy_numbers_and_a_parsed_command_line_are_harmless(tmp_path):
    content = {
        "state_dict": STATE,
        "epoch": np.int64(40),
        "best_prec1": np.float64(45.5),
        "half": np.float32(1.5),
        "args": argparse.Namespace(arch="resnet50", gpus=[0, 1]),
    }
    torch.save(content, tmp_path / "file.pth.tar")
    source = read_source(tmp_path / "file.pth.tar")
    assert source.facts == {"epoch": 40.0, "best_prec1": 45.5}
    assert source.entries == {"epoch", "best_prec1", "half", "args"}


def test_the_names_that_numpy_1_wrote_are_known(tmp_path):
    buffer = io.BytesIO()
    torch.save(
        {"state_dict": STATE, "best_prec1": np.float64(1.25)}, buffer, _use_new_zipfile_serialization=False
    )
    old = buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "file.pth").write_bytes(old)
    assert read_source(tmp_path / "file.pth").facts == {"best_prec1": 1.25}


class Malicious:
    """Makes a file when it is unpickled without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_pickle_that_would_run_code_does_not(tmp_path):
    marker = tmp_path / "code-has-run"
    with (tmp_path / "plain.pkl").open("wb") as file:
        pickle.dump({"state_dict": Malicious(marker)}, file)
    torch.save({"state_dict": STATE, "epoch": Malicious(marker)}, tmp_path / "state.pth")
    for name in ("plain.pkl", "state.pth"):
        with pytest.raises(ReleasedError, match="write the weights alone"):
            read_source(tmp_path / name)
    assert not marker.exists()
    with (tmp_path / "plain.pkl").open("rb") as file:
        pickle.load(file)
    assert marker.exists()  # so the files are what they are said to be


def whole_model(path: Path) -> None:
    torch.save(nn.Linear(3, 2), path)


def scripted(path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), path)


def onnx(path: Path) -> None:
    path.write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x80\x01")


def packed(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("ckpt.pth"))


def plain_tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("ckpt.pth"))


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def truncated(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-700])


def truncated_old(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-20])


def truncated_safetensors(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (whole_model, r"not plain weights: it holds torch\.nn\.modules\.linear\.Linear"),
        (scripted, "a TorchScript program"),
        (onnx, "an ONNX graph"),
        (packed, "a packed archive; unpack it"),
        (plain_tar, "a packed archive; unpack it"),
        (other_zip, r"a zip archive without weights \(readme.txt"),
        (truncated, "a file that breaks off: its end is missing; download it again"),
        (truncated_old, "a file that breaks off; download it again"),
        (truncated_safetensors, "not a whole .safetensors file"),
        (lambda path: path.write_bytes(b""), "an empty file; download it again"),
        (lambda path: path.write_text("\n<!DOCTYPE html><title>Quota exceeded"), "a web page, not weights"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
        (
            lambda path: path.write_text("hello, this is no file of weights"),
            r"not a file of weights \(KeyError",
        ),
        (
            lambda path: torch.save(STATE, path, pickle_protocol=4),
            r"not a plain file of PyTorch weights \(Unsupported operand",
        ),
        (lambda path: path.write_bytes(gzip.compress(b"x")), "a packed archive"),
        (lambda path: path.mkdir(), "a folder; name the file of weights in it"),
        (lambda _: None, "there is no such file"),
        (lambda path: torch.save({}, path), "no weights in it, but nothing at all"),
        (lambda path: torch.save([torch.zeros(3)], path), "no names with weights in it, but a list"),
        (
            lambda path: torch.save({"epoch": 3, "arch": "tin"}, path),
            r"no weights in it, but epoch \(int\), arch",
        ),
        (
            lambda path: torch.save({"a": torch.zeros(1), "b": 3}, path),
            "1 of its weights are not tensors, e.g. b",
        ),
        (lambda path: torch.save({"a": torch.tensor([float("nan")])}, path), "a holds NaN or infinity"),
        (
            lambda path: torch.save({"a": torch.zeros(1), "module.a": torch.zeros(1)}, path),
            "it has a twice, with a prefix and without",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_other_files_are_refused_with_the_reason(make, message, tmp_path):
    path = tmp_path / "file.pth"
    make(path)
    with pytest.raises(ReleasedError, match=message) as error:
        read_source(path)
    assert str(error.value).startswith(f"{path}: ")


def test_the_checksum_is_that_of_sha256sum(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
