"""An export of several files that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(output: Path) -> Iterator[Path]:
    """A hidden folder beside ``output``; its files move to their final names when all went well, ``output`` last.

    Whoever sees ``output`` sees a whole export, also after a kill: an older file of that name goes first, then come
    the files that belong to it, then itself. After an error the older files are still there. Folders inside the hidden
    one are not kept. Folders that are missing above ``output`` are made.

    Raises:
        ValueError: nothing can be written beside ``output``.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.export.aside import written_aside
        >>> output = pathlib.Path(tempfile.mkdtemp()) / "model.xml"
        >>> with written_aside(output) as folder:
        ...     for name in ("model.xml", "model.bin"):
        ...         _ = (folder / name).write_text(name)
        >>> sorted(path.name for path in output.parent.iterdir())
        ['model.bin', 'model.xml']
    """
    folder = output.with_name(f".{output.name}.part")
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ValueError(
            f"{output} cannot be written there ({error.strerror}); name another folder"
        ) from error
    try:
        yield folder
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for path in files:
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        output.unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: path.name == output.name):
            path.replace(output.with_name(path.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
