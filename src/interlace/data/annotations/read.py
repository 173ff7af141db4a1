"""Reading the annotation files of the field: one call, one reader a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from interlace.data.annotations.class_names import read_class_names
from interlace.data.annotations.csv_list import read_csv
from interlace.data.annotations.detect import detect_format
from interlace.data.annotations.folder import read_folder
from interlace.data.annotations.hmdb51 import read_hmdb51
from interlace.data.annotations.jester import read_jester
from interlace.data.annotations.kinetics import read_kinetics
from interlace.data.annotations.rows import Parsed, Request, to_annotations
from interlace.data.annotations.sample import AnnotationError, Annotations
from interlace.data.annotations.something_v1 import read_something_v1
from interlace.data.annotations.something_v2 import read_something_v2
from interlace.data.annotations.tsn import read_tsn
from interlace.data.annotations.ucf101 import read_ucf101

READERS: dict[str, Callable[[Request], Parsed]] = {
    "folder": read_folder,
    "csv": read_csv,
    "kinetics": read_kinetics,
    "tsn": read_tsn,
    "something_v1": read_something_v1,
    "something_v2": read_something_v2,
    "jester": read_jester,
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
}
FORMATS = tuple(READERS)
SPLIT_INSIDE = ("kinetics", "hmdb51")
"""Formats whose files say which split a clip belongs to."""


def read_annotations(
    root: Path,
    annotation_file: Path | None = None,
    *,
    format: str = "auto",
    labels: Path | None = None,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    missing: Literal["raise", "skip"] = "raise",
    outside: bool = False,
) -> Annotations:
    r"""Labelled clips of a folder per class (no annotation file) or of any list format in ``FORMATS``.

    ``labels`` is a file of class names, for formats with indices. ``split`` chooses rows where the file holds
    several splits (kinetics, hmdb51). ``classes`` are those a network already has: labels are looked up.
    ``missing="skip"`` leaves out clips that are not on disk and lists them in ``Annotations.missing``.
    ``format="auto"`` tells the format from the content: see :func:`detect_format`.
    A list may name clips in ``root`` and in its own folder; elsewhere, by absolute paths or ``..``, only if ``outside``
    is true. Links that lie in the folder are followed.

    Raises:
        AnnotationError: a malformed line, an unknown label, a missing file, a path that leaves the folder; the message
            says FILE:LINE, what was found and what was expected.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.data.annotations import read_annotations
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "a.mp4").touch()
        >>> _ = (root / "train.csv").write_text("path,label\na.mp4,walk\n")
        >>> read_annotations(root, root / "train.csv").classes
        ('walk',)
    """
    if format not in (*FORMATS, "auto"):
        raise AnnotationError(f"found format={format!r}, expected auto or one of {', '.join(FORMATS)}")
    file = find_file(annotation_file, root) if annotation_file else root
    if format == "auto":
        format = detect_format(file)
    if split is not None and format not in SPLIT_INSIDE:
        raise AnnotationError(
            f"{file}: found split={split!r}, but the format {format!r} has no splits inside; "
            "give the split's own file"
        )
    names = read_class_names(find_file(labels, root)) if labels else None
    request = Request(root, file, label_names=names, split=split, known_classes=classes, outside=outside)
    return to_annotations(READERS[format](request), request, format, missing)


def find_file(file: Path, root: Path) -> Path:
    """The file as given, else inside the data root."""
    for path in (file, root / file):
        if path.exists():
            return path
    raise AnnotationError(f"{file}: there is no such file, nor {root / file}")
