"""Names of the MobileNetV2 that the authors of TSM released, offline (`base_model.features`) and online (`features`).

`features.3.conv.0` to `.7` are a block's convolutions and batch norms in their order. timm counts by stages, and
names the layers; its first block has no expansion.

Source: github.com/mit-han-lab/temporal-shift-module, archs/mobilenet_v2.py and online_demo/mobilenet_v2_tsm.py.
"""

from __future__ import annotations

from interlace.released.resnet import HEAD
from interlace.released.rules import LEAF, Rules

STAGES = (1, 2, 3, 4, 3, 3, 1)
"""Blocks of each stage."""
FIRST_BLOCK = {0: "conv_dw", 1: "bn1", 3: "conv_pw", 4: "bn2"}
BLOCK = {0: "conv_pw", 1: "bn1", 3: "conv_dw", 4: "bn2", 6: "conv_pwl", 7: "bn3"}


def _table(features: str) -> Rules:
    ends = {(0, 0): "conv_stem", (0, 1): "bn1", (18, 0): "conv_head", (18, 1): "bn2"}
    rules = [
        (rf"{features}\.{number}\.{layer}\.{LEAF}", rf"backbone.{name}.\g<leaf>")
        for (number, layer), name in ends.items()
    ]
    places = [(stage, block) for stage, number in enumerate(STAGES) for block in range(number)]
    for number, (stage, block) in enumerate(places, start=1):
        for layer, name in (FIRST_BLOCK if number == 1 else BLOCK).items():
            wrapper = r"(?P<shift>\.net)?" if layer == 0 else ""
            rules.append(
                (
                    rf"{features}\.{number}\.conv\.{layer}{wrapper}\.{LEAF}",
                    rf"backbone.blocks.{stage}.{block}.{name}.\g<leaf>",
                )
            )
    return tuple(rules)


OFFLINE: Rules = (*HEAD, *_table(r"base_model\.(?P<mobilenet>features)"))
ONLINE: Rules = ((rf"classifier\.{LEAF}", r"head.\g<leaf>"), *_table("(?P<online>(?P<mobilenet>features))"))
