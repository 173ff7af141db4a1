"""Shards in an object store that speaks S3, over HTTP on this machine; needs `pip install s3fs "moto[server]"`."""

from __future__ import annotations

import importlib.util
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interlace.data.dataset import ViewDataset, collate
from interlace.data.sampling import SegmentSampling
from interlace.data.shards.folder import read_shards
from interlace.data.shards.index import read_index
from interlace.data.shards.order import in_lanes
from interlace.data.shards.storage import StorageError, open_storage
from interlace.data.shards.verify import verify_shards

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("s3fs", "moto")),
        reason='needs pip install s3fs "moto[server]"',
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setitem(_defaults(), "s3", {"endpoint_url": f"http://{host}:{port}"})
    monkeypatch.setattr("interlace.data.shards.storage.FIRST_PAUSE_SECONDS", 0.0)
    yield f"http://{host}:{port}"
    running.stop()


def _defaults() -> dict:
    from fsspec.config import conf

    return conf


def test_shards_in_an_object_store(server, make_shards, tmp_path):
    with pytest.raises(
        StorageError, match=r"^s3://box/clips/sharding.json: cannot be written .*make the bucket"
    ) as caught:
        make_shards("s3://box/clips")
    assert "very-secret" not in str(caught.value)
    urllib.request.urlopen(urllib.request.Request(f"{server}/box", method="PUT")).close()

    index = make_shards("s3://box/clips")
    assert index == make_shards(tmp_path)
    storage = open_storage(Path("s3://box/clips"))
    assert read_index(storage) == index
    assert list(verify_shards(storage, index)) == []
    for shard in index.shards:
        assert storage.read(shard.name) == (tmp_path / shard.name).read_bytes()

    pixels = [
        ViewDataset(read_shards(place)[0], SegmentSampling(3), 1, "center", 28)
        for place in (Path("s3://box/clips"), tmp_path)
    ]
    order = in_lanes([[[i] for i in range(15)]], num_workers=2)
    loader = torch.utils.data.DataLoader(pixels[0], sampler=order, num_workers=2, collate_fn=collate)
    for batch in loader:  # by processes that were forked after the store was in use
        assert torch.equal(batch["views"][0], pixels[1][int(batch["index"])]["views"])

    storage.remove("train-000002.tar")
    assert [problem.partition(": ")[0] for problem in verify_shards(storage, index)] == [
        "s3://box/clips/train-000002.tar"
    ]
    make_shards("s3://box/clips")
    assert list(verify_shards(storage, index)) == []
