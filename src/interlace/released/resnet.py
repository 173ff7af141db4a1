"""Names of the ResNets that the authors of TSN, TSM, TIN and TRN released, and of X-Temporal's.

All five wrap torchvision's network as `base_model`. TSM puts `.net` behind a convolution (and behind whole blocks
in place, and behind layer2 with a temporal pool), a non-local block `.block` and `.nl`, TIN `.net1` and `.net2`.

Sources: github.com/yjxiong/tsn-pytorch, mit-han-lab/temporal-shift-module, deepcs233/TIN, zhoubolei/TRN-pytorch,
Sense-X/X-Temporal.
"""

from __future__ import annotations

from interlace.released.rules import LEAF, Rules

HEAD: Rules = (
    (rf"new_fc\.{LEAF}", r"head.\g<leaf>"),
    # Trained without dropout, the classifier stayed where it was.
    (rf"base_model\.(?P<no_dropout>fc|classifier)\.{LEAF}", r"head.\g<leaf>"),
)

_STAGE = r"base_model\.(?P<stage>layer\d)(?P<pool>\.net)?"
_BLOCK = rf"{_STAGE}\.(?P<block>\d+)(?P<in_place>\.net)?(?:\.block)?"
_OURS = r"backbone.\g<stage>.\g<block>"

STEM: Rules = (
    # conv1.0 to conv1.6 are the deep stem of X-Temporal's resnet50c and resnet50d.
    (rf"base_model\.(?P<part>conv1|conv1\.\d|bn1)\.{LEAF}", r"backbone.\g<part>.\g<leaf>"),
)
PLAIN_BLOCK: Rules = (
    (rf"{_BLOCK}\.(?P<part>conv\d|bn\d|downsample\.\d)\.{LEAF}", rf"{_OURS}.\g<part>.\g<leaf>"),
)
SHIFTED_BLOCK: Rules = (
    (
        rf"{_BLOCK}\.(?P<part>conv(?:(?P<second_conv>2)|\d))(?P<shift>\.net)\.{LEAF}",
        rf"{_OURS}.\g<part>.\g<leaf>",
    ),
)

_INTERLACED = rf"{_BLOCK}\.conv1(?P<interlace>\.net1)"
_TEMPORAL = rf"{_OURS}.conv1.temporal"
INTERLACED_BLOCK: Rules = (
    (rf"{_BLOCK}\.conv1\.net2\.{LEAF}", rf"{_OURS}.conv1.\g<leaf>"),
    (rf"{_INTERLACED}\.biasnet\.net\.conv\.{LEAF}", rf"{_TEMPORAL}.offset_net.conv.\g<leaf>"),
    (rf"{_INTERLACED}\.biasnet\.net\.fc\.{LEAF}", rf"{_TEMPORAL}.offset_net.fc1.\g<leaf>"),
    (rf"{_INTERLACED}\.biasnet\.net\.lastlayer\.{LEAF}", rf"{_TEMPORAL}.offset_net.fc2.\g<leaf>"),
    (rf"{_INTERLACED}\.weightnet\.net\.lastlayer\.{LEAF}", rf"{_TEMPORAL}.weight_net.conv.\g<leaf>"),
)
