"""Features of many videos in one file, made by this process: OUT.safetensors or OUT.parquet, resumable.

While it is made, whole parts lie in the folder OUT.parts; once all are there they are joined, in the order of the
input, and the folder goes. So a run that was killed goes on, and its file has the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from interlace.corpus import settings_file
from interlace.corpus.arrow import ABOUT, pyarrow
from interlace.corpus.feature_output import Answer, errors_in, write_parquet, write_safetensors
from interlace.corpus.network import Network
from interlace.corpus.plan import PREFIX, digests, plan
from interlace.corpus.store import Store
from interlace.corpus.work import Describing
from interlace.files import locked
from interlace.inference.batch import Failure
from interlace.inference.features import features_of

SUFFIXES = (".parquet", ".safetensors")
PART = ".safetensors"
"""Parts are of this kind, whatever the file is: pyarrow may not be installed."""
VIDEOS_PER_PART = 32
HEADER = ABOUT.decode()


def check_output(output: Path) -> None:
    """Ask before hours of work whether a file of that name can be written.

    Raises:
        ValueError: the name ends otherwise, it is a folder, or pyarrow is not installed for a .parquet.

    Example:
        >>> from pathlib import Path
        >>> from interlace.corpus.feature_file import check_output
        >>> check_output(Path("features.safetensors"))
    """
    if output.suffix not in SUFFIXES:
        raise ValueError(
            f"{output}: unknown format {output.suffix!r}; end the name in .parquet or .safetensors"
        )
    if output.is_dir():
        raise ValueError(f"{output} is a folder; name a file")
    if output.suffix == ".parquet":
        pyarrow(f"{output}: a .parquet file")


def write_features(
    paths: Sequence[Path],
    output: Path,
    work: Describing,
    network: Network,
    progress: Callable[[int, int, Path], None] | None = None,
) -> tuple[int, dict[str, str]]:
    """Compute the features of all videos that have none yet, and write the file.

    Args:
        paths: The videos.
        output: A .parquet or .safetensors file.
        work: What is computed.
        network: With what.
        progress: Called with (videos done, videos in all, the present one).

    Returns:
        How many videos this run has worked on, and of each that failed, path and reason.

    Raises:
        ValueError: the file, or parts of it, are there and were made with other settings, or of other videos.

    Example:
        >>> from pathlib import Path
        >>> from interlace.corpus.feature_file import write_features
        >>> from interlace.corpus.network import read_network
        >>> from interlace.corpus.work import Describing, How
        >>> network, work = read_network(Path("best.safetensors")), Describing("features", 1, How())  # doctest: +SKIP
        >>> write_features([Path("a.mp4")], Path("features.parquet"), work, network)  # doctest: +SKIP
        (1, {})
    """
    check_output(output)
    rows = digests(str(path).encode("utf-8", "surrogateescape") for path in paths)
    settings = {**work.settings(), "model": network.fingerprint}
    parts = output.with_name(f"{output.name}.parts")
    if output.exists():
        errors = _errors_of_finished(output, settings, rows)
        shutil.rmtree(parts, ignore_errors=True)  # a run was killed before it had removed all of them
        return 0, errors
    store = Store(str(parts.resolve()))
    with locked(output.with_name(f".{output.name}.lock"), f"{output}: a run for this file"):
        there = [name for name in store.names() if name.startswith(PREFIX)]
        settings_file.agree(store, settings, len(there), VIDEOS_PER_PART)
        todo = plan(rows, VIDEOS_PER_PART, there, lambda name: _read(parts / name)[0]["rows"], PART)
        done = todo.done
        extractor = work.extractor(network)
        for part in todo.parts:
            found: list[tuple[str, Any]] = []
            for position in part.positions:
                if progress is not None:
                    progress(done, len(paths), paths[position])
                found.append((rows[position], features_of(extractor, paths[position])))
                done += 1
            store.write(part.name, _part(found, extractor.shape))
        answers = list(_answers(parts, paths, rows))
        about = {"rows": rows, "settings": settings}
        if output.suffix == ".parquet":
            write_parquet(output, answers, work.what, extractor.shape, about)
        else:
            write_safetensors(output, answers, work.what, extractor.shape, about)
        shutil.rmtree(parts, ignore_errors=True)
    return todo.left, {answer.path: answer.error for answer in answers if answer.error is not None}


def _part(found: Sequence[tuple[str, Any]], shape: tuple[int, ...]) -> bytes:
    good = [answer.values for _, answer in found if not isinstance(answer, Failure)]
    about = {
        "rows": [row for row, _ in found],
        "errors": [answer.reason if isinstance(answer, Failure) else None for _, answer in found],
        "notes": [[] if isinstance(answer, Failure) else list(answer.notes) for _, answer in found],
    }
    values = np.stack(good) if good else np.zeros((0, *shape), np.float32)
    return save({"values": values}, metadata={HEADER: json.dumps(about)})


def _read(part: Path) -> tuple[dict[str, Any], Any]:
    """What a part says of its rows, and the values of those that did not fail."""
    try:
        with safe_open(part, framework="numpy") as file:
            return json.loads(file.metadata()[HEADER]), file.get_tensor("values")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{part}: not a whole part ({error}); remove it, and its videos are done again"
        ) from error


def _answers(parts: Path, paths: Sequence[Path], rows: Sequence[str]) -> Iterator[Answer]:
    """What the parts say of each video, in the order of the input; values are read when they are asked for."""
    found: dict[str, Answer] = {}
    values_of = lru_cache(maxsize=2)(lambda part: _read(part)[1])
    path_of = dict(zip(rows, paths, strict=True))
    for part in sorted(parts.glob(f"{PREFIX}*{PART}")):
        about, place = _read(part)[0], 0
        for row, error, notes in zip(about["rows"], about["errors"], about["notes"], strict=True):
            if row in path_of:
                value = None if error is not None else partial(_value, values_of, part, place)
                found[row] = Answer(str(path_of[row]), value, tuple(notes), error)
            place += error is None
    for row in rows:
        yield found[row]


def _value(values_of: Callable[[Path], np.ndarray], part: Path, place: int) -> np.ndarray:
    return values_of(part)[place]


def _errors_of_finished(output: Path, settings: dict[str, Any], rows: Sequence[str]) -> dict[str, str]:
    """Of a file that is there.

    Raises:
        ValueError: it holds anything else than this run would write.
    """
    about, errors = errors_in(output)
    if about.get("settings") != json.loads(json.dumps(settings)):
        raise ValueError(
            f"{output}: is there, and was made with other settings; name another output, or remove it"
        )
    if about.get("rows") != list(rows):
        raise ValueError(f"{output}: is there, and holds other videos; name another output, or remove it")
    return errors
