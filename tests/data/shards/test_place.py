"""Folders and URLs that came through a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.data.shards.place import as_folder, as_url, without_login


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (Path("s3://bucket/a/b"), "s3://bucket/a/b"),
        ("gs://bucket", "gs://bucket"),
        (Path("abfs://box@account.dfs.core.windows.net/a"), "abfs://box@account.dfs.core.windows.net/a"),
        (Path("simplecache::s3://bucket/a"), "simplecache::s3://bucket/a"),
        (Path("memory:///a"), "memory://a"),
        (Path("clips/a:b/c"), None),
        (Path("/data/clips"), None),
        ("C:/clips", None),
        ("file:///data/clips", None),
    ],
)
def test_url_of_a_place(place, url):
    assert as_url(place) == url


def test_a_folder_that_is_there_is_no_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s3:/bucket").mkdir(parents=True)
    assert as_url(Path("s3://bucket")) is None
    assert as_folder("file:///data/clips") == Path("/data/clips")


def test_passwords_are_refused_and_not_shown():
    with pytest.raises(ValueError, match=r"^ftp://\*\*\*@host/a: a password in a URL") as caught:
        as_url(Path("ftp://me:secret@host/a"))
    assert "secret" not in str(caught.value)
    assert without_login("of s3://b/a?X-Signature=secret ends") == "of s3://b/a?*** ends"
