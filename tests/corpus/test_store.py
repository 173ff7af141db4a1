"""Folders of parts, on disks and in fsspec's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.corpus import settings_file
from interlace.corpus.store import Store


@pytest.fixture(params=["folder", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    folder = tmp_path / "parts" / "of a job"
    return Store(
        {"folder": str(folder), "file": f"file://{folder}", "memory": f"memory://{folder}"}[request.param]
    )


def test_files_by_name(store: Store) -> None:
    assert store.names() == []
    store.write("b.parquet", b"second")
    store.write("a.parquet", b"first")
    store.write("a.parquet", b"first again")
    assert store.names() == ["a.parquet", "b.parquet"]
    assert store.read("a.parquet") == b"first again"
    with store.open("b.parquet") as file:
        assert file.read(3) == b"sec"


def test_leftovers_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".part-1.parquet.99.part").touch()
    assert Store(str(tmp_path)).names() == []


def test_a_protocol_without_whole_puts_is_written_beside(tmp_path: Path) -> None:
    store = Store(f"local://{tmp_path / 'parts'}")
    store.write("a.parquet", b"all")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["a.parquet"]
    assert store.read("a.parquet") == b"all"


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ValueError, match="out is a file; name a folder"):
        Store(str(tmp_path / "out")).names()


def test_an_unknown_protocol() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Store("nowhere://bucket/folder").names()


def test_settings_are_kept_and_compared(store: Store) -> None:
    settings = {"task": "predict", "top_k": 5, "model": "0123456789" * 6}
    assert settings_file.agree(store, settings, 0, 7) == 7
    assert settings_file.agree(store, settings, 3, 99) == 7
    with pytest.raises(ValueError, match=r"other settings \(top_k 5 there, 3 now\)"):
        settings_file.agree(store, {**settings, "top_k": 3}, 3, 7)


def test_parts_of_unknown_settings(store: Store) -> None:
    with pytest.raises(ValueError, match=r"holds 2 parts and no _interlace\.json"):
        settings_file.agree(store, {}, 2, 7)
    store.write(settings_file.NAME, b"{")
    with pytest.raises(ValueError, match="damaged"):
        settings_file.agree(store, {}, 2, 7)
