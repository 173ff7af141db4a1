"""Fixtures shared by all tests. Shapes in signatures are checked here, at import, and nowhere else."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jaxtyping import install_import_hook

install_import_hook("interlace", "beartype.beartype")

SHARED = Path(__file__).resolve().parents[2] / "shared"


EVERY_NETWORK = "test_every_network.py"
"""Its names are those of networks; a test of the slow tier takes them through the default compiler."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a process beside the tests comes first: one worker of two waits for it, then joins the other."""
    items.sort(key=lambda item: item.path.name != EVERY_NETWORK)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at it again, each time for half a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries tell at the end what is left of theirs, and nothing is."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def network_problems(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[str]]]:
    """What is wrong with each of the networks that the chosen tests are about, found in their order."""
    items = [item for item in request.session.items if item.path.name == EVERY_NETWORK]
    names = [item.callspec.params["name"] for item in items if item.originalname == "test_network_does_all"]
    with _beside().problems_of(names) as found:
        yield found


@pytest.fixture
def compiled_network_problems() -> Callable[[str], AbstractContextManager[dict[str, Future[str]]]]:
    """What is wrong with a network that the default compiler has compiled; for the slow tier."""
    return lambda name: _beside().problems_of([name], "inductor")


def _beside() -> ModuleType:
    return _module("beside", Path(__file__).parent / "models" / "beside.py")


def _module(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[40, pytest.param(1000, marks=pytest.mark.faults)], ids=["few", "many"])
def for_all(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Check a property on generated examples, the same in every run; the tier of faults takes many more."""
    from hypothesis import HealthCheck, given, settings

    def check(holds: Callable[..., None], **strategies: Any) -> None:
        repeatable = settings(
            max_examples=request.param,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        repeatable(given(**strategies)(holds))()

    return check


@pytest.fixture(scope="session")
def outcome() -> Callable[[Callable[[], object]], Any]:
    """What a call comes to in a process of its own, and what memory it took: (kind, message, grown_mb)."""
    return _module("bounded", Path(__file__).parent / "bounded.py").outcome


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/{name} is not here; this test compares with what it holds")
    return folder


@pytest.fixture(autouse=True)
def _seed() -> None:
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Recorded outputs of the published networks."""
    return _shared("reference")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real videos."""
    return _shared("data")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """Real ImageNet weights."""
    return _shared("weights")


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Write a small real video: frame i is grey at level 10*i mod 250, with a bright square that moves right."""

    def make(
        path: Path,
        num_frames: int = 24,
        size: tuple[int, int] = (48, 64),
        fps: float = 12.0,
        codec: str = "libx264",
        gop: int = 12,
    ) -> Path:
        import av
        import numpy as np

        height, width = size
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.gop_size = gop
            for i in range(num_frames):
                picture = np.full((height, width, 3), 10 * i % 250, dtype=np.uint8)
                left = i * (width - 8) // max(1, num_frames - 1)
                picture[height // 2 - 4 : height // 2 + 4, left : left + 8] = 255
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        return path

    return make


@pytest.fixture(scope="session")
def damaged_video(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """24 frames; the data of the twelfth packet and of all after it in its group of pictures are overwritten."""
    import av

    path = make_video(tmp_path_factory.mktemp("damaged") / "damaged.mp4", num_frames=24, gop=24)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[12:]:
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    return path
