"""What shards cost and save: reading their bytes and decoding their clips, against files of their own.

    python benchmarks/shards.py [--source utd_mhad_depth] [--clips 200] [--rounds 3] [--dry]

Once written, all lies in the system's file cache: the ratios are of calls, copies and decoding, not of a disk.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from pathlib import Path
from typing import Any

import av
import torch

from interlace.data.annotations import Annotations, Sample
from interlace.data.dataset import TrainDataset
from interlace.data.epoch_sampler import EpochSampler
from interlace.data.sampling import SegmentSampling
from interlace.data.shards.folder import read_shards
from interlace.data.shards.order import Lanes, ReadingOrder
from interlace.data.shards.plan import ShardSettings
from interlace.data.shards.sharding import shard_clips
from interlace.data.shards.storage import open_storage
from interlace.data.transforms import train_transform
from timing import compare, record

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def read_files(paths: list[Path]) -> int:
    """Bytes of all files, in any order."""
    return sum(len(path.read_bytes()) for path in random.Random(0).sample(paths, len(paths)))


def read_tars(folder: Path) -> int:
    """Bytes of all shards, as runs are read."""
    storage, read = open_storage(folder), 0
    for file in sorted(folder.glob("*.tar")):
        for first in range(0, file.stat().st_size, 8 * 2**20):
            read += len(storage.read(file.name, first, first + 8 * 2**20))
    return read


def epoch(annotations: Annotations, *, lanes: bool) -> int:
    """Frames of a training epoch in this process, 8 a clip."""
    arrange = None
    if lanes and annotations.store is not None:
        arrange = ReadingOrder(annotations.store.table(annotations.samples), 0, Lanes(8, 1, 1, 0))
    clips = TrainDataset(annotations, SegmentSampling(8), train_transform(112), seed=0)
    return sum(len(clips[i]["clip"]) for i in EpochSampler(len(clips), 0, arrange=arrange))


def decode(source: Path | io.BytesIO) -> int:
    """All frames of a video."""
    with av.open(str(source) if isinstance(source, Path) else source, "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def decode_file(content: bytes, folder: Path) -> int:
    """The bytes are written to a file in memory first, as shards do."""
    file = folder / "clip.mp4"
    file.write_bytes(content)
    return decode(file)


def measured(paths: list[Path], rounds: int) -> dict[str, Any]:
    """Rows of every comparison."""
    samples = tuple(Sample(path, (0,)) for path in paths)
    contents = [path.read_bytes() for path in paths]
    loose = Annotations(samples, ("any",), "loose files")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory, tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        shard_clips(loose, loose.subset([0]), paths[0].parents[1], out, ShardSettings(megabytes=16))
        sharded, _ = read_shards(out)
        return {
            "bytes": compare(
                {"files": lambda: read_files(paths), "shards": lambda: read_tars(out)},
                rounds=rounds,
                warmup=1,
            ),
            "epoch": compare(
                {
                    "files": lambda: epoch(loose, lanes=False),
                    "shards": lambda: epoch(sharded, lanes=True),
                    "shards, any order": lambda: epoch(sharded, lanes=False),
                },
                rounds=rounds,
                warmup=1,
            ),
            "source of the decoder": compare(
                {
                    "file in memory": lambda: [decode_file(content, Path(memory)) for content in contents],
                    "object": lambda: [decode(io.BytesIO(content)) for content in contents],
                },
                rounds=rounds,
                warmup=1,
            ),
        }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default="utd_mhad_depth")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print only, record nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted((SHARED / options.source).glob("*/*.mp4"))
    if not paths:
        raise SystemExit(f"{SHARED / options.source}: no videos there")
    paths = paths[:: max(1, len(paths) // options.clips)][: options.clips]
    results = {f"{options.source}, {name}": rows for name, rows in measured(paths, options.rounds).items()}
    if options.dry:
        print(results)
    else:
        record("shards", results)


if __name__ == "__main__":
    main()
