"""Answers on the disk as soon as they are known: after a kill the same command goes on where it was."""

from __future__ import annotations

import io
import json
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from interlace.files import whole_file
from interlace.inference.batch import Failure
from interlace.inference.settings import source_of
from interlace.types import Prediction

FORMAT = 1
SECONDS_BETWEEN_SYNCS = 1.0
"""What a power cut may cost, beside the video in hand. A kill costs that one alone: the system has the lines."""
NOT_DONE = -1

Answer = list[Prediction] | Failure
T = TypeVar("T")


def journal_file(output: Path) -> Path:
    """Where answers are kept until the output is written.

    Example:
        >>> from pathlib import Path
        >>> from interlace.inference.journal import journal_file
        >>> journal_file(Path("answers/day.csv")).name
        '.day.csv.journal'
    """
    return output.with_name(f".{output.name}.journal")


class Journal:
    """The answers to a list of videos, one JSON line for each in a file that only grows.

    The first line holds the settings that the answers depend on. A line that a power cut has torn is dropped, with
    what comes after it; so is the answer to a video that has changed since. In memory is one number for each video.
    One process at a time may use it: hold a lock (:func:`interlace.files.locked`).

    Args:
        path: The file; it is made, or gone on with.
        settings: What the answers depend on, see :func:`interlace.inference.settings.settings_of`.
        videos: All of them, in the order of the output.

    Raises:
        ValueError: the file holds answers by other settings or to other videos, or is no journal.
        OSError: it cannot be read or written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from interlace.inference.batch import Failure
        >>> from interlace.inference.journal import Journal
        >>> from interlace.inference.settings import source_of
        >>> folder = Path(tempfile.mkdtemp())
        >>> videos = [folder / "a.mp4", folder / "b.mp4"]
        >>> _ = videos[1].write_bytes(b"no video")
        >>> with Journal(folder / "journal", {"top_k": 5}, videos) as journal:
        ...     journal.add(1, source_of(videos[1]), Failure(str(videos[1]), "is no video"))
        >>> with Journal(folder / "journal", {"top_k": 5}, videos) as journal:
        ...     journal.num_found, journal.answer(0), journal.answer(1).reason
        (1, None, 'is no video')
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], videos: Sequence[Path]) -> None:
        self.path = path
        self._offsets = array("q", [NOT_DONE]) * len(videos)
        self._synced = time.monotonic()
        if not path.exists() or not self._found(json.loads(json.dumps(settings)), videos):
            with whole_file(path) as beside:
                beside.write_bytes(_line({"format": FORMAT, "settings": settings}))
            self._end = path.stat().st_size
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(self._end)  # a torn line
        self._file.seek(self._end)
        self.num_found = self.num_done
        """Answers that were there already."""

    def _found(self, settings: dict[str, Any], videos: Sequence[Path]) -> bool:
        """Look up the answers that are there; False if there are none."""
        positions = {str(video): position for position, video in enumerate(videos)}
        num_answers = num_known = 0
        with self.path.open("rb") as file:
            header = _content(file.readline())
            if header is None or "settings" not in header:
                raise ValueError(
                    f"{self.path}: is no journal of predictions; move it away, or delete it to begin anew"
                )
            self._end = file.tell()
            while (content := _content(line := file.readline())) is not None and "path" in content:
                num_answers += 1
                position = positions.get(content["path"])
                if position is not None:  # the last line of a video counts
                    num_known += 1
                    source = content.get("source")
                    is_still = source is not None and source == source_of(videos[position])
                    self._offsets[position] = self._end if is_still else NOT_DONE
                self._end += len(line)
        if not num_answers:
            return False
        why_not = _differences(header, settings)
        if not why_not and not num_known:
            why_not = f"none of them to the {len(videos)} videos that are given now"
        if why_not:
            raise ValueError(
                f"{self.path}: holds {num_answers} answers of a prediction that has not come to its end, {why_not}; "
                "go on with the command of that time, or delete that file to begin anew"
            )
        return True

    @property
    def num_done(self) -> int:
        """Answers that there are."""
        return len(self._offsets) - self._offsets.count(NOT_DONE)

    def answer(self, position: int) -> Answer | None:
        """The answer to a video; None where there is none yet."""
        if self._offsets[position] == NOT_DONE:
            return None
        with self._reader() as reader:
            return _read(reader, self._offsets[position])

    def add(self, position: int, source: list[int] | None, answer: Answer) -> None:
        """Keep an answer, with what :func:`source_of` said of the video before it was read.

        Raises:
            OSError: it cannot be written; what was added before stays.
        """
        line = _line({**_told(answer), "source": source})
        with self._explained():
            written = 0
            try:
                while written < len(line):  # a disk that fills up takes a part
                    written += self._file.write(line[written:])
            except OSError:
                with suppress(OSError):
                    self._file.truncate(self._end)
                    self._file.seek(self._end)
                raise
        self._offsets[position] = self._end
        self._end += len(line)
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        with self._explained():
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise OSError(
                f"{self.path} cannot be written: {problem.strerror}; once that is mended the same command goes on"
            ) from problem

    @property
    def predictions(self) -> Iterable[Prediction]:
        """All predictions in the order of the videos, from the disk; they can be gone through again and again."""
        return _Again(
            lambda: (each for answer in self._answers() if isinstance(answer, list) for each in answer)
        )

    @property
    def failures(self) -> Iterable[Failure]:
        """All failures, likewise."""
        return _Again(lambda: (answer for answer in self._answers() if isinstance(answer, Failure)))

    def _answers(self) -> Iterator[Answer]:
        with self._reader() as reader:
            for offset in self._offsets:
                if offset != NOT_DONE:
                    yield _read(reader, offset)

    def _reader(self) -> io.BufferedReader:
        return self.path.open("rb")

    def remove(self) -> None:
        """Once the output is written."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self.sync()


@dataclass(frozen=True)
class _Again(Generic[T]):
    """What can be gone through again, as often as one likes."""

    make: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self.make()


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _content(line: bytes) -> dict[str, Any] | None:
    """None for a line that is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _differences(header: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """What is asked otherwise than when the journal was begun; nothing if all is the same."""
    if header.get("format") != FORMAT:
        return f"in format {header.get('format')}, not {FORMAT}"
    before = header["settings"]
    texts = [
        f"{name} {before.get(name)}, now {settings.get(name)}"
        for name in {**before, **settings}
        if before.get(name) != settings.get(name)
    ]
    return f"by other settings ({'; '.join(texts)})" if texts else ""


def _told(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"path": answer.path, "reason": answer.reason}
    windows = [[each.top, each.start_seconds, each.end_seconds, each.notes] for each in answer]
    return {"path": answer[0].path, "windows": windows}


def _read(reader: io.BufferedReader, offset: int) -> Answer:
    reader.seek(offset)
    content = json.loads(reader.readline())
    path = content["path"]
    if "reason" in content:
        return Failure(path, content["reason"])
    return [
        Prediction(path, tuple((label, score) for label, score in top), start, end, tuple(notes))
        for top, start, end, notes in content["windows"]
    ]
