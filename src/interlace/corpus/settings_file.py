"""What a folder of parts was made with: a small JSON file beside them, so that no job adds others to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import interlace
from interlace.corpus.store import Store

NAME = "_interlace.json"
"""Readers of Parquet folders pass over names that begin so."""
FORMAT = 1


def agree(store: Store, settings: Mapping[str, Any], parts: int, videos_per_part: int) -> int:
    """Write the settings of a job, or compare them with those that are there; returns the videos of a part.

    Args:
        store: The folder of the parts.
        settings: All that changes an answer.
        parts: How many parts are there.
        videos_per_part: Of this job, if the folder is new.

    Raises:
        ValueError: the parts were made with other settings, or nobody knows with which.

    Example:
        >>> import tempfile
        >>> from interlace.corpus.settings_file import agree
        >>> from interlace.corpus.store import Store
        >>> store = Store(tempfile.mkdtemp())
        >>> agree(store, {"top_k": 5}, 0, 64), agree(store, {"top_k": 5}, 1, 99)
        (64, 64)
    """
    if NAME not in store.names():
        if parts:
            raise ValueError(
                f"{store.url}: holds {parts} parts and no {NAME}; name another output, or remove them"
            )
        about = {"format": FORMAT, "written_by": interlace.__version__, "videos_per_part": videos_per_part}
        store.write(NAME, json.dumps({**about, "settings": settings}, indent=2).encode())
        return videos_per_part
    try:
        found = json.loads(store.read(NAME))
        there, size = dict(found["settings"]), int(found["videos_per_part"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{store.url}/{NAME}: damaged ({error}); remove it and the parts") from error
    wanted = json.loads(json.dumps(settings))
    if there != wanted:
        differing = [key for key in sorted({*there, *wanted}) if there.get(key) != wanted.get(key)]
        told = ", ".join(
            f"{key} {_short(there.get(key))} there, {_short(wanted.get(key))} now" for key in differing
        )
        raise ValueError(
            f"{store.url}: was begun with other settings ({told}); name another output, or remove it"
        )
    return max(1, size)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 20 else f"{text[:12]}..."
