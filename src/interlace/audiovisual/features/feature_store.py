"""Features computed once for a whole folder of videos: one .safetensors file each, and the networks beside them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlace.audiovisual.features.extractor import (
    SILENCE,
    Extractor,
    Features,
    about_extractor,
    load_extractor,
    save_extractor,
)
from interlace.audiovisual.features.feature_file import about_features, read_features, write_features
from interlace.audiovisual.features.source_file import is_still, source_of
from interlace.data import video
from interlace.data.reader import OnError, VideoError

EXTRACTOR = "extractor.safetensors"
SUFFIX = ".safetensors"

Progress = Callable[[float, int, Path], None]


@dataclass(frozen=True)
class Stored:
    """What became of the videos of a folder."""

    computed: int
    there: int
    """Had been computed before."""
    soundless: tuple[Path, ...]
    """Videos without any sound, computed now or before."""
    silent: tuple[Path, ...]
    """And those whose sound is silence from end to end."""
    failures: tuple[tuple[Path, str], ...]
    """Videos that cannot be read, and why."""


class StoppedError(Exception):
    """The user has stopped the work."""


def store_features(
    root: Path,
    output: Path,
    extractor: Extractor,
    *,
    num_workers: int = 1,
    on_error: OnError = "raise",
    frame_template: str | None = None,
    progress: Progress | None = None,
) -> Stored:
    """Compute and store the features of every video under a folder that are not there yet.

    Those of ``root/a/clip.mp4`` are in ``output/a/clip.mp4.safetensors``, the networks in
    ``output/extractor.safetensors``. A file appears when it is whole. After an interruption, with new videos or
    replaced ones, only what is missing is computed.

    Args:
        root: folder of the videos, or of folders of pictures.
        output: folder of the features, outside of ``root``.
        extractor: the two networks, on the device that they are to run on.
        num_workers: videos that are worked on at a time, each in a thread.
        on_error: with ``"skip"`` damaged videos are stored too: the nearest frame stands in for a damaged one.
        frame_template: names of the pictures where videos are folders.
        progress: called with (videos done, counting parts of those under way; videos in all; one of them).

    Raises:
        ValueError: there is no video; ``output`` is within ``root``, or holds features of other networks.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.features.feature_store import store_features
        >>> store_features(Path("clips"), Path("features"), extractor).computed  # doctest: +SKIP
        120
    """
    videos = video.find_videos(root)
    places = {path: _place(output, path.relative_to(root)) for path in videos if path != root}
    _check_places(root, output, places)
    fingerprint = _settle(output, extractor)
    told = {path: about_features(place) for path, place in places.items()}
    there = [path for path, about in told.items() if _is_done(path, about, fingerprint)]
    waiting = sorted(set(videos) - set(there))
    soundless = [path for path in there if not told[path]["seconds_heard"]]
    silent = [path for path in there if SILENCE in told[path]["notes"]]
    failures: dict[Path, str] = {}
    shares = dict.fromkeys(waiting, 0.0)  # how much of each is done
    stop = threading.Event()

    def tell(path: Path, share: float) -> None:
        if stop.is_set():
            raise StoppedError
        shares[path] = share
        if progress is not None:
            progress(len(there) + sum(shares.values()), len(videos), path)

    def compute(path: Path) -> Features:
        places[path].unlink(missing_ok=True)  # the features of a file that was since replaced
        _require_text(path)
        try:
            source = source_of(path)  # before it is decoded: if it is replaced meanwhile, that will show
        except OSError as error:
            raise VideoError(f"{path}: it cannot be read ({error.strerror}); check it") from error
        features = extractor.features_of(
            path,
            on_error=on_error,
            frame_template=frame_template,
            progress=lambda done, seconds: tell(path, 0.99 * done / seconds),  # what is left is its sound
        )
        write_features(places[path], features, extractor=fingerprint, source=source)
        return features

    pool = ThreadPoolExecutor(max(1, num_workers))
    try:
        jobs = {pool.submit(compute, path): path for path in waiting}
        for job in as_completed(jobs):
            path = jobs[job]
            try:
                features = job.result()
            except VideoError as error:
                failures[path] = str(error)
            else:
                soundless += [] if features.heard.any() else [path]
                silent += [path] if SILENCE in features.notes else []
            tell(path, 1.0)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    computed = len(waiting) - len(failures)
    return Stored(
        computed, len(there), tuple(sorted(soundless)), tuple(sorted(silent)), tuple(sorted(failures.items()))
    )


class FeatureStore:
    """A folder that `interlace av features` wrote.

    Attributes: ``folder``, ``spec`` (what the networks are, as
    :class:`~interlace.audiovisual.features.extractor.Extractor` says it).

    Raises:
        ValueError: it is no such folder.

    Example:
        >>> from interlace.audiovisual.features.feature_store import FeatureStore
        >>> FeatureStore("features").read("dog/bark.mp4")  # doctest: +SKIP
        Features(10 s, audio (10, 128), 10 s heard, visual (10, 49, 512))
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / EXTRACTOR).is_file():
            raise ValueError(
                f"{self.folder} holds no features ({EXTRACTOR} is not in it); `interlace av features DIR --output "
                f"{self.folder}` computes those of the videos in DIR"
            )
        about = about_extractor(self.folder / EXTRACTOR)
        self.spec: dict[str, Any] = about["spec"]
        self._fingerprint: str = about["fingerprint"]

    def extractor(self) -> Extractor:
        """The networks that the features were computed with."""
        return load_extractor(self.folder / EXTRACTOR)

    def read(self, relative_path: str | Path) -> Features:
        """The features of one video, by its path in the folder of the videos.

        Raises:
            ValueError: there are none of it, or they are damaged, or of other networks.
        """
        place = _place(self.folder, Path(relative_path))
        if not place.is_file():
            raise ValueError(
                f"{self.folder} has no features of {relative_path}; give its path in the folder of the videos, and "
                "run `interlace av features` again if it is new there"
            )
        if about_features(place).get("extractor", self._fingerprint) != self._fingerprint:
            raise ValueError(f"{place}: not of the networks in {EXTRACTOR}; delete it and compute it again")
        return read_features(place)

    def names(self) -> list[str]:
        """The paths of all videos that there are features of, as ``read`` takes them."""
        files = sorted(self.folder.rglob(f"*{SUFFIX}"))
        files = [file for file in files if file != self.folder / EXTRACTOR]
        return [file.relative_to(self.folder).as_posix().removesuffix(SUFFIX) for file in files]

    def __repr__(self) -> str:
        return (
            f"FeatureStore({str(self.folder)!r}, {self.spec['audio']['name']}, {self.spec['visual']['name']})"
        )


def _place(output: Path, relative: Path) -> Path:
    return output / relative.with_name(f"{relative.name}{SUFFIX}")


def _check_places(root: Path, output: Path, places: dict[Path, Path]) -> None:
    if not places:
        raise ValueError(f"{root} is a video itself, a folder of pictures; give the folder that holds it")
    if output.resolve().is_relative_to(root.resolve()):
        raise ValueError(
            f"{output} is within {root}, among whose videos it would be; choose a folder outside of it"
        )
    taken = [path for path, place in places.items() if place == output / EXTRACTOR]
    if taken:
        raise ValueError(
            f"{taken[0]}: its features would be named {EXTRACTOR}, as the networks are; rename it"
        )


def _require_text(path: Path) -> None:
    """Names are bytes; .safetensors files can be written under any, and read under those that are UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise VideoError(
            f"{path}: its name is not UTF-8 text, as that of its features must be; rename it"
        ) from error


def _settle(output: Path, extractor: Extractor) -> str:
    """The fingerprint of the networks, which from now on are those of the folder."""
    place, fingerprint = output / EXTRACTOR, extractor.fingerprint()
    if not place.exists():
        save_extractor(place, extractor)
        return fingerprint
    earlier = about_extractor(place)
    if earlier["fingerprint"] == fingerprint:
        return fingerprint
    is_same_make = earlier["spec"] == json.loads(json.dumps(extractor.spec))
    how = (
        "with other weights"
        if is_same_make
        else f"of another make ({_differences(earlier['spec'], extractor.spec)})"
    )
    raise ValueError(f"{output} holds features of networks {how}; choose another --output")


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What two specifications do not share: ``visual.map True there, False here``."""
    told = []
    for part in ("audio", "visual"):
        first, second = there.get(part, {}), json.loads(json.dumps(here[part]))
        if first.get("name") != second["name"]:  # their other arguments are not to be compared
            told.append(f"{part} {first.get('name')} there, {second['name']} here")
            continue
        names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
        told += [f"{part}.{name} {first.get(name)} there, {second.get(name)} here" for name in names]
    return "; ".join(told)


def _is_done(path: Path, about: dict[str, Any], fingerprint: str) -> bool:
    """Whether its features are there, of these networks and of this very file."""
    return about.get("extractor") == fingerprint and is_still(path, about["source"])
