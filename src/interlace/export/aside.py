"""An export of several files that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlace.files import locked, part_of, to_disk


@contextmanager
def written_aside(output: Path) -> Iterator[Path]:
    """A hidden folder beside ``output``; its files move to their final names when all went well, ``output`` last.

    Whoever sees ``output`` sees a whole export, also after a kill: an older file of that name goes first, then come
    the files that belong to it, then itself. After an error the older files are still there. Folders inside the hidden
    one are not kept. Folders that are missing above ``output`` are made.

    Raises:
        ValueError: another process exports to the same ``output``, and their files would be mixed.
        OSError: it cannot be written there; the message names ``output`` and says what to do.

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
    lock = output.with_name(f".{output.name}.lock")
    with part_of(output, is_folder=True) as folder, locked(lock, f"{output}: an export"):
        yield folder
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for path in files:
            to_disk(path)
        output.unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: path.name == output.name):
            path.replace(output.with_name(path.name))
        to_disk(output.parent)
