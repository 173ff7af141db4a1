"""What a user names as a source, and how it may be printed."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from interlace.data.live_camera import camera_device, list_cameras

# Two letters or more: "C:" is a drive.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_OPTIONS = {
    # Lost datagrams are torn pictures; a server that has datagrams alone still gets to send them.
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
}


@dataclass(frozen=True)
class Address:
    """Where frames come from."""

    kind: Literal["file", "camera", "url", "pipe"]
    url: str = field(repr=False)
    """What FFmpeg opens."""
    name: str
    """What may be printed: no password, nothing of what stands behind a question mark."""
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def address_of(source: str | Path | int) -> Address:
    """A camera by its index, a file, an URL, or ``-`` for what is piped in.

    A file goes before an URL of the same name; a file whose name is a number is given as ``./0``.

    Raises:
        ValueError: an index below zero, or no name at all.

    Example:
        >>> from interlace.data.live_address import address_of
        >>> address_of("rtsp://anna:secret@door.local/live?token=1").name
        'rtsp://***@door.local/live?***'
        >>> address_of("0").kind, address_of("clip.mp4").kind, address_of("udp://@:5000").kind
        ('camera', 'file', 'url')
    """
    text = str(source)
    if re.fullmatch(r"-?\d+", text, re.ASCII):
        return _camera(int(text))
    if not text.strip():
        raise ValueError("the source has no name; give a camera's number, a file or an URL")
    path = Path(text)
    if re.fullmatch(r"/dev/video\d+", text):
        return Address("camera", text, text, "v4l2")
    if text == "-":
        return Address("pipe", "pipe:0", "standard input")
    if path.is_fifo() or path.is_char_device():
        return Address("pipe", f"file:{text}", text)
    scheme = _SCHEME.match(text)
    if scheme is None or path.exists():
        return Address("file", text, text)
    protocol = scheme[0][:-1].lower()
    kind: Literal["pipe", "url"] = "pipe" if protocol in ("pipe", "fd") else "url"
    return Address(kind, text, without_secrets(text), options=_OPTIONS.get(protocol, {}))


def without_secrets(url: str) -> str:
    """The URL as it may be printed.

    Up to the last ``@``, wherever it stands: a password with a slash in it is not one to FFmpeg, but still a secret.

    Example:
        >>> from interlace.data.live_address import without_secrets
        >>> without_secrets("http://anna:a/b@c@cam/live")
        'http://***@cam/live'
    """
    start = re.match(r"[^:]*:/*", url)
    head = start[0] if start else ""
    secret, at, rest = url[len(head) :].rpartition("@")
    shown, question, _ = rest.partition("?")
    return f"{head}{'***' if secret else ''}{at}{shown}{'?***' if question else ''}"


def _camera(index: int) -> Address:
    if index < 0:
        raise ValueError(f"camera {index}: cameras are numbered from 0")
    # Windows alone calls them by name; elsewhere the list is made when one cannot be opened.
    device = camera_device(index, list_cameras() if sys.platform == "win32" else [])
    return Address("camera", device.url, f"camera {index}", device.format, device.options)
