"""A window that shows one picture after another."""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import Any

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

_PART_OF_SCREEN = 0.9


class Window:
    """A window on the screen, with Tk; it is closed by its cross, by q or by Escape.

    Tk works in the thread that made the window alone. Between pictures, :meth:`is_open` keeps it alive.

    Raises:
        ValueError: this Python has no Tk, or there is no screen; the message names the way to go on without.

    Example:
        >>> from interlace.streaming.window import Window
        >>> with Window("interlace") as window:  # doctest: +SKIP
        ...     for frame in camera:
        ...         if not window.show(frame.pixels):
        ...             break
    """

    def __init__(self, title: str, tk: Any = None) -> None:
        self._tk: Any = _load_tk() if tk is None else tk
        try:
            self._root = self._tk.Tk()
        except self._tk.TclError as error:
            raise ValueError(
                f"there is no screen to open a window on ({error}); write the pictures to a video with --output FILE"
            ) from error
        self._is_open = True
        self._photo: Any = None  # Tk shows a picture for as long as we hold it
        self._root.title(title)
        self._label = self._tk.Label(self._root, borderwidth=0)
        self._label.pack()
        self._root.protocol("WM_DELETE_WINDOW", self._leave)
        for key in ("<Escape>", "q", "Q"):
            self._root.bind(key, lambda _: self._leave())

    def show(self, picture: UInt8[Tensor, "C H W"]) -> bool:
        """Show a picture (C = 3, or 1 for gray), smaller where it does not fit the screen; False once it is closed."""
        if self.is_open():
            image = self._fitting(Image.fromarray(_rgb(picture).numpy()))
            ppm = b"P6 %d %d 255\n" % image.size + image.tobytes()
            if self._photo is None or (self._photo.width(), self._photo.height()) != image.size:
                self._photo = self._tk.PhotoImage(master=self._root, data=ppm, format="PPM")
                self._label.configure(image=self._photo)
            else:
                self._photo.configure(data=ppm, format="PPM")
        return self.is_open()

    def is_open(self) -> bool:
        """Deal with what was clicked and typed; False once the window is closed."""
        if self._is_open:
            self._root.update()
        return self._is_open

    def close(self) -> None:
        """Take the window from the screen."""
        if self._root is not None:
            self._is_open = False
            root, self._root, self._photo = self._root, None, None
            root.destroy()

    def _leave(self) -> None:
        self._is_open = False

    def _fitting(self, image: Image.Image) -> Image.Image:
        screen = self._root.winfo_screenwidth(), self._root.winfo_screenheight()
        scale = min(
            _PART_OF_SCREEN * there / wanted for there, wanted in zip(screen, image.size, strict=True)
        )
        if scale >= 1:
            return image
        width, height = (max(1, round(scale * side)) for side in image.size)
        return image.resize((width, height), Image.Resampling.BILINEAR)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rgb(picture: UInt8[Tensor, "C H W"]) -> UInt8[Tensor, "H W 3"]:
    return picture.expand(3, -1, -1).permute(1, 2, 0).contiguous()  # (C, H, W) -> (H, W, 3)


def _load_tk() -> ModuleType:
    try:
        import tkinter
    except ImportError as error:
        raise ValueError(
            "this Python has no Tk to open a window with; install it (python3-tk on Debian, python-tk with Homebrew), "
            "or write the pictures to a video with --output FILE"
        ) from error
    return tkinter
