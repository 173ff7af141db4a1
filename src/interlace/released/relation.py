"""Names of the relations that TRN was released with: one for all frames, or one for each number of frames."""

from __future__ import annotations

from interlace.released.rules import LEAF, Rules


def relation_rules(prefix: str) -> Rules:
    """The table for what stands behind a prefix, e.g. `consensus.` in TRN, `cls_head.consensus.` in MMAction2.

    Layers 1 and 3 are the linear ones; 0 and 2 rectify.
    """
    rules = []
    for layer, name in ((1, "fc1"), (3, "fc2")):
        rules.append(
            (
                rf"{prefix}(?P<single_relation>classifier)\.{layer}\.{LEAF}",
                rf"consensus.relations.0.{name}.\g<leaf>",
            )
        )
        rules.append(
            (
                rf"{prefix}(?P<relation>fc_fusion_scales)\.(?P<scale>\d+)\.{layer}\.{LEAF}",
                rf"consensus.relations.\g<scale>.{name}.\g<leaf>",
            )
        )
    return tuple(rules)


RELATION: Rules = relation_rules(r"consensus\.")
