from __future__ import annotations

import pytest
import torch
from torch import Tensor

from interlace.streaming.fonts import font_for
from interlace.streaming.overlay import Overlay, draw, drawn_size


def grey(height: int, width: int, level: int = 128) -> Tensor:
    return torch.full((3, height, width), level, dtype=torch.uint8)


def changed(height: int, width: int, overlay: Overlay) -> Tensor:
    """Which pixels of a grey frame are drawn on."""
    return (draw(grey(height, width), overlay) != 128).any(0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((240, 320), (240, 320)),
        ((239, 100), (717, 300)),
        ((64, 64), (256, 256)),
        ((1, 7), (240, 1680)),
        ((720, 1280), (720, 1280)),
    ],
)
def test_small_frames_are_enlarged_by_whole_numbers(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert drawn_size(*size) == expected
    assert draw(grey(*size), Overlay()).shape == (3, *expected)


def test_nothing_to_say_leaves_the_frame_as_it_is() -> None:
    frame = torch.randint(0, 256, (3, 240, 250), dtype=torch.uint8)
    assert torch.equal(draw(frame, Overlay()), frame)
    small = torch.randint(0, 256, (3, 120, 125), dtype=torch.uint8)
    assert torch.equal(draw(small, Overlay()), small.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_the_frame_itself_is_not_drawn_on() -> None:
    frame = grey(240, 320)
    draw(frame, Overlay((("wave", 0.9),), ("wave",), "30 fps"))
    assert torch.equal(frame, grey(240, 320))


def test_gray_frames_are_drawn_on_in_color() -> None:
    overlay = Overlay((("wave", 0.9),), ("wave",), "30 fps")
    assert torch.equal(draw(grey(240, 320)[:1], overlay), draw(grey(240, 320), overlay))


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (1080, 608)])
def test_bars_are_as_long_as_scores(size: tuple[int, int]) -> None:
    def blue(score: float) -> int:
        drawn = draw(grey(*size), Overlay((("", score),))).int()
        return int((drawn[2] > drawn[0] + 60).any(0).sum())

    whole = blue(1.0)
    assert whole > size[1] // 3
    # The digits of the score are white, and stand in the bar.
    assert blue(0.5) == pytest.approx(whole / 2, abs=2)
    assert blue(0.0) == 0


def test_everything_has_its_place() -> None:
    top = changed(240, 320, Overlay(tuple((f"label {i}", 0.2) for i in range(5))))
    assert top[:120].any()
    assert not top[120:].any()
    event = changed(240, 320, Overlay(events=("wave",)))
    assert not event[:120].any()
    status = changed(240, 320, Overlay(status="30 fps"))
    assert status.any(1).nonzero().min() > 215
    both = changed(240, 320, Overlay(events=("wave",), status="30 fps"))
    assert both[:215].any()
    two = changed(240, 320, Overlay(events=("wave", "clap")))
    assert two.sum() > 1.8 * event.sum()


def test_what_does_not_fit_ends_in_an_ellipsis_inside_the_frame() -> None:
    long = "walking the dog " * 40
    for overlay in (Overlay(((long, 0.5),)), Overlay(events=(long,)), Overlay(status=long)):
        drawn = draw(grey(240, 320), overlay)
        assert torch.equal(drawn[:, :, -1:].amax((1, 2)) > 200, torch.zeros(3, dtype=torch.bool))
    many = Overlay(tuple((str(i), 0.1) for i in range(100)), tuple(str(i) for i in range(100)))
    assert changed(240, 320, many).shape == (240, 320)


def test_labels_in_other_scripts_and_without_a_shape() -> None:
    plain = draw(grey(240, 320), Overlay(events=("",)))
    for label in ("\u041c\u0438\u0440", "\u65e5\u672c\u8a9e", "\U0001f44b", "a\nb\t\x00", "\udce9"):
        assert not torch.equal(draw(grey(240, 320), Overlay(events=(label,))), plain)


def test_fonts_are_chosen_by_letters() -> None:
    assert font_for("d\u00e9j\u00e0 vu \u2026", 11).getname()[0] == "DejaVu Sans"
    assert font_for("\ue0ff\uf8fe", 11).getname()[0] == "DejaVu Sans"  # nobody has these
