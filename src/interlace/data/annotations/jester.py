"""Jester: ``id;label`` lines, and a label file with one name a line."""

from __future__ import annotations

from interlace.data.annotations.rows import Parsed, Request
from interlace.data.annotations.something_v1 import read_id_and_name


def read_jester(request: Request) -> Parsed:
    """Clips are folders of frames ``root/id/00001.jpg`` or ``root/20bn-jester-v1/id/00001.jpg``.

    The same shape as Something-Something V1 by the same publisher; classes in alphabetical order.
    """
    return read_id_and_name(request)
