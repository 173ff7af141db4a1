"""The soak tests in small: that they see what is wrong, and that nothing is."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pytest

import soak
import soaking.clips
from interlace.data import video
from soaking import watch
from soaking.clips import BROKEN, write_clips
from soaking.watch import Ended, Look, Watched, growth

KIB = 1024


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> argparse.Namespace:
    return argparse.Namespace(
        work=tmp_path_factory.mktemp("soak"), files=160, epochs=2, workers=1, together_files=20
    )


@pytest.fixture(autouse=True)
def few_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soaking.clips, "NUM_BASES", 7)


def test_clips_are_good_or_broken_and_no_two_are_the_same(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 70)
    broken = {path for paths in clips.broken.values() for path in paths}
    found = video.find_videos(clips.folder)
    good = [path for path in found if path not in broken and path not in clips.vanishing]
    assert (len(good), len(broken), len(clips.vanishing)) == (62, 7, 1)
    assert set(clips.broken) == set(BROKEN)
    assert found[-1] == clips.vanishing[-1]
    contents = {path.read_bytes() for path in good}
    assert len(contents) == 62
    assert {path.suffix for path in good} == {".mp4", ".mkv", ".avi"}
    assert any(not name.isascii() for name in map(str, broken))
    lengths = set()
    for path in good[:12]:
        with video.open(path) as reader:
            lengths.add(reader.num_frames)
            assert reader.notes == []
    assert len(lengths) > 2
    for path in broken:
        with pytest.raises((ValueError, OSError)):
            video.open(path).frames_at([0])
    before = {path: path.stat().st_mtime_ns for path in good}
    clips.vanishing[0].unlink()
    again = write_clips(tmp_path / "clips", 70)
    assert again.vanishing[0].exists()
    assert before == {path: path.stat().st_mtime_ns for path in good}  # what is there stays


def test_growth_is_told_after_the_warm_up() -> None:
    looks = [Look(done, 5000 if done < 20 else 1000 + 3 * done, 7, 4) for done in range(0, 101, 5)]
    assert growth(looks, "main_kib", 1000) == {
        "first": 1060,
        "last": 1300,
        "largest": 1300,
        "slope per 1000": 3000.0,
        "slope per 1000 of the last half": 3000.0,
    }
    flat = [Look(done, min(done, 60), 7, 4) for done in range(1, 101)]
    assert (
        growth(flat, "main_kib", 10)["slope per 10 of the last half"]
        == 0
        < growth(flat, "main_kib", 10)["slope per 10"]
    )
    assert growth(looks, "open_files", 10)["slope per 10"] == 0
    assert growth(looks[:1], "main_kib", 10) == {}
    assert growth([], "main_kib", 10) == {}
    assert soak.by_epoch([*looks, Look(10, 9, 9, 9)], "main_kib")["10"] == 5000


def test_a_process_is_seen_with_its_children_and_files(tmp_path: Path) -> None:
    here = os.getpid()
    before = watch.open_files(here)
    with (tmp_path / "a").open("w"):
        assert watch.open_files(here) == before + 1
    assert watch.resident_kib(here) > 10 * KIB
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    try:
        assert child in watch.children_of(here)
    finally:
        os.close(write)
        os.waitpid(child, 0)
    assert child not in watch.children_of(here)
    assert watch.resident_kib(child) == watch.open_files(child) == 0


def test_what_is_printed_is_counted_and_a_kill_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(
        watch, "CODE", "import sys; print(sys.argv[1:]); print(1, file=sys.stderr); sys.exit(3)"
    )
    ended = Watched(["a", "b"]).run()
    assert (ended.status, ended.printed, ended.errors) == (3, ["['a', 'b']"], "1\n")
    monkeypatch.setattr(watch, "CODE", "print('begun', flush=True); input()")
    monkeypatch.setattr(sys, "stdin", sys.__stdin__)
    endless = "import threading; print('begun', flush=True); threading.Event().wait()"
    monkeypatch.setattr(watch, "CODE", endless)
    killed = Watched([], at_look=lambda process, look: watch.kill(process) if look.done else None).run()
    assert (killed.status, killed.printed, killed.looks[-1].done) == (-9, ["begun"], 1)


def test_what_is_missing_twice_or_without_reason_is_counted(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 24)
    good = [path for path in video.find_videos(clips.folder) if path.name.startswith("clip")]
    broken = [paths[0] for paths in clips.broken.values()]
    lines = [
        "path,label,error",
        *(f"{path},wave," for path in good[1:]),
        f"{good[1]},wave,",
        f"{good[2]},,odd",
    ]
    lines += [f"{path},,odd" for path in broken[:-1]] + [f"{broken[0]},,odd"]
    output = tmp_path / "out.csv"
    output.write_text("\n".join(lines) + "\n", errors="surrogateescape")
    printed = [f"{path}: FAILED: odd".encode(errors="surrogateescape") for path in broken[2:]]
    ended = Ended(1, [], [line.decode("utf-8", "replace") for line in printed])
    told = soak.counted(output, clips, ended)
    assert told == {
        "files": 24,
        "predicted": 15,
        "failed": 8,
        "missing": 3,  # the first good one, the last broken one, the vanishing one
        "twice": 2,
        "broken without a reason": 2,
        "good with a reason": 1,
        "broken that were not printed": 3,
        "status": 1,
    }


@pytest.mark.faults
def test_a_small_load_loses_nothing(options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some files vanish while it runs, so it must be looked at before it is over.
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.05)
    rows = soak.measure_load(options)
    whole = {"files": 160, "predicted": 152, "failed": 8, "status": 1}
    whole |= dict.fromkeys(("missing", "twice", "broken without a reason", "good with a reason"), 0)
    assert rows["in peace"].items() >= whole.items()
    assert rows["in peace"]["broken that were not printed"] == 0
    told = rows["killed and gone on"]
    assert told.items() >= whole.items()
    assert told["same bytes as in peace"]
    assert told["left over"] == []
    assert rows["broken"] == dict.fromkeys([*BROKEN, "vanishing"], 1)


@pytest.mark.faults
def test_a_small_training_is_watched(options: argparse.Namespace) -> None:
    rows = soak.measure_train(options)
    assert rows["training"]["epochs"] == 2
    assert rows["main_kib"]["by epoch"]["0"] > 100 * KIB
    assert rows["open_files"]["by epoch"]["0"] > 3


@pytest.mark.faults
def test_commands_at_once_do_each_other_no_harm(
    options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.02)  # so few files do not take long
    rows = soak.measure_together(options)
    for name in ("training a", "training b", "prediction a", "prediction b", "flow", "flow again"):
        told = rows[name]
        assert told.pop("status") == told.pop("status alone") == int(name.startswith("prediction"))
        assert all(told.values()), name
    assert rows["second training a"] == rows["second prediction a"] == {"status": 1, "refused": True}
    assert rows["folder"] == {"left over": []}


def test_parts_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(soak.MEASURES, "train", lambda options: {"training": {"epochs": options.epochs}})
    words = ["--parts", "train", "--epochs", "30", "--work", str(tmp_path), "--results", str(tmp_path)]
    soak.main(words)
    soak.main(words)
    runs = json.loads((tmp_path / "soak.json").read_text())
    assert [run["results"] for run in runs] == [
        {"train, 30 epochs with 2 workers": {"training": {"epochs": 30}}}
    ] * 2
    assert {"date", "versions", "machine", "commit"} <= set(runs[0])
    with pytest.raises(SystemExit):
        soak.main(["--files", "5"])
    assert "at least 20" in capsys.readouterr().err
