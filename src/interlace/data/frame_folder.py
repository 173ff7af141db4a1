"""A folder of numbered pictures (``00001.jpg``, ``img_00001.jpg``) as a video."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps

from interlace.data.file_state import changed, is_of_the_disk, state_of, unchanged, unreadable
from interlace.data.limits import FRAMES
from interlace.data.pictures import ERRORS, file_names, opened_picture
from interlace.data.pixels import to_gray
from interlace.data.reader import Color, OnError, VideoError, VideoReader

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FRAMES_PER_SECOND = 25.0
"""Taken for a folder of pictures, which holds no timestamps."""
FLOW_PREFIXES = ("flow_x_", "flow_y_")
"""How the names of stored optical flow begin, which lies beside the frames or alone."""
_TEMPLATE = re.compile(r"[^{}]*\{(?::0?\d{0,2}d?)?\}[^{}]*")
"""One number, of so many digits: a longer format could ask for gigabytes, another for what objects hold."""
_NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\D*)$")


class FrameFolder(VideoReader):
    """A folder of pictures, numbered without gaps from 0, 1 or any other start, in numeric order.

    The naming is found by itself, or given as a template such as ``"img_{:05d}.jpg"``; of several series in
    one folder the longest counts. There are no timestamps: frame i is taken to be shown at i / 25 s.
    Pictures that come, go or change between the opening and the end of a reading are an error, whatever ``on_error``
    says.
    """

    def __init__(
        self,
        path: Path,
        *,
        color: Color = "rgb",
        on_error: OnError = "raise",
        frame_template: str | None = None,
        short_side: int | None = None,
    ) -> None:
        super().__init__(path, color, on_error, short_side)
        self._state = state_of(path)
        self._listed: list[str] = []
        self._files = self._find_files(frame_template)
        self._reasons: dict[int, str] = {}
        self._size: tuple[int, int] | None = None
        self.num_frames = len(self._files)
        self.fps = FRAMES_PER_SECOND
        self.duration_seconds = self.num_frames / FRAMES_PER_SECOND
        self.pts_seconds = torch.arange(self.num_frames, dtype=torch.float64) / FRAMES_PER_SECOND
        self.notes.append(f"pictures without timestamps: taken as {FRAMES_PER_SECOND:g} a second")

    def _find_files(self, frame_template: str | None) -> list[Path]:
        try:
            names = listed = file_names(self.path)
        except OSError as error:
            raise VideoError(f"{self.path}: cannot list the folder ({error.strerror}); check it") from error
        if frame_template is None:
            numbered = self._longest_series(names)
        else:
            numbered = _match_template(names, frame_template)
            if not numbered:
                raise VideoError(
                    f"{self.path}: no picture is named like frame_template={frame_template!r}; "
                    f"the folder holds {', '.join(names[:3]) or 'nothing'}"
                )
        first, last = min(numbered), max(numbered)
        example = numbered[first]
        FRAMES.check(self.path, last - first + 1, VideoError)  # also of the gaps, which are filled
        names = [numbered.get(n) or _renumber(example, n) for n in range(first, last + 1)]
        if len(numbered) < len(names) and self.on_error == "raise":
            missing = next(name for name in names if name not in numbered.values())
            raise VideoError(
                f"{self.path}: {missing} is missing between {example} and {numbered[last]}; supply it, "
                'or read with on_error="skip" to let its neighbour stand in'
            )
        self._listed = _like(example, listed)
        return [self.path / name for name in names]

    def _longest_series(self, names: list[str]) -> dict[int, str]:
        """File names by number, of the series with the most members."""
        series = picture_series(names)
        if not series:
            raise VideoError(
                f"{self.path}: the folder holds no numbered pictures ({', '.join(IMAGE_SUFFIXES)}); "
                "check the path, or name the pictures like img_00001.jpg"
            )
        if all(prefix in FLOW_PREFIXES for prefix, _ in series):
            raise VideoError(
                f"{self.path}: the folder holds optical flow only; read it with modality=flow, "
                "or name the folder of the frames"
            )
        by_length = sorted(series.items(), key=lambda item: (item[0][0] in FLOW_PREFIXES, -len(item[1])))
        if len(by_length) > 1:
            found = [f"{prefix}*{suffix}" for (prefix, suffix), _ in by_length]
            same = len(by_length[0][1]) == len(by_length[1][1])
            if same and by_length[1][0][0] not in FLOW_PREFIXES:
                raise VideoError(
                    f"{self.path}: several series of pictures of the same length ({', '.join(found)}); "
                    'say which by frame_template, for example "img_{:05d}.jpg"'
                )
            self.notes.append(f"pictures {found[0]} are used, {', '.join(found[1:])} are not")
        return by_length[0][1]

    @property
    def height(self) -> int:
        """Rows of the upright picture."""
        return self._upright_size()[1]

    @property
    def width(self) -> int:
        """Columns of the upright picture."""
        return self._upright_size()[0]

    def _upright_size(self) -> tuple[int, int]:
        """(width, height) of the first picture that can be read; all others must have it too."""
        for position in range(self.num_frames):
            if self._size is None:
                try:
                    with opened_picture(self._files[position]) as image:
                        self._size = ImageOps.exif_transpose(image).size
                except ERRORS as error:
                    self._reasons[position] = f"{self._files[position].name}: {error}"
        if self._size is None:
            raise VideoError(f"{self.path}: no picture can be read ({self._reason(0)}); replace them")
        return self._size

    def _read(self, wanted: Sequence[int]) -> dict[int, UInt8[np.ndarray, "H W C"]]:
        pictures = {}
        for position in wanted:
            file = self._files[position]
            try:
                with unchanged(file, state_of(file)):
                    picture = _read_picture(file, self.color)
            except VideoError:
                raise
            except ERRORS as error:
                if is_of_the_disk(error):
                    raise unreadable(file, error) from error
                self._reasons[position] = f"{file.name}: {error}"
                continue
            width, height = self._upright_size()
            if picture.shape[:2] == (height, width):
                pictures[position] = picture
            else:
                self._reasons[position] = (
                    f"{file.name} has {picture.shape[1]}x{picture.shape[0]} pixels, "
                    f"the first picture {width}x{height}"
                )
        self._require_same_pictures()
        return pictures

    def _require_same_pictures(self) -> None:
        """Raise if pictures have come or gone since the folder was listed; other files may."""
        if state_of(self.path) == self._state:
            return
        try:
            names = file_names(self.path)
        except OSError as error:
            raise changed(self.path, "it is gone") from error
        now = _like(self._listed[0], names)
        if now != self._listed:
            name = min({*now} ^ {*self._listed})
            raise changed(self.path, f"{name} {'came' if name in now else 'went'}")

    def _find_blank(self) -> list[int]:
        return [position for position in range(self.num_frames) if not self._read([position])]

    def _blank_is_damage(self) -> bool:
        return True

    def _reason(self, position: int) -> str:
        return self._reasons.get(position, self._files[position].name)

    def close(self) -> None:
        """Nothing is held open between reads."""


def picture_series(names: Iterable[str]) -> dict[tuple[str, str], dict[int, str]]:
    """The numbered pictures among file names: by what stands before and after the number, then by number.

    Example:
        >>> from interlace.data.frame_folder import picture_series
        >>> picture_series(["img_2.jpg", "thumb.jpg", "img_1.jpg"])
        {('img_', '.jpg'): {2: 'img_2.jpg', 1: 'img_1.jpg'}}
    """
    series: dict[tuple[str, str], dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.match(Path(name).stem)
        if match and is_picture(name):
            key = match["prefix"], match["suffix"] + Path(name).suffix
            series.setdefault(key, {})[int(match["number"])] = name
    return series


def is_picture(name: str) -> bool:
    """True for the name of a picture file that is not hidden."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _like(example: str, names: Iterable[str]) -> list[str]:
    """The names of the series that a picture is of, by number."""
    (key,) = picture_series([example]) or [("", "")]
    numbered = picture_series(names).get(key, {})
    return [numbered[number] for number in sorted(numbered)] or [example]


def _match_template(names: list[str], template: str) -> dict[int, str]:
    """File names by number, of those that the template writes exactly so."""
    prefix, brace, rest = template.partition("{")
    suffix = rest.partition("}")[2]
    numbered = {}
    check_template(template)
    for name in names if brace else ():
        number = name[len(prefix) : len(name) - len(suffix)]
        if number.isdecimal() and template.format(int(number)) == name:
            numbered[int(number)] = name
    return numbered


def check_template(template: str) -> None:
    """Whether it is a name with a place for one number, of which it says no more than the digits.

    Raises:
        ValueError: it is another text, or one that would have Python format something else.

    Example:
        >>> from interlace.data.frame_folder import check_template
        >>> check_template("img_{:05d}.jpg")
    """
    if not _TEMPLATE.fullmatch(template):
        raise ValueError(f'frame_template={template[:60]!r} is no template; write it like "img_{{:05d}}.jpg"')


def _renumber(example: str, number: int) -> str:
    """The name that a missing picture would have."""
    match = _NUMBERED.match(Path(example).stem)
    assert match is not None
    digits = str(number).zfill(len(match["number"]))
    return match["prefix"] + digits + match["suffix"] + Path(example).suffix


def _read_picture(file: Path, color: Color) -> UInt8[np.ndarray, "H W C"]:
    """One upright picture; an alpha channel is dropped, 16-bit grey is reduced to 8."""
    with opened_picture(file) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
        rgb = np.asarray(image.convert("RGB"))
    return to_gray(rgb) if color == "gray" else rgb
