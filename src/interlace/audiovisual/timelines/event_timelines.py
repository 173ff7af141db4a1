"""Listed events and stored features, put together: timelines of plain video files, split by video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from interlace.audiovisual.features.feature_store import FeatureStore
from interlace.audiovisual.timelines.event_list import ListedVideo, read_event_list, relevant_segments
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess
from interlace.audiovisual.timelines.split_names import SPLITS, require_split
from interlace.audiovisual.timelines.timeline import NO_EVENT, Timeline, TimelineSet
from interlace.data.annotations.sample import Annotations, Sample, malformed
from interlace.data.splits import hold_out


def open_event_list(
    data: Path, split: str, store: FeatureStore, *, val_share: float = 0.2, seed: int = 0
) -> TimelineSet:
    """A split of listed events, with the features of `interlace av features`.

    ``data`` is a folder of train.csv, val.csv and test.csv, or one CSV file of all videos. Without a val.csv
    ``val_share`` of each event's videos (and of those that are background only) are held out of training, chosen by
    a hash of the seed and the path; a video is never in two splits. Events are numbered in the order of their
    names; train.csv (or the one file) has all of them.

    Features are read when a timeline is asked for.

    Raises:
        ValueError: a file is missing; FILE:LINE of what is wrong in one, of a video without features or in
            two splits, of an event without training videos. When a timeline is read: features that are damaged;
            an event after the video's end, or so short that it covers half of no segment.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.timelines.event_timelines import open_event_list
        >>> from interlace.audiovisual.features.feature_store import FeatureStore
        >>> open_event_list(Path("events"), "val", FeatureStore("features"))  # doctest: +SKIP
        TimelineSet(32 timelines, 5 events, from events/val.csv)
    """
    require_split(split)
    if not 0 < val_share < 1:
        raise ValueError(f"val_share={val_share} must lie between 0 and 1, e.g. 0.2")
    training, file = _training_file(data), _file_of(data, split)
    videos = {path: read_event_list(path) for path in dict.fromkeys((training, file))}
    chosen, source = videos[file], str(file)
    labels = tuple(sorted({video.event for video in videos[training] if video.event}))
    if not labels:
        raise malformed(training, None, "background videos only", "events to learn")
    for video in chosen:
        if video.event and video.event not in labels:
            expected = f"one of {training.name}: {', '.join(labels)}"
            raise malformed(file, video.line, f"the event {video.event!r}", expected)
    if split != "test" and _file_of(data, "val") == training:
        chosen, source = _held_out(training, chosen, labels, split, val_share, seed)
    if data.is_dir():
        _check_apart(data, file, chosen)
    known = set(store.names())
    for video in chosen:
        if video.path not in known:
            expected = (
                "features of every video (`interlace av features` computes them; paths count from its folder)"
            )
            raise malformed(file, video.line, f"{video.path}, of which {store.folder} has none", expected)
    reader = EventReader(file, tuple(chosen), labels, store)
    return TimelineSet(labels, ReadOnAccess(len(chosen), reader), source)


@dataclass(frozen=True, eq=False)
class EventReader:
    """Reads one timeline: the video's features, and which segments its event covers."""

    file: Path
    videos: tuple[ListedVideo, ...]
    labels: tuple[str, ...]
    store: FeatureStore

    def __call__(self, index: int) -> Timeline:
        """Timeline ``index`` of the split."""
        video = self.videos[index]
        features = self.store.read(video.path)
        length, duration = len(features.audio), features.duration_seconds
        for region in video.regions:
            if region.start_seconds >= duration:
                raise malformed(
                    self.file,
                    region.line,
                    f"{video.event} from {region.start_seconds:g} s on",
                    f"a start before the end of {video.path} at {duration:g} s",
                )
        regions = [(region.start_seconds, region.end_seconds) for region in video.regions]
        relevant = relevant_segments(regions, length, duration)
        if video.event and not bool(relevant.any()):
            raise malformed(
                self.file,
                video.line,
                f"{video.event} in {video.path} that covers half of none of its {length} segments",
                "an event of half a segment (0.5 s) or more; lengthen it, or list the video without an event",
            )
        lost = [region for region in regions if not bool(relevant_segments([region], length, duration).any())]
        odd = tuple(
            f"{video.event} from {start:g} to {min(end, duration):g} s alone covers half of no segment"
            for start, end in lost
        )
        late = tuple(
            f"{video.event} ends at {end:g} s, after the video ({duration:g} s)"
            for _, end in regions
            if duration + 1 < end < math.inf
        )
        event = self.labels.index(video.event) if video.event else NO_EVENT
        return Timeline(
            video.path, features.audio, features.visual, event, relevant, (*features.notes, *odd, *late)
        )


def _training_file(data: Path) -> Path:
    """Where the events' names come from."""
    return data if data.is_file() else _existing(data / "train.csv")


def _file_of(data: Path, split: str) -> Path:
    """The CSV file that the split is in, or is held out of."""
    if data.is_file():
        if split == "test":
            raise ValueError(
                f"{data} is one file: its videos are for training and validation; give a folder of train.csv, "
                "val.csv and test.csv to have a test split"
            )
        return data
    if split == "val" and not (data / "val.csv").is_file():
        return _existing(data / "train.csv")
    return _existing(data / f"{split}.csv")


def _existing(file: Path) -> Path:
    if not file.is_file():
        whose = (
            "the videos to train on, and so names the events"
            if file.name == "train.csv"
            else "the split's videos"
        )
        raise ValueError(f"{file} is missing; it lists {whose}, lines of path,event,start,end")
    return file


def _held_out(
    file: Path, videos: list[ListedVideo], labels: tuple[str, ...], split: str, val_share: float, seed: int
) -> tuple[list[ListedVideo], str]:
    # Background is one more class here, so that both splits get their share of it.
    classes = (*labels, "")
    samples = tuple(Sample(Path(video.path), (classes.index(video.event),)) for video in videos)
    parts = hold_out(Annotations(samples, classes, str(file)), fraction=val_share, seed=seed)
    part = parts[0] if split == "train" else parts[1]
    chosen = {sample.path.as_posix() for sample in part.samples}
    return [video for video in videos if video.path in chosen], part.source


def _check_apart(data: Path, file: Path, videos: list[ListedVideo]) -> None:
    """A video in two splits would be tested on what it was trained on."""
    lines = {video.path: video.line for video in videos}
    for split in SPLITS:
        other = data / f"{split}.csv"
        if other == file or not other.is_file():
            continue
        for video in read_event_list(other):
            if video.path in lines:
                place = f"{video.path}, which is in {other.name}:{video.line} too"
                raise malformed(file, lines[video.path], place, "every video in one split")
