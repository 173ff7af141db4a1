from __future__ import annotations

import pytest

from interlace.models import create_model, with_num_segments
from interlace.models.tin import fitting_divisor
from interlace.temporal import TemporalInterlace


@pytest.mark.parametrize(
    ("channels", "shift_div", "groups", "divisor"),
    [
        (64, 4, 4, 4),
        (24, 4, 4, 5),  # MobileNetV2: 24 // 5 = 4
        (40, 4, 4, 5),  # EfficientNet: 40 // 5 = 8
        (120, 4, 4, 5),  # RegNetY: 120 // 5 = 24
        (888, 4, 4, 6),  # 888 // 6 = 148
        (16, 4, 8, 4),  # none fits: 16 channels have no fold of 8 with a divisor of 4 or more
    ],
)
def test_the_next_divisor_whose_fold_divides(channels, shift_div, groups, divisor):
    assert fitting_divisor(channels, shift_div, groups) == divisor


@pytest.mark.parametrize("arguments", [{"shift_div": 0}, {"num_groups": 0}, {"num_groups": -1}])
@pytest.mark.parametrize("method", ["tin", "rtcn"])
def test_no_groups_and_no_divisor(method, arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        create_model(f"{method}_resnet18", num_classes=3, **arguments)


@pytest.mark.parametrize("method", ["tin", "tin_released", "tin_paper"])
def test_offsets_go_on_counting_frames_in_clips_of_another_length(method: str) -> None:
    short = create_model(f"{method}_resnet18", num_classes=2, num_segments=4)
    long = with_num_segments(short, 8)
    modules = [
        [module for module in model.modules() if isinstance(module, TemporalInterlace)]
        for model in (short, long, create_model(long.builder, **long.builder_args))
    ]
    for each in zip(*modules, strict=True):
        assert len({module.offset_net.offset_range for module in each}) == 1
