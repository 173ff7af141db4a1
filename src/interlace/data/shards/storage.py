"""Reading parts of files and putting whole ones, in a folder or in any store that fsspec knows."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from interlace.data.shards.place import as_folder, as_url, without_login
from interlace.files import whole_file

ATTEMPTS = 3
"""How often a store is asked before its error counts."""
FIRST_PAUSE_SECONDS = 0.5
"""Before the second attempt; doubled before each further one."""
# Asking again does not help.
_FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, ImportError)

T = TypeVar("T")


class StorageError(OSError):
    """A file of a store cannot be read or written; the message is ``PLACE: reason; remedy``, without passwords."""


class Storage(ABC):
    """Files by name. Each operation stands alone, so that processes and threads can share one."""

    place: str
    """The folder or the URL."""

    @abstractmethod
    def _read(self, name: str, first: int, end: int | None) -> bytes: ...

    @abstractmethod
    def _size(self, name: str) -> int: ...

    @abstractmethod
    def _remove(self, name: str) -> None: ...

    @abstractmethod
    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A file of this machine to write to; what it holds in the end is put under ``name``, whole or not at all."""

    def read(self, name: str, first: int = 0, end: int | None = None) -> bytes:
        """Bytes ``first`` to ``end`` (excluded) of a file, in one request; fewer where the file ends before.

        Raises:
            StorageError: it is not there, may not be read, or the store failed again and again.
        """
        return self._ask(name, "read", lambda: self._read(name, first, end))

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return self._ask(name, "found", lambda: self._size(name))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def write(self, name: str, content: bytes) -> None:
        """Put a small file."""
        with self.writing(name) as file:
            file.write_bytes(content)

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        if self.size(name) is not None:
            self._ask(name, "removed", lambda: self._remove(name))

    def path_of(self, name: str) -> str:
        """How messages name a file."""
        return without_login(f"{self.place.rstrip('/')}/{name}")

    def _ask(self, name: str, done: str, operation: Callable[[], T]) -> T:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(ATTEMPTS):
            try:
                return operation()
            except _FINAL as error:
                raise self._error(name, done, error) from error
            except Exception as error:  # each store has errors of its own
                if attempt == ATTEMPTS - 1 or isinstance(self, LocalFolder):
                    raise self._error(name, done, error, attempt + 1) from error
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _error(self, name: str, done: str, error: Exception, attempts: int = 1) -> StorageError:
        told = f"after {attempts} attempts: " if attempts > 1 else ""
        reason = (
            (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        )
        remedy = "check the place, the connection and the rights"
        if isinstance(error, FileNotFoundError) and done == "written":
            remedy = "make the bucket or the folder first, or check its name"
        elif isinstance(error, FileNotFoundError):
            reason, remedy = (
                "there is no such file",
                "check the place; put the file back or write the shards again",
            )
        return StorageError(
            f"{self.path_of(name)}: cannot be {done} ({told}{without_login(reason)}); {remedy}"
        )


class LocalFolder(Storage):
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)

    def _read(self, name: str, first: int, end: int | None) -> bytes:
        with (self.folder / name).open("rb") as file:
            file.seek(first)
            return file.read(-1 if end is None else end - first)

    def _size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A name beside the file's."""
        with whole_file(self.folder / name) as beside:
            yield beside


class ObjectStore(Storage):
    """A URL of any store that fsspec knows, with its credentials from where the store's own tools find them."""

    def __init__(self, url: str) -> None:
        self.place = url

    def _open(self, name: str) -> tuple[Any, str]:
        """The store's client, which fsspec keeps, one for each process; and the file's path in it."""
        import fsspec

        client, folder = fsspec.core.url_to_fs(self.place)
        return client, f"{folder.rstrip('/')}/{name}"

    def _read(self, name: str, first: int, end: int | None) -> bytes:
        client, path = self._open(name)
        return bytes(client.cat_file(path, start=first, end=end))

    def _size(self, name: str) -> int:
        client, path = self._open(name)
        client.invalidate_cache()  # another process may have put the file
        return int(client.info(path)["size"])

    def _remove(self, name: str) -> None:
        client, path = self._open(name)
        client.rm_file(path)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A temporary file, put in one piece when it is whole."""
        with tempfile.TemporaryDirectory(prefix="interlace-shard-") as folder:
            file = Path(folder, Path(name).name)
            yield file
            self._ask(name, "written", lambda: self._put(name, file))

    def _put(self, name: str, file: Path) -> None:
        client, path = self._open(name)
        client.put_file(str(file), path)


def open_storage(place: str | Path) -> Storage:
    """The folder or the store of a place; nothing is looked at yet.

    Raises:
        ValueError: a URL with a password, of a store that is unknown or whose package is not installed.

    Example:
        >>> from interlace.data.shards.storage import open_storage
        >>> open_storage("clips").path_of("index.json")
        'clips/index.json'
    """
    url = as_url(place)
    if url is None:
        return LocalFolder(as_folder(place))
    try:
        import fsspec
    except ImportError as error:
        raise ValueError(f'{url}: stores are read through fsspec; pip install "interlace[shards]"') from error
    kind = url.split("://")[0].split("::")[-1]
    try:
        fsspec.get_filesystem_class(kind)
    except ValueError as error:
        raise ValueError(
            f"{without_login(url)}: no store is called {kind!r}; s3, gs, abfs, http are some"
        ) from error
    except ImportError as error:
        raise ValueError(f"{without_login(url)}: {error}") from error
    return ObjectStore(url)
