"""Open one picture of a folder: of a common format only, of a bounded size, and no pipe or device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from PIL import Image

from interlace.data.limits import FRAMES, PIXELS
from interlace.data.reader import VideoError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
"""By content. Pillow knows more, of which EPS starts another program."""
ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises on damaged files, and on huge ones."""

_FILES_A_FRAME = 4
"""Its picture, two of its flow, and one more."""


def file_names(folder: Path) -> list[str]:
    """The names in a folder of pictures, sorted.

    Raises:
        VideoError: there are so many that it is no folder of pictures.
        OSError: it cannot be listed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.pictures import file_names
        >>> file_names(Path("clip"))  # doctest: +SKIP
        ['img_00001.jpg', 'img_00002.jpg']
    """
    most = _FILES_A_FRAME * FRAMES.value
    names = sorted(islice((file.name for file in folder.iterdir()), most + 1))
    if len(names) > most:
        FRAMES.check(folder, len(names), VideoError)
    return names


@contextmanager
def opened_picture(file: Path) -> Iterator[Image.Image]:
    """The picture, of which only the header has been read.

    Raises:
        ValueError: it has more pixels than the limit (see :mod:`interlace.data.limits`), or is no file.
        OSError, SyntaxError, PIL.Image.DecompressionBombError: Pillow cannot read it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from interlace.data.pictures import opened_picture
        >>> file = Path(tempfile.mkdtemp()) / "img_1.png"
        >>> Image.new("L", (7, 5)).save(file)
        >>> with opened_picture(file) as picture:
        ...     picture.size
        (7, 5)
    """
    if not file.is_file():
        reason = "it is not a file" if file.exists() else "there is no such file"
        raise ValueError(reason)
    with Image.open(file, formats=FORMATS) as picture:
        PIXELS.check(file.name, picture.width * picture.height, ValueError)
        yield picture
