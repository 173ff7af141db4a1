"""A folder of parts: on this machine's disks, or wherever fsspec reaches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from interlace.files import whole_file

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "memory"})
"""Protocols in which an object appears with its last byte: one put is whole or nothing."""


@dataclass(frozen=True)
class Store:
    """Files of one folder by their names; each appears whole or not at all, and writing it again replaces it.

    Example:
        >>> import tempfile
        >>> from interlace.corpus.store import Store
        >>> store = Store(tempfile.mkdtemp())
        >>> store.write("a.txt", b"all of it")
        >>> store.names(), store.read("a.txt")
        (['a.txt'], b'all of it')
    """

    url: str
    """A folder (absolute, for other processes to find it), or a URL such as s3://bucket/folder."""

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a URL."""
        if self.url.startswith("file://"):
            return Path(self.url.removeprefix("file://"))
        return None if "://" in self.url else Path(self.url)

    def names(self) -> list[str]:
        """The files that are there, sorted; leftovers of killed processes begin with a dot and are not listed."""
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise ValueError(f"{self.url} is a file; name a folder for the parts")
            found = os.listdir(self.folder) if self.folder.is_dir() else []  # noqa: PTH208 - names are wanted
        else:
            system, root = self._system()
            system.invalidate_cache()
            found = (
                [entry.rpartition("/")[2] for entry in system.ls(root, detail=False)]
                if system.exists(root)
                else []
            )
        return sorted(name for name in found if name and not name.startswith("."))

    def read(self, name: str) -> bytes:
        """The content of one file."""
        with self.open(name) as file:
            return bytes(file.read())

    def open(self, name: str) -> Any:
        """One file, for who needs a little of it."""
        if self.folder is not None:
            return (self.folder / name).open("rb")
        system, root = self._system()
        return system.open(f"{root}/{name}", "rb")

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, whole."""
        if self.folder is not None:
            with whole_file(self.folder / name) as beside:
                beside.write_bytes(content)
            return
        system, root = self._system()
        if self.url.partition("://")[0] in OBJECT_STORES:
            system.pipe_file(f"{root}/{name}", content)
            return
        system.makedirs(root, exist_ok=True)
        beside_name = f"{root}/.{name}.{uuid4().hex}.part"
        system.pipe_file(beside_name, content)
        system.mv(beside_name, f"{root}/{name}")

    def _system(self) -> tuple[Any, str]:
        return filesystem(self.url)


def filesystem(url: str) -> tuple[Any, str]:
    """What reads a URL, and what it calls the place.

    Raises:
        ValueError: fsspec, or the package for this kind of URL, is not installed.

    Example:
        >>> from interlace.corpus.store import filesystem
        >>> filesystem("memory://videos/list.parquet")[1]  # doctest: +SKIP
        '/videos/list.parquet'
    """
    try:
        import fsspec

        system, place = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ValueError(
            f'{url}: {error}; install what reads it: pip install "interlace[ray]", and s3fs, gcsfs or adlfs'
        ) from error
    return system, str(place).rstrip("/")
