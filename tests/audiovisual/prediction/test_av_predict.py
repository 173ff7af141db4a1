"""`interlace av predict`, and the pictures that it draws."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interlace.audiovisual.features.extractor import Extractor
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher
from interlace.audiovisual.prediction import draw_prediction
from interlace.audiovisual.prediction.draw_prediction import read_spectrum, read_strip
from interlace.audiovisual.prediction.event_prediction import BACKGROUND, EventPrediction, EventQuery
from interlace.audiovisual.prediction.localize_file import EventRecognizer
from interlace.cli.av_predict import drawings_of, run, without_drawings
from interlace.plots.event_timeline import EventTimeline


@pytest.fixture(scope="module")
def films(
    tmp_path_factory: pytest.TempPathFactory,
    small_extractor: Extractor,
    make_film: Callable[..., Path],
    save_network: Callable[..., Any],
) -> Path:
    root = tmp_path_factory.mktemp("films")
    make_film(root / "videos" / "a.mkv")
    make_film(root / "videos" / "deep" / "b [x].mkv", num_seconds=2, loud=(0,), has_sound=False)
    (root / "videos" / "broken.mp4").write_text("no video")
    save_network(root / "sel.safetensors", EventLocalizer, "sel", "dam", small_extractor)
    save_network(root / "cml.safetensors", CrossModalMatcher, "cml", "dam", small_extractor)
    return root


def test_folders_pictures_and_files_and_what_is_broken_is_listed(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--device", "cpu", "--pictures", str(tmp_path / "drawn")]
    told = tmp_path / "told.json"
    assert run([str(films / "sel.safetensors"), str(films / "videos"), *where, "--output", str(told)]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{films}/videos/a.mkv: ")
    assert [line.split("  ")[1] for line in lines[1:5]] == ["0-1 s", "1-2 s", "2-3 s", "3-4 s"]
    assert f"{films}/videos/broken.mp4: FAILED: not a video that FFmpeg can read; replace the file" in lines
    assert f"pictures: {tmp_path}/drawn" in lines
    assert "error: no timeline of 1 of the videos (listed above)" in said.err
    content = json.loads(told.read_text())
    first, second = content["predictions"]
    assert (len(first["seconds"]), len(second["seconds"])) == (4, 2)
    assert second["notes"] == ["it has no sound track: zeros"]
    assert content["failures"][0]["path"] == str(films / "videos" / "broken.mp4")
    expected = EventRecognizer(films / "sel.safetensors", device="cpu")(films / "videos" / "a.mkv")
    assert [row["relevance"] for row in first["seconds"]] == list(expected.relevance or ())
    drawn = sorted(str(path.relative_to(tmp_path / "drawn")) for path in tmp_path.rglob("*.png"))
    assert drawn == ["a.mkv.png", "b [x].mkv.png"]


def test_a_query(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, told = str(films / "videos" / "a.mkv"), tmp_path / "told.csv"
    words = ["--query", "audio", "--start", "1", "--end", "2.4", "--pictures", "null", "--output", str(told)]
    assert run([str(films / "cml.safetensors"), video, "--device", "cpu", *words]) == 0
    assert f"{video}: what is heard from 1 to 2.4 s is seen from " in capsys.readouterr().out
    with told.open() as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert sorted(labels) == [BACKGROUND] * 3 + ["match"]
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sel", "a.mkv", "--query", "audio"], "--query, --start and --end belong together"),
        (["sel", "a.mkv", "--start", "1", "--end", "2"], "--query, --start and --end belong together"),
        (["sel", "a.mkv", "--query", "audio", "--start", "1", "--end", "2"], "takes no query"),
        (["cml", "a.mkv"], "give a query"),
        (["sel", "a.mkv", "--output", "told.txt"], "unknown format '.txt'"),
        (["sel", "a.mkv", "--pictures", "sel.safetensors"], "sel.safetensors is a file; give a folder"),
        (["sel", "a.mkv", "--pictures", "sel.safetensors/x"], "sel.safetensors is a file; give a folder"),
        (["sel", "a.mkv", "--output", "sel.safetensors/x.csv"], "--output sel.safetensors is a file"),
    ],
)
def test_wrong_words_are_told_before_any_work(
    films: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(films)
    with pytest.raises(ValueError, match=r".*") as told:
        run([f"{words[0]}.safetensors", *words[1:], "--device", "cpu"])
    assert message in str(told.value)


def test_a_folder_of_runs_is_told_from_a_checkpoint(films: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder; it holds no model\.safetensors; name a checkpoint"):
        run([str(tmp_path), str(films / "videos" / "a.mkv")])
    inside = tmp_path / "dam" / "seed0" / "model.safetensors"
    inside.parent.mkdir(parents=True)
    inside.touch()
    with pytest.raises(ValueError, match=f"is a folder; name the checkpoint in it, e.g. {inside}"):
        run([str(tmp_path), str(films / "videos" / "a.mkv")])


def test_a_picture_that_fails_takes_nothing_with_it(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(draw_prediction, "draw_prediction", full)
    told = tmp_path / "told.json"
    words = ["--device", "cpu", "--pictures", str(tmp_path / "drawn"), "--output", str(told)]
    assert run([str(films / "sel.safetensors"), str(films / "videos" / "a.mkv"), *words]) == 1
    said = capsys.readouterr()
    assert "a.mkv: FAILED: its timeline is there, and could not be drawn: no space left on device" in said.out
    assert "picture: " not in said.out
    assert "no timeline or no picture of 1 of the videos" in said.err
    assert len(json.loads(told.read_text())["predictions"]) == 1


def test_drawings_of_an_earlier_run_are_no_videos(tmp_path: Path) -> None:
    pictures = tmp_path / "timelines"
    pictures.mkdir()
    frames, film = tmp_path / "frames", tmp_path / "a.mkv"
    frames.mkdir()
    found = [film, frames, pictures]
    assert without_drawings(found, [str(tmp_path)], pictures) == [film, frames]
    assert without_drawings(found, [str(tmp_path)], tmp_path / "others") == found
    assert without_drawings(found, [str(tmp_path)], tmp_path) == found  # frames within it are meant
    assert without_drawings([pictures], [str(pictures)], pictures) == [pictures]


def test_ctrl_c_keeps_what_is_done(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predict = EventRecognizer.__call__

    def interrupted(self: EventRecognizer, video: Path, **options: Any) -> EventPrediction:
        if video.name.startswith("b"):
            raise KeyboardInterrupt
        return predict(self, video, **options)

    monkeypatch.setattr(EventRecognizer, "__call__", interrupted)
    told = tmp_path / "told.csv"
    words = ["--device", "cpu", "--pictures", "null", "--output", str(told)]
    assert run([str(films / "sel.safetensors"), str(films / "videos"), *words]) == 1
    assert (
        "broken.mp4: FAILED: stopped by Ctrl-C before it was done; 1 more were not begun"
        in capsys.readouterr().out
    )
    assert len(told.read_text().splitlines()) == 1 + 4 + 1


def test_the_picture_shows_the_files_own_frames_and_sound(films: Path) -> None:
    video = films / "videos" / "a.mkv"
    strip = read_strip(video, 4)
    per_second = len(strip) // 4
    bright = strip.mean((1, 2, 3)) > 128
    assert bright.reshape(4, per_second).tolist() == [[second == 1] * per_second for second in range(4)]
    spectrum, hz = read_spectrum(video, 4)
    assert spectrum.shape == (64, 4 * 98)
    loud = spectrum[:, 98:196]
    assert abs(hz[loud.mean(1).argmax()] - 1000) < 60
    assert loud.max() - spectrum[:, :90].max() > 5


def test_pictures_say_how_labels_come_about(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[EventTimeline] = []
    monkeypatch.setattr(
        draw_prediction, "draw_event_timeline", lambda timeline, path: drawn.append(timeline) or path
    )
    path, labels = str(films / "videos" / "a.mkv"), ("bark", "bark", BACKGROUND, BACKGROUND)
    by_half = EventPrediction(path, labels, 4.0, relevance=(0.5, 0.9, 0.49, 0.1), has_sound=(True,) * 4)
    likeliest = EventPrediction(path, labels, 4.0, relevance=(0.6, 0.9, 0.6, 0.1), has_sound=(False,) * 4)
    query = EventQuery("visual", 1.5, 2.5)
    asked = EventPrediction(
        path, (BACKGROUND, "match", "match", BACKGROUND), 4.0, heard=(0.1, 0.8, 0.7, 0.2), query=query
    )
    for prediction in (by_half, likeliest, asked):
        draw_prediction.draw_prediction(prediction, tmp_path / "a.png")
    assert [timeline.rule.split()[0] for timeline in drawn] == ["0.5", "label:", "the"]
    assert [timeline.sound is None for timeline in drawn] == [False, True, True]
    assert drawn[0].title == "a.mkv: bark from 0 to 2 s"
    assert drawn[0].lanes == {"label": ["bark", "bark", "", ""]}
    assert drawn[2].lanes == {
        "given: picture": ["", "query", "query", ""],
        "found: sound": ["", "answer", "answer", ""],
    }
    assert [timeline.searched for timeline in drawn] == [None, None, "sound"]
    assert drawn[2].heard_label == "$p^A$: sound fits the query"
    np.testing.assert_array_equal(drawn[2].heard, [0.1, 0.8, 0.7, 0.2])


def test_names_that_are_no_text_and_folders_of_pictures(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "\udcff$_{.mkv"
    odd.write_bytes((films / "videos" / "a.mkv").read_bytes())
    for k in range(6):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (40 * k, 0, 0)).save(tmp_path / "frames" / f"shot-{k}.png")
    words = [str(odd), str(tmp_path / "frames"), "--frames", "shot-{:d}.png", "--device", "cpu"]
    monkeypatch.chdir(tmp_path)
    assert run([str(films / "sel.safetensors"), *words]) == 0
    assert sorted(path.name for path in (tmp_path / "timelines").iterdir()) == [
        "frames.png",
        f"{odd.name}.png",
    ]


def test_pictures_keep_apart_what_has_the_same_name(tmp_path: Path) -> None:
    videos = [tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4", tmp_path / "x" / ".." / "z" / "a.avi"]
    folder = tmp_path / "drawn"
    assert drawings_of(videos, folder) == [
        folder / "x/a.mp4.png",
        folder / "y/a.mp4.png",
        folder / "z/a.avi.png",
    ]
    assert drawings_of(videos[1:], folder) == [folder / "a.mp4.png", folder / "a.avi.png"]
    assert drawings_of(videos, None) == [None] * 3


@pytest.mark.real_data
def test_real_files(films: Path, tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = [
        data_dir / "odd_videos" / "nasa_13013.mp4",
        data_dir / "surv_fight_small" / "fight" / "fi009.mp4",
    ]
    words = [*map(str, videos), "--device", "cpu", "--pictures", str(tmp_path)]
    assert run([str(films / "sel.safetensors"), *words]) == 0
    said = capsys.readouterr().out
    assert "2 audio tracks, stream 4 is used" in said
    assert said.count(" s  heard p^A ") == 13 + 3  # 13.0 s and 2.85 s
    for name in ("nasa_13013.mp4.png", "fi009.mp4.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width == 1488
