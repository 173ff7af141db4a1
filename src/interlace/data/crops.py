"""Sizes and positions of the published crops: pure geometry, in pixels, (width, height) and (left, top)."""

from __future__ import annotations

from collections.abc import Sequence

Steps = tuple[tuple[int, int], ...]

# Positions are counted in quarter steps of the room that a crop leaves: 0 is left or top, 4 right or bottom.
CORNERS_AND_CENTER: Steps = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))
MULTI_SCALE_STEPS: Steps = (
    *CORNERS_AND_CENTER,
    *((0, 2), (4, 2), (2, 4), (2, 0)),  # the middle of each side
    *((1, 1), (3, 1), (1, 3), (3, 3)),  # the middle of each quarter
)
LEFT_RIGHT_CENTER: Steps = ((0, 2), (4, 2), (2, 2))
TOP_BOTTOM_CENTER: Steps = ((2, 0), (2, 4), (2, 2))


def multi_scale_sizes(
    frame_size: tuple[int, int], image_size: int, scales: Sequence[float], *, max_distort: int = 1
) -> list[tuple[int, int]]:
    """Sizes (width, height) that the multi-scale crop chooses from, in the published order.

    Sides are the frame's short side times each scale; width and height may be ``max_distort`` scales apart. A
    side within 2 pixels of ``image_size`` becomes ``image_size``, so that nothing is resized, unless the
    frame is smaller.

    Source: Wang et al., "Towards Good Practices for Very Deep Two-Stream ConvNets"; the released TSN.

    Example:
        >>> from interlace.data.crops import multi_scale_sizes
        >>> multi_scale_sizes((340, 256), 224, (1.0, 0.875))
        [(256, 256), (224, 256), (256, 224), (224, 224)]
    """
    short_side = min(frame_size)
    sides = [max(1, int(short_side * scale)) for scale in scales]
    sides = [min(image_size, short_side) if abs(side - image_size) <= 2 else side for side in sides]
    return [
        (width, height)
        for i, height in enumerate(sides)
        for j, width in enumerate(sides)
        if abs(i - j) <= max_distort
    ]


def crop_positions(
    frame_size: tuple[int, int], crop_size: tuple[int, int], steps: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Upper left corners (left, top) of a crop at the given quarter steps.

    A step is the whole quarter of the room, so the last one stops up to 3 pixels short of the far edge, as
    published.

    Source: the released TSN.

    Example:
        >>> from interlace.data.crops import LEFT_RIGHT_CENTER, crop_positions
        >>> crop_positions((340, 256), (256, 256), LEFT_RIGHT_CENTER)
        [(0, 0), (84, 0), (42, 0)]
    """
    step_x, step_y = ((frame - crop) // 4 for frame, crop in zip(frame_size, crop_size, strict=True))
    return [(x * step_x, y * step_y) for x, y in steps]
