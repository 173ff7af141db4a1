"""Cameras: how FFmpeg calls them on each system, and which ones are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import av

DEVICES = Path("/sys/class/video4linux")


class Device(NamedTuple):
    """What FFmpeg opens a camera by."""

    url: str
    format: str
    options: dict[str, str]


def camera_device(index: int, cameras: list[str], platform: str = sys.platform) -> Device:
    """The camera of this index; ``cameras`` are the names of those that are there.

    Windows has names alone, so that there an index that is too high is an error of its own: it gives a name that
    no camera has.

    Example:
        >>> from interlace.data.live_camera import camera_device
        >>> camera_device(1, [], "linux").url, camera_device(0, ["HD Cam"], "win32").url
        ('/dev/video1', 'video=HD Cam')
    """
    if platform == "darwin":
        # Apple's cameras refuse the rate that FFmpeg would ask for by itself (29.97).
        return Device(f"{index}:none", "avfoundation", {"framerate": "30"})
    if platform == "win32":
        return Device(f"video={cameras[index] if index < len(cameras) else index}", "dshow", {})
    return Device(f"/dev/video{index}", "v4l2", {})


def list_cameras(platform: str = sys.platform, devices: Path = DEVICES) -> list[str]:
    """The names of the cameras that are there, by index; empty if none is, or if the system does not tell.

    On Linux a camera may have several entries, of which only the first gives pictures.

    Example:
        >>> from interlace.data.live_camera import list_cameras
        >>> list_cameras()  # doctest: +SKIP
        ['0 (Integrated Camera)', '1 (Integrated Camera)']
    """
    if platform not in ("darwin", "win32"):
        found = sorted(devices.glob("video*"), key=lambda device: (len(device.name), device.name))
        return [f"{device.name.removeprefix('video')} ({_name_of(device)})" for device in found]
    enumerate_devices = getattr(av, "enumerate_input_devices", None)  # not before PyAV 17
    if enumerate_devices is None:
        return []
    try:
        found = enumerate_devices("avfoundation" if platform == "darwin" else "dshow")
    except (av.error.FFmpegError, OSError, ValueError):
        return []
    cameras = [device for device in found if not device.media_types or "video" in device.media_types]
    return [device.description or device.name for device in cameras]


def _name_of(device: Path) -> str:
    try:
        return (device / "name").read_text().strip()
    except OSError:
        return "no name"
