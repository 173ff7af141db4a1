"""The operators: channels of a clip moved along time, by real offsets or by one frame.

Sign convention, here and everywhere: a positive offset *delays*. With offset d, frame t of the output shows
the moment t - d of the input, so d = +1 shows the past and d = -1 the future.
"""

from __future__ import annotations

# The functions carry the names of their files. Binding them here, after both files are loaded, makes
# `interlace.ops.interlace` the function; the files are reached as `from interlace.ops.interlace import ...`.
from interlace.ops import in_place, nets, packed_conv  # noqa: F401 - whoever loads an exported program needs them
from interlace.ops._dispatch import has_kernels
from interlace.ops.conv import interlaced_conv2d
from interlace.ops.interlace import interlace
from interlace.ops.look_back import look_back
from interlace.ops.shift import temporal_shift

__all__ = ["has_kernels", "interlace", "interlaced_conv2d", "look_back", "temporal_shift"]
