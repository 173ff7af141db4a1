"""The three splits: what is trained on, what is selected on, and what is reported."""

from __future__ import annotations

SPLITS = ("train", "val", "test")


def require_split(split: str) -> None:
    """Refuse any other name.

    Example:
        >>> from interlace.audiovisual.timelines.split_names import require_split
        >>> require_split("valid")
        Traceback (most recent call last):
        ValueError: split 'valid' is not one of train, val, test
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not one of {', '.join(SPLITS)}")
