"""Names of MMAction2: every convolution is a module of a `conv` and a `bn`, and the classifier is `cls_head`.

Source: github.com/open-mmlab/mmaction2, mmaction/models/backbones and heads; NonLocal3d of mmcv.
"""

from __future__ import annotations

from interlace.released.mobilenet_v2 import STAGES
from interlace.released.non_local import NON_LOCAL_OF_MMACTION2
from interlace.released.relation import relation_rules
from interlace.released.rules import LEAF, Rules

_HEAD: Rules = (
    (rf"cls_head\.fc_cls\.{LEAF}", r"head.\g<leaf>"),
    *relation_rules(r"cls_head\.consensus\."),
)

_BLOCK = r"backbone\.(?P<stage>layer\d)(?P<pool>\.net)?\.(?P<block>\d+)(?P<in_place>\.net)?(?:\.block)?"
_OURS = r"backbone.\g<stage>.\g<block>"

RESNET: Rules = (
    *_HEAD,
    (rf"backbone\.conv1\.conv\.{LEAF}", r"backbone.conv1.\g<leaf>"),
    (rf"backbone\.conv1\.bn\.{LEAF}", r"backbone.bn1.\g<leaf>"),
    (rf"{_BLOCK}\.(?P<part>conv\d)\.conv(?P<shift>\.net)?\.{LEAF}", rf"{_OURS}.\g<part>.\g<leaf>"),
    (rf"{_BLOCK}\.conv(?P<number>\d)\.bn\.{LEAF}", rf"{_OURS}.bn\g<number>.\g<leaf>"),
    (rf"{_BLOCK}\.downsample\.conv\.{LEAF}", rf"{_OURS}.downsample.0.\g<leaf>"),
    (rf"{_BLOCK}\.downsample\.bn\.{LEAF}", rf"{_OURS}.downsample.1.\g<leaf>"),
    (rf"{_BLOCK}\.conv1\.conv\.net2\.{LEAF}", rf"{_OURS}.conv1.\g<leaf>"),
    (
        rf"{_BLOCK}\.conv1\.conv(?P<interlace>\.net1)"
        rf"\.(?P<part>offset_net\.conv|offset_net\.fc[12]|weight_net\.conv)\.{LEAF}",
        rf"{_OURS}.conv1.temporal.\g<part>.\g<leaf>",
    ),
    *NON_LOCAL_OF_MMACTION2,
)


def _mobilenet_v2() -> Rules:
    """`layer1` to `layer7` are timm's `blocks.0` to `blocks.6`; the first has no expansion."""
    ends = {"conv1": ("conv_stem", "bn1"), "conv2": ("conv_head", "bn2")}
    rules = []
    for module, (conv, norm) in ends.items():
        rules.append((rf"backbone\.{module}\.conv\.{LEAF}", rf"backbone.{conv}.\g<leaf>"))
        rules.append((rf"backbone\.{module}\.bn\.{LEAF}", rf"backbone.{norm}.\g<leaf>"))
    for stage in range(len(STAGES)):
        block = rf"backbone\.layer{stage + 1}\.(?P<block>\d)\.(?P<mobilenet>conv)"
        ours = rf"backbone.blocks.{stage}.\g<block>"
        for at, conv in enumerate(
            ("conv_dw", "conv_pw") if stage == 0 else ("conv_pw", "conv_dw", "conv_pwl")
        ):
            rules.append((rf"{block}\.{at}(?P<shift>\.net)?\.conv\.{LEAF}", rf"{ours}.{conv}.\g<leaf>"))
            rules.append((rf"{block}\.{at}(?:\.net)?\.bn\.{LEAF}", rf"{ours}.bn{at + 1}.\g<leaf>"))
    return tuple(rules)


MOBILENET_V2: Rules = (*_HEAD, *_mobilenet_v2())
