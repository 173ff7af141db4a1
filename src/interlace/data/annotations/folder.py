"""A folder per class: ``root/CLASS/clip.mp4``, or folders of pictures ``root/CLASS/clip/00001.jpg``."""

from __future__ import annotations

from pathlib import Path

from interlace.data.annotations.rows import Parsed, Request, Row
from interlace.data.annotations.sample import AnnotationError
from interlace.data.video import VideoError, find_videos


def read_folder(request: Request) -> Parsed:
    """Classes are the sorted names of the folders. Hidden files and files that are no video are passed over.

    A folder without a clip is no class; it is named in the notes. Clips may lie deeper in the class folder.
    """
    folder = request.file
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: found no folder there, expected one that holds a folder per class")
    class_folders = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    rows: list[Row] = []
    empty: list[str] = []
    for class_folder in class_folders:
        clips = _clips_in(class_folder)
        if clips == [class_folder]:
            raise AnnotationError(
                f"{class_folder}: found pictures right inside a class folder, expected videos or folders of "
                "pictures in it; put the pictures of each clip into a folder of their own"
            )
        if not clips:
            empty.append(class_folder.name)
        rows += [Row(folder, None, (clip,), (class_folder.name,)) for clip in clips]
    if not rows:
        raise AnnotationError(
            f"{folder}: found no class folder with videos ({len(class_folders)} folders inside), "
            f"expected {folder}/CLASS/clip.mp4; otherwise give an annotation file"
        )
    notes = (f"not classes, because they hold no video: {', '.join(empty)}",) if empty else ()
    return Parsed(rows, request.label_names, notes)


def _clips_in(folder: Path) -> list[Path]:
    try:
        clips = find_videos(folder)
    except VideoError:  # none
        return []
    return [
        clip for clip in clips if not any(part.startswith(".") for part in clip.relative_to(folder).parts)
    ]
