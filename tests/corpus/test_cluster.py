"""Nodes, processes and whole jobs that die midway: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import interlace
from interlace.corpus.job import Summary, run_on_ray
from interlace.corpus.network import Network, read_network
from interlace.corpus.options import RayOptions
from interlace.corpus.session import ray_session
from interlace.corpus.work import How, Predicting, Work
from interlace.inference.batch import AnswerOptions, answer

pytestmark = pytest.mark.faults
WORK = Predicting(AnswerOptions(timeline="off"), How(device="cpu"))
NUM_VIDEOS = 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(NUM_VIDEOS):
        make_video(folder / f"v{number:02}.mp4", num_frames=4 + number, size=(32, 48 + 16 * (number % 3)))
    return folder


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a second node, each with a raylet, an object store and a core of its own."""
    from interlace.corpus.session import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    started = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    started.second = started.add_node(**node)
    yield started
    started.shutdown()


def recorded(work: Work, folder: Path) -> Work:
    """The same work, by processes that leave their number and node in a folder; sent to them by value."""
    given = work

    @dataclass(frozen=True)
    class Recorded:
        def settings(self) -> dict[str, Any]:
            return given.settings()

        def start(self, network: Network, device: str | None = None) -> Any:
            import ray

            if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
                (folder / f"{os.getpid()}").write_text(ray.get_runtime_context().get_node_id())
            return given.start(network)

    return Recorded()


def poisoned(work: Work) -> Work:
    """The same, but a video with that name takes the process with it."""
    given = work

    @dataclass(frozen=True)
    class Poisoned:
        def settings(self) -> dict[str, Any]:
            return given.settings()

        def start(self, network: Network, device: str | None = None) -> Any:
            schema, do = given.start(network)

            def dangerous(path: Path) -> Any:
                if path.stem in ("v05", "v11"):
                    os.kill(os.getpid(), signal.SIGKILL)
                return do(path)

            return schema, dangerous

    return Poisoned()


def run(
    corpus: Path, output: Path, network: Network, work: Work = WORK, progress: Any = None, **options: Any
) -> Summary:
    return run_on_ray(
        [str(corpus)],
        column=None,
        work=work,
        network=network,
        output=str(output),
        options=RayOptions(**{"batch": 2, **options}),
        progress=progress,
    )


def check_whole(output: Path, corpus: Path, checkpoint: Path, failed: tuple[str, ...] = ()) -> None:
    """Every video once, with the answer of the local engine."""
    rows = pq.read_table(output).to_pylist()
    assert Counter(row["path"] for row in rows) == Counter(str(path) for path in corpus.iterdir())
    recognizer = interlace.load(checkpoint, device="cpu")
    for row in rows:
        path = Path(row["path"])
        if path.stem in failed:
            assert row["error"].endswith("while it was worked on; given up")
            continue
        (wanted,) = answer(recognizer, path, WORK.options)
        assert tuple(zip(row["top_labels"], row["top_scores"], strict=True)) == wanted.top
    assert not list(output.glob(".*"))


def test_a_node_that_dies(tmp_path: Path, corpus: Path, checkpoint: Path, cluster: Any) -> None:
    people, output = tmp_path / "processes", tmp_path / "out"
    people.mkdir()
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        # Both nodes work, and more than half is still to be done.
        nodes = {file.read_text() for file in people.iterdir()}
        if not killed and done >= 4 and len(nodes) == 2:
            killed.append(done)
            cluster.remove_node(cluster.second, allow_graceful=False)

    network = read_network(checkpoint)
    with ray_session(cluster.address) as ray:
        assert ray.cluster_resources()["CPU"] == 2
        summary = run(corpus, output, network, recorded(WORK, people), kill)
        assert len(killed) == 1
        assert killed[0] < NUM_VIDEOS
        cluster.wait_for_nodes(timeout=120)  # the head asks its nodes every few seconds
        assert sum(node["Alive"] for node in ray.nodes()) == 1
    assert (summary.done, summary.failed) == (NUM_VIDEOS, 0)
    check_whole(output, corpus, checkpoint)


def test_a_process_that_dies(tmp_path: Path, corpus: Path, checkpoint: Path) -> None:
    people, output = tmp_path / "processes", tmp_path / "out"
    people.mkdir()
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if not killed and done >= 4:
            killed.append(int(min(file.name for file in people.iterdir())))
            os.kill(killed[0], signal.SIGKILL)

    summary = run(corpus, output, read_network(checkpoint), recorded(WORK, people), kill, concurrency=1)
    assert (summary.done, summary.failed) == (NUM_VIDEOS, 0)
    assert len(list(people.iterdir())) == 2  # the one that died, and the one that went on
    check_whole(output, corpus, checkpoint)


def test_videos_that_kill_their_process_are_given_up(tmp_path: Path, corpus: Path, checkpoint: Path) -> None:
    output = tmp_path / "out"
    summary = run(
        corpus, output, read_network(checkpoint), poisoned(WORK), concurrency=2, batch=6, attempts=2
    )
    assert (summary.done, summary.failed) == (NUM_VIDEOS, 2)
    check_whole(output, corpus, checkpoint, failed=("v05", "v11"))


def test_a_job_that_dies_goes_on(tmp_path: Path, corpus: Path, checkpoint: Path) -> None:
    output = tmp_path / "out"
    code = "import sys; from interlace.cli.predict import run; sys.exit(run(sys.argv[1:]))"
    options = ["--timeline", "off", "--device", "cpu", "--ray.concurrency", "1", "--ray.batch", "2"]
    words = [str(corpus), "--model", str(checkpoint), "--output", str(output), "--engine", "ray", *options]
    job = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while job.poll() is None and len(list(output.glob("part-*"))) < 3:
        with suppress(subprocess.TimeoutExpired):
            job.wait(0.02)
    job.kill()
    told = job.communicate()
    assert job.returncode == -signal.SIGKILL, told
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    again = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert "were there already, none failed" in again.stdout
    assert again.stderr == ""
    check_whole(output, corpus, checkpoint)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    assert len(before) < len(after) == NUM_VIDEOS // 2
    finished = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert finished.stdout == f"{output}: finished already, {NUM_VIDEOS} videos, none failed\n"
