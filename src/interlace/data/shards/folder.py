"""A folder or URL of shards as the clips of a data set."""

from __future__ import annotations

from pathlib import Path

from interlace.data.annotations import AnnotationError, Annotations, Sample
from interlace.data.shards.index import FILE, MARK, SPLITS, ShardIndex, read_index
from interlace.data.shards.place import as_folder, as_url
from interlace.data.shards.sharding import BEGUN
from interlace.data.shards.storage import open_storage
from interlace.data.shards.store import ShardStore


def is_shard_folder(place: str | Path) -> bool:
    """True for a URL, and for a folder whose index.json is one of shards, or that is being filled with shards.

    Example:
        >>> from interlace.data.shards.folder import is_shard_folder
        >>> is_shard_folder("s3://bucket/clips"), is_shard_folder("clips")
        (True, False)
    """
    if as_url(place) is not None:
        return True
    folder = as_folder(place)
    if not (folder / FILE).is_file():
        return (folder / BEGUN).is_file()
    with (folder / FILE).open("rb") as file:
        return MARK.encode() in file.read(64)


def read_shards(
    place: str | Path, *, classes: tuple[str, ...] | None = None
) -> tuple[Annotations, Annotations]:
    """Training and validation clips of shards, in the order in which they lie there.

    ``classes`` are those that a network already has: labels are looked up by name.

    Raises:
        AnnotationError: a class that the network does not have, or shards that are not all written yet.
        StorageError: the place is out of reach.
        ValueError: an index that is damaged or of another format.
    """
    storage = open_storage(place)
    if storage.size(FILE) is None:
        begun = storage.size(BEGUN) is not None
        raise AnnotationError(
            f"{storage.path_of(FILE)}: the shards are not all written; go on with the same `interlace shard` command"
            if begun
            else f"{storage.path_of(FILE)}: there is no such file; give the place that `interlace shard` wrote to"
        )
    index = read_index(storage)
    parts = []
    for split in SPLITS:
        shards = tuple(shard for shard in index.shards if shard.split == split)
        source = f"shards of {storage.place}: {index.sources[split]}"
        parts.append(_clips(index, ShardStore(storage, shards, Path(place)), classes, source))
    return parts[0], parts[1]


def _clips(index: ShardIndex, store: ShardStore, classes: tuple[str, ...] | None, source: str) -> Annotations:
    known = {name: number for number, name in enumerate(classes or index.classes)}
    unknown = [name for name in index.classes if name not in known]
    if unknown:
        raise AnnotationError(
            f"{source}: found the class {unknown[0]!r}, expected one of the {len(known)} that the network has"
        )
    number_of = [known[name] for name in index.classes]
    samples = [
        Sample(
            store.root / clip.path,
            tuple(sorted(number_of[label] for label in clip.labels)),
            clip.start_seconds,
            clip.end_seconds,
            clip.num_frames,
        )
        for shard in store.shards
        for clip in shard.clips
    ]
    return Annotations(tuple(samples), tuple(known), source, index.multi_label, store=store)
