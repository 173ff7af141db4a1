"""A split of whatever a folder holds: AVE, timelines in files, or a list of events."""

from __future__ import annotations

from pathlib import Path

from interlace.audiovisual.features.feature_store import FeatureStore
from interlace.audiovisual.timelines.ave import ANNOTATIONS, LABELS, open_ave
from interlace.audiovisual.timelines.event_timelines import open_event_list
from interlace.audiovisual.timelines.split_names import SPLITS, require_split
from interlace.audiovisual.timelines.timeline import TimelineSet
from interlace.audiovisual.timelines.timeline_file import load_timelines

FORMS = f"""\
  AVE             {ANNOTATIONS}, {LABELS}, audio_feature.h5, visual_feature.h5 and the splits
  timelines       train.safetensors, val.safetensors and test.safetensors
  list of events  train.csv, val.csv and test.csv, or one CSV file, of path,event,start,end; with features"""


def open_timelines(
    data: Path, split: str, *, features: Path | None = None, val_share: float = 0.2, seed: int = 0
) -> TimelineSet:
    """The timelines of a split, in whichever of three forms they are.

    ::

        AVE             Annotations.txt, labels.h5, audio_feature.h5, visual_feature.h5 and the splits
        timelines       train.safetensors, val.safetensors and test.safetensors
        list of events  train.csv, val.csv and test.csv, or one CSV file, of path,event,start,end; with features

    Args:
        data: the folder, or the CSV file.
        split: train, val or test.
        features: for a list of events, what `interlace av features` wrote.
        val_share: for a list of events without val.csv, how much of it is held out for validation.
        seed: of what is held out.

    Raises:
        ValueError: no such folder; none of the forms, or two; features missing, or given where there are some
            already; files of timelines whose labels differ; what the form's own reader finds.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.timelines.open_timelines import open_timelines
        >>> open_timelines(Path("AVE"), "test")  # doctest: +SKIP
        TimelineSet(402 timelines, 28 events, from AVE, test: 402 of 4143 rows)
    """
    require_split(split)
    form = _form(data)
    if form == "events":
        if features is None:
            raise ValueError(
                f"{data} lists events in video files, whose features are needed too: compute them with "
                "`interlace av features DIR --output F` and give them with --features F"
            )
        return open_event_list(data, split, FeatureStore(features), val_share=val_share, seed=seed)
    if features is not None:
        raise ValueError(f"{data} has features of its own; leave --features {features} away")
    return open_ave(data, split) if form == "ave" else _open_files(data, split)


def _form(data: Path) -> str:
    if data.is_file():
        if data.suffix.lower() != ".csv":
            raise ValueError(f"{data} is not a CSV file; the data are one of\n{FORMS}")
        return "events"
    if not data.is_dir():
        raise ValueError(f"{data}: there is no such folder; the data are one of\n{FORMS}")
    found = {
        "ave": any((data / name).is_file() for name in (ANNOTATIONS, LABELS)),
        "files": any((data / f"{split}.safetensors").is_file() for split in SPLITS),
        "events": any((data / f"{split}.csv").is_file() for split in SPLITS),
    }
    forms = [form for form, is_there in found.items() if is_there]
    if len(forms) != 1:
        what = "data of several forms, keep one of them" if forms else "none of the data that can be read"
        raise ValueError(f"{data} holds {what}:\n{FORMS}")
    return forms[0]


def _open_files(data: Path, split: str) -> TimelineSet:
    timelines = load_timelines(data / f"{split}.safetensors")
    training = data / "train.safetensors"
    if split != "train" and training.is_file():
        labels = load_timelines(training).labels
        if labels != timelines.labels:
            raise ValueError(
                f"{data}: the labels of {split}.safetensors ({', '.join(timelines.labels)}) are not those of "
                f"train.safetensors ({', '.join(labels)}); an index must mean the same in both"
            )
    return timelines
