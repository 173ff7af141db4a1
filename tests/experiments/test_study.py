"""The study runner: what is done once is not done again, and differences are of the same seeds."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

import results_page
import study
from interlace.models import create_model
from interlace.models.methods import METHODS
from studies import every, letters, utd
from studies.job import folder_of, run
from studies.lines import add_line, read_lines
from studies.overview import overview
from studies.paired import paired_by_clips, paired_difference, student_interval
from studies.plan import Arm, Split, Study, given
from studies.side_by_side import python, run_side_by_side
from studies.tables import accuracy_on, markdown

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
NOWHERE = Split("test", lambda data, folder: (folder / "train.csv", folder / "scored.csv"))
STUDY = Study(
    "moves",
    "Which is better?",
    given("moves"),
    (NOWHERE,),
    ("--epochs", "2"),
    (Arm("tsm", "tsm_resnet18"), Arm("tin", "tin_resnet18", {"initial_offset": 1.0})),
    (0, 1, 2),
    "tsm",
)


@pytest.fixture(autouse=True)
def methods_as_they_were() -> Iterator[None]:
    """The runner adds one for its own process."""
    yield
    METHODS.pop("form", None)


def line(job: Any, right: str) -> dict[str, Any]:
    top1 = 100 * right.count("1") / len(right)
    return {
        "key": job.key,
        "top1": top1,
        "right": right,
        "labels": [["a", 2], ["b", len(right) - 2]],
        "curve": [1.0],
    }


def test_a_run_is_known_by_what_decides_its_result() -> None:
    keys = [job.key for job in STUDY.jobs()]
    assert len(set(keys)) == 6
    assert [str(job) for job in STUDY.jobs()][:3] == [
        "tsm, test, seed 0",
        "tin, test, seed 0",
        "tsm, test, seed 1",
    ]
    assert STUDY.with_seeds([7, 1]).seeds == (0, 1, 2, 7)
    renamed = replace(STUDY, name="other", arms=(replace(STUDY.arms[0], name="shift"), STUDY.arms[1]))
    assert [job.key for job in renamed.jobs()] == keys
    assert not {job.key for job in replace(STUDY, options=("--epochs", "3")).jobs()} & set(keys)
    assert [job.arm.name for job in STUDY.jobs(arms=["tin"], seeds=[7])] == ["tin"]
    with pytest.raises(ValueError, match="the study moves has no arm tcn; it has tsm, tin"):
        STUDY.jobs(arms=["tcn"])


def test_every_study_has_its_reference_and_no_arm_twice() -> None:
    for each in every.STUDIES.values():
        names = [arm.name for arm in each.arms]
        assert each.reference in names
        assert len(set(names)) == len(names)
        keys = [job.key for job in each.jobs()]
        assert len(set(keys)) == len(keys), each.name


def test_arms_and_splits_are_chosen_by_name() -> None:
    levers = every.STUDIES["utd_levers"]
    jobs = levers.jobs(arms=["tsm", "start_1"], splits=["halves13"])
    assert sorted((job.arm.name, job.split.name) for job in jobs) == [
        ("start_1", "halves13"),
        ("tsm", "halves13"),
    ]
    assert {job.split.name for job in levers.jobs(arms=["tsm"])} == {"halves57", "halves13"}


def test_lines_survive_a_crash_in_the_middle_of_one(tmp_path: Path) -> None:
    file = tmp_path / "results" / "moves.jsonl"
    assert read_lines(file) == {}
    add_line(file, {"key": "a", "top1": 1.0})
    with file.open("a") as cut:
        cut.write('{"key": "b", "to')
    assert list(read_lines(file)) == ["a"]
    add_line(file, {"key": "c", "top1": 2.0})
    add_line(file, {"key": "a", "top1": 3.0})
    assert {key: told["top1"] for key, told in read_lines(file).items()} == {"a": 3.0, "c": 2.0}
    assert [path.name for path in file.parent.iterdir()] == ["moves.jsonl"]


def test_two_studies_add_their_lines_in_the_same_moment(tmp_path: Path) -> None:
    """Their trainings took minutes; neither is thrown out because the other writes."""
    file = tmp_path / "moves.jsonl"
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda number: add_line(file, {"key": str(number)}), range(100)))
    assert sorted(read_lines(file), key=int) == [str(number) for number in range(100)]


def test_differences_are_of_pairs() -> None:
    ours, theirs = [70.0, 80.0, 90.0, 60.0, 75.0], [68.0, 78.5, 87.0, 58.5, 73.0]
    found = paired_difference(ours, theirs)
    assert found.mean == pytest.approx(2.0)
    assert (
        1.5 <= found.low < found.mean < found.high <= 3.0
    )  # the spread of the arms, 30 points, is not in it
    assert str(found).startswith("+2.0 [+1.")
    same = paired_difference(ours, ours)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    with pytest.raises(ValueError, match="2 and 1 scores are no pairs"):
        paired_difference([1.0, 2.0], [1.0])


def test_few_pairs_are_less_sure_than_their_bootstrap_says() -> None:
    ours, theirs = [70.0, 80.0, 90.0, 60.0, 75.0], [68.0, 78.5, 87.0, 58.5, 73.0]
    found = paired_difference(ours, theirs)
    low, high = student_interval(found.pairs)
    assert low < found.low
    assert high > found.high
    half = 2.776 * np.std(found.pairs, ddof=1) / np.sqrt(5)  # from a table of the distribution
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-3)
    with pytest.raises(ValueError, match="1 pairs have no spread"):
        student_interval([2.0])


def test_other_clips_make_the_interval_wider_than_other_seeds_alone() -> None:
    random = np.random.default_rng(0)
    ours = ["".join(map(str, random.integers(0, 2, 60))) for _ in range(4)]
    theirs = ["".join(map(str, random.integers(0, 2, 60))) for _ in range(4)]
    by_clips = paired_by_clips(ours, theirs)
    scores = [[100 * each.count("1") / 60 for each in arm] for arm in (ours, theirs)]
    by_seeds = paired_difference(*scores)
    assert by_clips.mean == pytest.approx(by_seeds.mean)
    assert by_clips.pairs == pytest.approx(by_seeds.pairs)
    assert by_clips.high - by_clips.low > by_seeds.high - by_seeds.low
    with pytest.raises(ValueError, match="not of the same clips"):
        paired_by_clips(["01"], ["011"])


def test_a_table_compares_what_has_the_same_seed() -> None:
    rights = {("tsm", 0): "1100", ("tsm", 1): "1000", ("tin", 1): "1110", ("tin", 2): "1111"}
    results = {
        job.key: line(job, rights[job.arm.name, job.seed])
        for job in STUDY.jobs()
        if (job.arm.name, job.seed) in rights
    }
    rows = markdown(STUDY, results).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["tin", "tsm"]
    tin = [cell.strip() for cell in rows[0].split("|")[1:-1]]
    assert tin[:3] == ["tin", "87.5 ± 17.7", "2, more to come"]
    assert tin[3] == "+50.0"  # of seed 1 alone
    assert tin[6] == "75.0, 100.0"
    whole = replace(STUDY, splits=(NOWHERE, replace(NOWHERE, name="other")))
    results = {job.key: line(job, "1100" if job.arm.name == "tsm" else "1110") for job in whole.jobs()}
    tin = [cell.strip() for cell in markdown(whole, results).splitlines()[2].split("|")[1:-1]]
    assert tin[1:5] == ["75.0 ± 0.0", "6", "+25.0 [+25.0, +25.0]", "[+25.0, +25.0]"]
    assert tin[5] == "[+0.0, +62.5]"  # of eight clips, in which two differ
    first = next(iter(results.values()))
    assert (accuracy_on(first, ["a"]), accuracy_on(first, ["b"])) == (100, 0)
    rows = markdown(replace(whole, order_dependent=("b",)), results).splitlines()
    assert [rows[0].split("|")[7].strip(), rows[2].split("|")[7].strip()] == ["order-dependent", "50.0"]


def test_the_overview_has_a_row_for_every_study_with_a_pair(tmp_path: Path) -> None:
    rights = {"tsm": "1000", "tin": "1100", "tin_paper": "1111"}
    for job in every.STUDIES["utd_test"].jobs(arms=list(rights)):
        told = line(job, "1000" if (job.arm.name, job.seed) == ("tin", 4) else rights[job.arm.name])
        if (job.arm.name, job.seed) != ("tin_paper", 2):
            add_line(tmp_path / "utd_mhad_depth.jsonl", told)
    (job,) = every.STUDIES["letters_talkers"].jobs(arms=["tin"], seeds=[0])
    add_line(tmp_path / "avletters.jsonl", line(job, "1111"))  # without TSM it is no pair
    rows = overview(every.STUDIES, tmp_path).splitlines()
    assert len(rows) == 3
    told = [cell.strip() for cell in rows[2].split("|")[2:-1]]
    assert told == ["25.0", "45.0", "5", "+20.0 [+6.1, +33.9]", "4 of 5", "+75.0 [+75.0, +75.0]"]


def test_commands_run_side_by_side_and_a_failure_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys, time; time.sleep(0.3); print(sys.argv[1]); sys.exit(int(sys.argv[1]) == 1)"
    commands = [python("-c", code, str(number)) for number in range(4)]
    logs = [tmp_path / f"{number}.log" for number in range(4)]
    ended: list[int] = []
    failed = run_side_by_side(
        commands, logs, jobs=2, environment={}, done=lambda number, _: ended.append(number)
    )
    assert failed == [1]
    assert sorted(ended) == [0, 2, 3]
    assert [log.read_text() for log in logs] == ["0\n", "1\n", "2\n", "3\n"]
    assert capsys.readouterr().err.split() == ["FAILED,", "the", "others", "go", "on:", "see", str(logs[1])]


def left_alone(folder: Path) -> list[int]:
    """Processes of runs in the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if str(EXPERIMENTS / "study_job.py") in words and str(folder / "runs") in words:
                found.append(process.pid)
    return found


def quick(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The study of that name, as it is typed."""
    options = [f"--{name}={folder / name}" for name in ("data", "runs", "results")]
    return subprocess.Popen(
        python(EXPERIMENTS / "study.py", "quick", "--jobs=2", *options, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_one_run_leaves_a_line_that_tells_all(tmp_path: Path) -> None:
    (job,) = every.STUDIES["quick"].jobs(arms=["tsn"], seeds=[3])
    told = run(job, tmp_path / "data", tmp_path / "runs")
    assert (told["key"], told["arm"], told["seed"]) == (job.key, "tsn", 3)
    assert told["num_clips"] == len(told["right"]) == sum(count for _, count in told["labels"]) == 20
    assert told["top1"] == pytest.approx(100 * told["right"].count("1") / 20)
    assert len(told["curve"]) == 2
    assert told["train_command"].startswith("interlace train ")
    assert told["command"] == "python experiments/study.py quick --arms tsn --seeds 3"
    assert {"commit", "versions", "date", "training_seconds"} <= told.keys()
    assert told["device"].startswith("cuda" if torch.cuda.is_available() else "cpu (")
    assert told["resumed"] is False
    last = folder_of(job, tmp_path / "runs") / "last.safetensors"
    last.unlink()
    assert run(job, tmp_path / "data", tmp_path / "runs") == told  # it is done: nothing is trained
    assert not last.exists()


def test_a_run_that_another_study_began_is_gone_on_with(tmp_path: Path) -> None:
    (job,) = STUDY.jobs(arms=["tsm"], seeds=[0])
    renamed = replace(job, arm=replace(job.arm, name="shift"))
    begun = folder_of(job, tmp_path)
    assert begun.name == f"tsm-test-0-{job.key}"
    assert folder_of(renamed, tmp_path).name == f"shift-test-0-{job.key}"
    begun.mkdir()
    assert folder_of(renamed, tmp_path) == begun


def test_other_seeds_are_in_the_table_and_none_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["quick", "--table", "--seeds", "7", "7", "--results", str(tmp_path)]
    assert study.main(words) == 0
    assert "has no results of quick yet" in capsys.readouterr().out
    (job,) = every.STUDIES["quick"].jobs(arms=["tin"], seeds=[7])
    add_line(tmp_path / f"{job.study.data.name}.jsonl", line(job, "1110"))
    assert study.main(words) == 0
    assert "| tin | 75.0 | 1, more to come |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("split", "told"), [(utd.TEST, "the folder of UTD-MHAD"), (letters.TALKERS, "the folder of AVLetters")]
)
def test_a_folder_without_clips_leaves_no_lists(tmp_path: Path, split: Split, told: str) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path}: no clip named like .*; give {told}"):
        split.write(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.faults
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL], ids=lambda kill: kill.name)
def test_a_study_from_clips_to_its_table_killed_midway(tmp_path: Path, kill: signal.Signals) -> None:
    lines = tmp_path / "results" / "moves_small.jsonl"
    first = quick(tmp_path)
    while not lines.exists() and first.poll() is None:
        time.sleep(0.1)
    first.send_signal(kill)
    said, _ = first.communicate(timeout=120)
    if kill == signal.SIGTERM:
        assert first.returncode == 130, said
        assert "stopped; the same command goes on where it was" in said
    assert "Traceback" not in said
    while left_alone(tmp_path):  # its runs end by themselves when it is gone
        time.sleep(0.1)
    done_first = lines.read_text()

    second = quick(tmp_path, "--seeds", "0")
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    results = read_lines(lines)
    assert lines.read_text().startswith(done_first)
    assert f"{len(done_first.splitlines())} of 3 runs are done" in said
    assert sorted((told["arm"], told["seed"]) for told in results.values())[:3] == [
        ("tin", 0),
        ("tsm", 0),
        ("tsn", 0),
    ]
    table = (tmp_path / "results" / "quick.md").read_text()
    assert "| tsm |" in table
    assert table in said
    assert (tmp_path / "results" / "quick.png").read_bytes().startswith(b"\x89PNG")

    again = quick(tmp_path, "--seeds", "0")
    said, _ = again.communicate(timeout=60)
    assert "3 of 3 runs are done" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["quick", "--arms", "tcn"], "the study quick has no arm tcn; it has tsn, tsm, tin\n"),
        (["quick", "--arms", "tcn", "--table"], "the study quick has no arm tcn; it has tsn, tsm, tin\n"),
        (["quick", "--splits", "test"], "the study quick has no split test; it has val\n"),
        (["quick", "--jobs", "0"], "--jobs 0: at least 1\n"),
        (
            ["utd_tuning"],
            "utd_mhad_depth: no such folder; --data names the folder that holds utd_mhad_depth\n",
        ),
        (["quik"], "there is no study 'quik'; there are quick, "),
    ],
)
def test_wrong_words_are_said_in_a_line(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{name}={tmp_path / name}" for name in ("data", "runs", "results")]
    assert study.main([*words, *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_lines_of_tin_are_of_its_form_of_today() -> None:
    """A line names `tin_resnet18`, so with another default all lines of that name would have to go."""
    net = create_model("tin_resnet18", num_classes=2).backbone.layer1[0].conv1.temporal.offset_net
    starts = 2 * net.offset_range * (torch.sigmoid(net.fc2.bias) - 0.5)
    assert net.offset_range == 3
    torch.testing.assert_close(starts, torch.tensor([1.0, 2.0]))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("data", "split", "counts"),
    [
        ("utd_mhad_depth", utd.TEST, (431, 430)),
        ("utd_mhad_depth", utd.VAL, (323, 108)),
        ("utd_mhad_depth", utd.LEFT_OUT[0], (324, 107)),
        ("utd_mhad_depth", utd.HALVES[0], (215, 216)),
        ("avletters", letters.REPETITIONS, (520, 260)),
        ("avletters", letters.TALKERS, (546, 234)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_splits_share_no_clip(
    data: str, split: Split, counts: tuple[int, int], data_dir: Path, tmp_path: Path
) -> None:
    lists = [file.read_text().splitlines()[1:] for file in split.write(data_dir / data, tmp_path)]
    assert tuple(map(len, lists)) == counts
    assert not set(lists[0]) & set(lists[1])
    assert {row.split(",")[1] for row in lists[0]} == {row.split(",")[1] for row in lists[1]}
    if split is not letters.REPETITIONS:
        person = re.compile(r"_s\d+_|_[A-Za-z]+\.mp4")
        assert not set.intersection(*({person.search(row)[0] for row in rows} for rows in lists))


def test_the_page_of_results_says_what_the_lines_say() -> None:
    assert results_page.main(["--check"]) == 0, "run `python experiments/results_page.py`"


def test_a_place_on_the_page_is_of_a_study(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no study of .*quick"):
        results_page.filled("<!-- quik:begin -->\n<!-- quik:end -->", tmp_path)
    page = results_page.filled("a\n<!-- quick:begin -->\nold\n<!-- quick:end -->\nb", tmp_path)
    assert page.startswith("a\n<!-- quick:begin -->\n`make study NAME=quick`\n\n| arm |")
    assert page.endswith("<!-- quick:end -->\nb")
    assert "old" not in page
