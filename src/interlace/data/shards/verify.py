"""Are the shards what their index says?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from interlace.data.shards.index import Shard, ShardIndex
from interlace.data.shards.storage import Storage, StorageError

_BYTES_A_READ = 16 * 2**20


def verify_shards(
    storage: Storage, index: ShardIndex, progress: Callable[[int, int, str], None] | None = None
) -> Iterator[str]:
    """Read every shard once and compare its checksum; what is wrong, a sentence for each shard.

    Example:
        >>> from interlace.data.shards.index import ShardIndex
        >>> from interlace.data.shards.storage import open_storage
        >>> from interlace.data.shards.verify import verify_shards
        >>> index = ShardIndex(("run",), False, {}, {"train": "", "val": ""}, "", ())
        >>> list(verify_shards(open_storage("clips"), index))
        []
    """
    for number, shard in enumerate(index.shards, start=1):
        problem = _problem(storage, shard)
        if problem:
            yield problem
        if progress is not None:
            progress(number, len(index.shards), storage.path_of(shard.name))


def _problem(storage: Storage, shard: Shard) -> str:
    place = storage.path_of(shard.name)
    try:
        size = storage.size(shard.name)
        if size != shard.num_bytes:
            held = "it is not there" if size is None else f"it holds {size} bytes of {shard.num_bytes}"
            return f"{place}: {held}; write it again: the same `interlace shard` command"
        digest = hashlib.sha256()
        for first in range(0, shard.num_bytes, _BYTES_A_READ):
            digest.update(storage.read(shard.name, first, min(first + _BYTES_A_READ, shard.num_bytes)))
    except StorageError as error:
        return str(error)
    if digest.hexdigest() != shard.sha256:
        return f"{place}: damaged (another checksum); delete it, the same `interlace shard` command writes it again"
    return ""
