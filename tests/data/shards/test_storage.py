"""Reading and putting files, in a folder and in a store."""

from __future__ import annotations

import builtins
from contextlib import suppress
from pathlib import Path

import pytest

from interlace.data.shards.storage import ATTEMPTS, StorageError, open_storage


@pytest.mark.parametrize("place", ["folder", "counted://box/folder"])
def test_write_read_size_remove(place, counted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = open_storage(Path(place))
    assert storage.size("a.bin") is None
    storage.write("a.bin", b"0123456789")
    assert storage.size("a.bin") == 10
    assert storage.read("a.bin") == b"0123456789"
    assert storage.read("a.bin", 3, 7) == b"3456"
    assert storage.read("a.bin", 8, 40) == b"89"
    storage.remove("a.bin")
    storage.remove("a.bin")
    assert storage.size("a.bin") is None
    with pytest.raises(
        StorageError, match=f"^{place}/a.bin: cannot be read \\(there is no such file\\); check"
    ):
        storage.read("a.bin")


@pytest.mark.parametrize("place", ["folder", "counted://box/folder"])
def test_what_fails_midway_is_not_there(place, counted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = open_storage(place)
    with suppress(KeyError), storage.writing("a.tar") as file:
        file.write_bytes(b"half")
        raise KeyError
    assert storage.size("a.tar") is None


def test_a_lost_connection_is_tried_again(counted):
    storage = open_storage("counted://box")
    counted.failures += [ConnectionResetError(104, "Connection reset")] * (ATTEMPTS - 1)
    storage.write("a", b"whole")
    counted.failures += [TimeoutError("s3://me:secret@host timed out")] * (ATTEMPTS - 1)
    assert storage.read("a") == b"whole"
    counted.failures += [TimeoutError("s3://me:secret@host timed out")] * ATTEMPTS
    with pytest.raises(
        StorageError, match=r"after 3 attempts: s3://\*\*\*@host timed out\); check"
    ) as caught:
        storage.read("a")
    assert "secret" not in str(caught.value)
    assert not counted.failures


def test_no_rights_and_no_bucket_are_final(counted):
    storage = open_storage("counted://box")
    counted.failures += [PermissionError(13, "Access Denied")]
    with pytest.raises(StorageError, match=r"^counted://box/a: cannot be written \(Access Denied\); check"):
        storage.write("a", b"")
    counted.failures += [FileNotFoundError("The specified bucket does not exist")]
    with pytest.raises(StorageError, match=r"a: cannot be written \(The specified bucket .*make the bucket"):
        storage.write("a", b"")


def test_unknown_store_and_missing_packages(monkeypatch):
    with pytest.raises(ValueError, match=r"^nowhere://a: no store is called 'nowhere'; s3, gs"):
        open_storage("nowhere://a")
    original = builtins.__import__

    def without(name: str, *arguments: object) -> object:
        if name.partition(".")[0] == "fsspec":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r'^s3://a: .*pip install "interlace\[shards\]"'):
        open_storage("s3://a")
    assert open_storage("folder").path_of("a") == "folder/a"
