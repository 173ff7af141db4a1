"""One small run on a cluster of this machine: the local answers, bit for bit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet
import pytest

import interlace
from interlace.corpus.job import run_on_ray
from interlace.corpus.network import Network, read_network
from interlace.corpus.options import RayOptions
from interlace.corpus.session import ENVIRONMENT, ray_session
from interlace.corpus.work import How, Predicting
from interlace.files import locked
from interlace.inference.batch import AnswerOptions, Failure, answer

WORK = Predicting(AnswerOptions(top_k=3), How(device="cpu"))
OPTIONS = RayOptions(concurrency=1, batch=3)


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> Network:
    return read_network(checkpoint)


@pytest.fixture(scope="module")
def ray() -> Iterator[ModuleType]:
    """Nothing of Ray stays in the environment of the tests that follow."""
    before = dict(os.environ)
    with ray_session(num_cpus=1) as connected:
        assert all(name in os.environ for name in ENVIRONMENT)
        yield connected
    assert {name: os.environ.get(name) for name in ENVIRONMENT} == {
        name: before.get(name) for name in ENVIRONMENT
    }


@pytest.mark.usefixtures("ray")
def test_a_table_of_videos_becomes_a_table_of_answers(
    tmp_path: Path, videos: Path, checkpoint: Path, network: Network, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [str(path) for path in sorted(videos.iterdir())]
    table = tmp_path / "list.parquet"
    # One video is there twice, and one row has none.
    columns = {"video": [*paths, paths[2], None], "label": [f"truth {i}" for i in range(10)]}
    pa.parquet.write_table(pa.table(columns), table)
    output, told = tmp_path / "out", []

    def run(options: RayOptions = OPTIONS) -> str:
        summary = run_on_ray(
            [str(table)],
            column="video",
            work=WORK,
            network=network,
            output=str(output),
            options=options,
            progress=lambda done, total: told.append((done, total)),
        )
        return str(summary).partition(": ")[2]

    assert run().startswith("10 videos done in ")
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)
    assert sorted(told) == told
    rows = pa.parquet.read_table(output).to_pylist()
    assert sorted(row["path"] for row in rows) == sorted([*paths, paths[2], ""])
    assert sorted(row["input_label"] for row in rows) == sorted(columns["label"])
    recognizer = interlace.load(checkpoint, device="cpu")
    for row in rows:
        found = answer(recognizer, Path(row["path"]), WORK.options)
        if not row["path"]:
            assert row["error"] == "the row has no path"
        elif isinstance(found, Failure):
            assert (row["error"], row["label"]) == (found.reason, None)
        else:
            assert tuple(zip(row["top_labels"], row["top_scores"], strict=True)) == found[0].top
            assert (row["label"], row["score"], row["error"]) == (found[0].label, found[0].score, None)
            assert tuple(row["notes"]) == found[0].notes

    assert len(list(output.glob("part-*.parquet"))) == 4
    assert run() == "finished already, 10 videos, 3 failed (their rows have the error)"
    with pytest.raises(ValueError, match=r"other settings \(top_k 3 there, 4 now\)"):
        run_on_ray(
            paths,
            column=None,
            work=Predicting(AnswerOptions(top_k=4), How(device="cpu")),
            network=network,
            output=str(output),
            options=OPTIONS,
        )
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "ray" not in printed.err.lower()


@pytest.mark.usefixtures("ray")
def test_a_process_that_fits_nowhere(tmp_path: Path, videos: Path, network: Network) -> None:
    with pytest.raises(ValueError, match=r"--ray.num_cpus 64 .* no process of that size fits the cluster"):
        run_on_ray(
            [str(videos)],
            column=None,
            work=WORK,
            network=network,
            output=str(tmp_path / "out"),
            options=RayOptions(num_cpus=64),
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("ray")
def test_two_runs_for_one_folder(tmp_path: Path, videos: Path, network: Network) -> None:
    with (
        locked(tmp_path / ".lock", "the other run"),
        pytest.raises(ValueError, match=f"a run for this folder is under way in process {os.getpid()}"),
    ):
        run_on_ray(
            [str(videos)], column=None, work=WORK, network=network, output=str(tmp_path), options=OPTIONS
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": 0}, "--ray.batch 0"),
        ({"num_cpus": 0}, "--ray.num_cpus 0"),
        ({"attempts": 0}, "--ray.attempts 0"),
    ],
)
def test_options_that_mean_nothing(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RayOptions(**values)
