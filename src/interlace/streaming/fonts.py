"""A font that has the letters of a label."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

NO_LETTER = "\uffff"
"""What no font has: drawn as fonts draw what they lack."""
FONTS_OF_SYSTEMS = (
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoSans-Regular.ttf"),
    *("Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc"),
    *("arialuni.ttf", "msyh.ttc", "malgun.ttf", "msgothic.ttc", "Nirmala.ttf"),
)
"""With letters that DejaVu lacks; found where Linux, macOS and Windows keep them."""


def font_for(text: str, size: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib; of the system another one, if only that has all letters.

    Where no font has them, boxes stand for the missing letters.

    Example:
        >>> from interlace.streaming.fonts import font_for
        >>> font_for("wave", 12).getname(), font_for("d\u00e9j\u00e0 \u041c\u0438\u0440 \u03c9", 12).size
        (('DejaVu Sans', 'Book'), 12)
    """
    own = _font(_own_file(), size)
    if _has_all(own, text):
        return own
    return next((font for font in _of_the_system(size) if _has_all(font, text)), own)


@cache
def _own_file() -> str:
    import matplotlib  # for the place of its files only: nothing of it is loaded with this

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def _of_the_system(size: int) -> Iterable[FreeTypeFont]:
    for name in FONTS_OF_SYSTEMS:
        try:
            yield _font(name, size)
        except OSError:  # it is not there
            continue


@cache
def _font(name: str, size: int) -> FreeTypeFont:
    return ImageFont.truetype(name, size)


def _has_all(font: FreeTypeFont, text: str) -> bool:
    return all(_has(font, letter) for letter in text)


@cache
def _has(font: FreeTypeFont, letter: str) -> bool:
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))
