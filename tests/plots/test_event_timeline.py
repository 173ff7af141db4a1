from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from interlace.plots import event_timeline
from interlace.plots.event_timeline import EventTimeline, draw_event_timeline, num_frames_of
from interlace.plots.label_lanes import key_of, key_rows, runs

LONG = "somebody plays a violin slowly in a cathedral"


def timeline_of(labels: list[str], **others: Any) -> EventTimeline:
    """A video of 16:9 in which what is labelled is heard and seen."""
    count = len(labels)
    relevance = np.array([0.8 if label else 0.2 for label in labels])
    settings: dict[str, Any] = {
        "title": "bells.mp4: Church bell (97.0%) from 2 to 7 s",
        "lanes": {"label": labels},
        "frames": np.zeros((num_frames_of(count, 16 / 9), 9, 16, 3), np.uint8),
        "sound": np.arange(12.0).reshape(4, 3),
        "sound_hz": np.array([200.0, 500.0, 2000.0, 6000.0]),
        "has_sound": [True] * count,
        "heard": relevance + 0.1,
        "seen": relevance - 0.1,
        "relevance": relevance,
    }
    return EventTimeline(num_seconds=count, **(settings | others))


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Draw, and give the figure."""

    def drawn(timeline: EventTimeline) -> Figure:
        figures: list[Figure] = []
        save = event_timeline._save

        def keep(figure: Figure, path: Path) -> Path:
            figures.append(figure)
            return save(figure, path)

        monkeypatch.setattr(event_timeline, "_save", keep)
        draw_event_timeline(timeline, tmp_path / "a.png")
        return figures[0]

    return drawn


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in visible(figure)]


def visible(figure: Figure) -> list[Any]:
    from matplotlib.text import Text

    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def curves(figure: Figure) -> dict[str, list[float]]:
    axes = figure.axes[2]
    return {
        str(patch.get_label()): np.round(patch.get_data().values, 3).tolist() for patch in axes.patches[:3]
    }


@pytest.mark.parametrize(
    ("seconds", "aspect", "expected"),
    [
        (1, 16 / 9, 6),
        (2, 16 / 9, 6),
        (7, 16 / 9, 7),
        (10, 16 / 9, 10),
        (15, 16 / 9, 6),
        (300, 16 / 9, 6),
        (10, 9 / 16, 20),
    ],
)
def test_frames_of_the_strip(seconds: int, aspect: float, expected: int) -> None:
    assert num_frames_of(seconds, aspect) == expected


def test_every_row_has_the_same_time_and_says_what_it_is(draw: Any) -> None:
    figure = draw(timeline_of([""] * 2 + ["Church bell"] * 5 + [""] * 3))
    assert [axes.get_xlim() for axes in figure.axes] == [(0, 10)] * 4
    assert curves(figure) == {
        "$p$: relevance, their mean": [0.2] * 2 + [0.8] * 5 + [0.2] * 3,
        "$p^A$: sound fits the picture": [0.3] * 2 + [0.9] * 5 + [0.3] * 3,
        "$p^V$: picture fits the sound": [0.1] * 2 + [0.7] * 5 + [0.1] * 3,
    }
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in figure.axes[2].lines]
    said = texts_of(figure)
    assert {"time from the start of the video (s)", "picture", "probability", "label"} <= set(said)
    assert {"2 to 7 s", "Church bell", "darker is louder", "0.5 or more: event\nbelow: background"} <= set(
        said
    )
    assert said.count("background") == 2
    edges = [line.get_xdata()[0] for line in figure.axes[1].lines]
    assert edges == [2, 7]


def test_the_last_second_ends_with_the_video(draw: Any) -> None:
    figure = draw(timeline_of(["", "fight"], end_seconds=1.72))
    assert "1 to 1.72 s" in texts_of(figure)
    assert [axes.get_xlim() for axes in figure.axes] == [(0, 1.72)] * 4
    assert [line.get_xdata()[0] for line in figure.axes[1].lines] == [1, 1.72]
    short = draw(timeline_of(["fight"], end_seconds=0.25))
    assert [label.get_text() for label in short.axes[3].get_xticklabels()] == ["0", "0.25"]
    assert "fight" in texts_of(short)
    late = draw(timeline_of(["fight"], end_seconds=1.25))  # less than half a second is not a segment
    assert late.axes[0].get_xlim() == (0, 1)


@pytest.mark.parametrize(
    "timeline",
    [
        timeline_of(["Church bell"]),
        timeline_of(["", LONG, "b", "c", "d"] * 2, notes=["its sound is damaged " * 9, "2 audio tracks"]),
        timeline_of(([""] * 3 + [LONG] * 2 + [f"{LONG} {k}" for k in range(25)]) * 10, title="name_" * 90),
        timeline_of([""] * 7, has_sound=[False] * 7, sound=None, heard=None, seen=None),
        timeline_of(
            [""] * 4,
            lanes={
                "given: picture": ["query", "query", "", ""],
                "found: sound": ["", "answer", "answer", ""],
            },
            searched="sound",
            relevance=None,
        ),
        timeline_of(
            ["a", ""] * 20, lanes={"given: picture": ["query", ""] * 20, "found: sound": ["", "x"] * 20}
        ),
        timeline_of(
            ["", "x", "x"], score=np.array([-0.123, 0.9, 0.5]), relevance=None, heard=None, seen=None
        ),
    ],
    ids=["one second", "long label", "300 seconds", "silent", "both rows", "query", "score"],
)
def test_no_text_covers_another_or_leaves_the_picture(draw: Any, timeline: EventTimeline) -> None:
    figure = draw(timeline)
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible(figure)]
    width, height = figure.canvas.get_width_height()
    for name, box in boxes:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= width, name
        assert box.y1 <= height, name
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        up = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, up) < 1.5, f"{first!r} covers {second!r}"


def test_seconds_without_sound_are_marked(draw: Any) -> None:
    figure = draw(timeline_of([""] * 5, has_sound=[True, False, False, False, True]))
    patch = figure.axes[1].patches[0]
    assert (patch.get_x(), patch.get_x() + patch.get_width(), patch.get_hatch()) == (1, 4, "////")
    assert "no sound" in texts_of(figure)


def test_digital_silence_is_a_word_and_not_an_empty_panel(draw: Any) -> None:
    figure = draw(timeline_of([""] * 5, sound=np.zeros((4, 3)), has_sound=[True] * 3 + [False] * 2))
    said = texts_of(figure)
    assert {"silence", "no sound"} <= set(said)
    assert "darker is louder" not in said
    assert not figure.axes[1].images


@pytest.mark.parametrize(("searched", "answer_row", "query_row"), [("sound", 1, 0), ("picture", 0, 1)])
def test_query_and_answer_are_each_marked_on_their_own_row(
    draw: Any, searched: str, answer_row: int, query_row: int
) -> None:
    lanes = {"given": ["query", "query", "", ""], "found": ["", "", "", "answer"]}
    figure = draw(timeline_of([""] * 4, lanes=lanes, searched=searched))

    def marks(row: int, color: str) -> list[list[float]]:
        lines = [line for line in figure.axes[row].lines if line.get_color() == color]
        return [list(line.get_xdata()) for line in lines]

    query, answer = [[0, 2], [0, 0], [2, 2]], [[3, 4], [3, 3], [4, 4]]
    assert marks(query_row, event_timeline.QUERY) == query
    assert marks(query_row, event_timeline.EVENT) == []
    assert marks(answer_row, event_timeline.EVENT) == answer
    assert marks(answer_row, event_timeline.QUERY) == []
    assert marks(2, event_timeline.EVENT) == answer[1:]  # the values are those of the searched row
    assert {"0 to 2 s", "3 to 4 s"} <= set(texts_of(figure))
    assert figure.axes[1].get_ylim() == (0, 4)  # of the spectrum's bands, whatever is marked


def test_letters_that_mean_something_elsewhere_are_letters(draw: Any) -> None:
    said = texts_of(draw(timeline_of(["", "$x^$", "$x^$"], title="$a_{.mp4: 鐘", notes=["$\\frac"])))
    assert {"$x^$", "$a_{.mp4: 鐘", "Note: $\\frac"} <= set(said)


def test_frames_are_cut_to_their_room_in_the_right_order(tmp_path: Path) -> None:
    count = num_frames_of(10, 16 / 9)
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None] * 20, (count, 9, 16, 3))
    path = draw_event_timeline(timeline_of([""] * 10, frames=frames), tmp_path / "b" / "a.png")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    inches = event_timeline.LEFT + event_timeline.PANEL * (np.arange(10) + 0.5) / 10
    row = round(0.95 * 120)
    assert pixels[row, (inches * 120).astype(int), 0].tolist() == [20 * k for k in range(10)]


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'heard' has 3 values for a video of 2 seconds"):
        draw_event_timeline(timeline_of(["", "x"], heard=np.zeros(3)), tmp_path / "a.png")
    with pytest.raises(ValueError, match="0 frames"):
        draw_event_timeline(
            timeline_of(["", "x"], frames=np.zeros((0, 2, 2, 3), np.uint8)), tmp_path / "a.png"
        )
    assert not (tmp_path / "a.png").exists()


def test_runs() -> None:
    assert runs(["a", "a", "", "b"]) == [(0, 2, "a"), (2, 3, ""), (3, 4, "b")]
    assert runs(["a", "", "b", "b"], 3.25) == [(0, 1, "a"), (1, 2, ""), (2, 3.25, "b")]
    assert runs([]) == []


def test_the_key_has_what_does_not_fit_and_says_what_is_left_out() -> None:
    lanes = {"label": ["", "bark", "bark", LONG]}
    assert key_of(lanes, 1.0) == [LONG]
    assert key_of(lanes, 0.01) == ["bark", LONG]
    many = {"label": [f"{LONG} {number}" for number in range(30)]}
    rows = key_rows(many, 0.01, 8.6)
    assert [len(row) for row in rows] == [2] * 8 + [1]
    assert rows[-1] == ["and 14 more"]
