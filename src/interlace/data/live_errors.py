"""Why a camera or a URL cannot be opened, and what to do about it."""

from __future__ import annotations

import errno
import sys

from av import error as av_error

from interlace.data.frame_index import error_text
from interlace.data.live_address import Address
from interlace.data.live_camera import list_cameras

# How FFmpeg reports that PyAV's or its own time limit is over.
_SILENCE = (av_error.ExitError, TimeoutError)


def why_not_open(address: Address, error: BaseException, stall_seconds: float) -> str:
    """``reason; remedy`` for an error of FFmpeg.

    Example:
        >>> from interlace.data.live_address import address_of
        >>> from interlace.data.live_errors import why_not_open
        >>> why_not_open(address_of("tcp://127.0.0.1:9"), ConnectionRefusedError(), 10.0)
        'nothing answers at this address; is the server running, and are host and port right?'
    """
    if address.kind == "camera":
        return _camera(error)
    if isinstance(error, _SILENCE):
        return f"nothing came for {stall_seconds:g} s; is the source sending?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers at this address; is the server running, and are host and port right?"
    if isinstance(error, av_error.HTTPUnauthorizedError | av_error.HTTPForbiddenError):
        return "access is denied; put user and password before the host: //user:password@host"
    if isinstance(error, av_error.HTTPNotFoundError):
        return "the server knows no such stream (404); check the path behind the host"
    if isinstance(error, av_error.ProtocolNotFoundError):
        return "this FFmpeg does not know its protocol; check the spelling (rtsp, http, udp, tcp, ...)"
    if isinstance(error, av_error.InvalidDataError):
        return "what it sends is no video that FFmpeg can read; check the address"
    return f"it cannot be opened ({error_text(error)}); check the address and the network"


def why_broken(error: BaseException, stall_seconds: float) -> str:
    """The reason for which an open source gives no more.

    Example:
        >>> from interlace.data.live_errors import why_broken
        >>> why_broken(TimeoutError(), 10.0)
        'it has sent nothing for 10 s'
    """
    if isinstance(error, _SILENCE):
        return f"it has sent nothing for {stall_seconds:g} s"
    return f"it broke off ({error_text(error)})"


def _camera(error: BaseException) -> str:
    cameras = list_cameras()
    there = (
        f"there are {', '.join(cameras)}" if cameras else "none is connected, or none can be seen from here"
    )
    code = getattr(error, "errno", None)
    if isinstance(error, FileNotFoundError) or code in (errno.ENODEV, errno.ENXIO):
        return f"there is no such camera; {there}"
    if isinstance(error, PermissionError):
        remedy = (
            'add yourself to the group "video"' if sys.platform == "linux" else "allow it in the settings"
        )
        return f"no permission to use it; {remedy}"
    if code == errno.EBUSY:
        return "another program uses it; close that one"
    return f"it cannot be opened ({error_text(error)}); plug it in again, or choose another: {there}"
