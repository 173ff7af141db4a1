from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from interlace.streaming.window import Window


class FakeTk:
    """A screen of 100 x 80; keeps what is drawn and what is bound."""

    def __init__(self) -> None:
        self.bound: dict[str, object] = {}
        self.photos: list[SimpleNamespace] = []
        self.typed: list[str] = []
        self.is_destroyed = False
        self.Tk, self.Label, self.PhotoImage = self._root, self._label, self._photo
        self.TclError = RuntimeError

    def _root(self) -> FakeTk:
        return self

    def title(self, text: str) -> None:
        self.text = text

    def _label(self, root: object, borderwidth: int) -> SimpleNamespace:
        return SimpleNamespace(pack=lambda: None, configure=lambda image: setattr(self, "shown", image))

    def _photo(self, master: object, data: bytes, format: str) -> SimpleNamespace:
        width, height = (int(number) for number in data.split(b" ", 3)[1:3])
        photo = SimpleNamespace(data=data, width=lambda: width, height=lambda: height)
        photo.configure = lambda data, format: setattr(photo, "data", data)
        self.photos.append(photo)
        return photo

    def protocol(self, name: str, action: object) -> None:
        self.bound[name] = lambda _: action()

    def bind(self, key: str, action: object) -> None:
        self.bound[key] = action

    def winfo_screenwidth(self) -> int:
        return 100

    def winfo_screenheight(self) -> int:
        return 80

    def update(self) -> None:
        assert not self.is_destroyed
        for key in self.typed:
            self.bound[key](None)

    def destroy(self) -> None:
        assert not self.is_destroyed
        self.is_destroyed = True


def picture(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return (
        torch.arange(channels * height * width)
        .reshape(channels, height, width)
        .remainder(251)
        .to(torch.uint8)
    )


def test_pictures_are_shown_as_they_are_and_smaller_if_they_must() -> None:
    tk = FakeTk()
    with Window("seen", tk) as window:
        assert tk.text == "seen"
        assert window.show(picture(20, 31))
        assert tk.shown.data == b"P6 31 20 255\n" + picture(20, 31).permute(1, 2, 0).numpy().tobytes()
        assert window.show(picture(20, 31, channels=1))
        assert len(tk.photos) == 1  # the same picture anew, so that memory does not grow
        assert tk.shown.data[-3:] == bytes([picture(20, 31, channels=1)[0, -1, -1]] * 3)
        assert window.show(picture(30, 360))
        assert tk.shown.data.startswith(b"P6 90 8 255\n")
    assert tk.is_destroyed


@pytest.mark.parametrize("key", ["<Escape>", "q", "WM_DELETE_WINDOW"])
def test_it_is_closed_by_keys_and_by_its_cross(key: str) -> None:
    tk = FakeTk()
    with Window("seen", tk) as window:
        assert window.is_open()
        tk.typed.append(key)
        assert not window.show(picture(4, 5))
        assert not window.is_open()
        assert tk.photos == []
    window.close()


def test_no_screen_is_an_error_that_names_the_way_out() -> None:
    def no_screen() -> None:
        raise RuntimeError("no display name")

    tk = FakeTk()
    tk.Tk = no_screen
    with pytest.raises(ValueError, match=r"no screen to open a window on \(no display name\).*--output FILE"):
        Window("seen", tk)


def test_no_tk_is_an_error_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(ValueError, match=r"no Tk to open a window with.*--output FILE"):
        Window("seen")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Tk needs no DISPLAY")
def test_no_screen_for_the_real_tk(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ValueError, match="no screen to open a window on"):
        Window("seen")
