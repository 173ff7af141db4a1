"""The formats, each with its table, and which of them a file is in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from interlace.released import mmaction2, mobilenet_v2
from interlace.released.bninception import BNINCEPTION
from interlace.released.non_local import NON_LOCAL
from interlace.released.reading import Source
from interlace.released.refusal import ReleasedError
from interlace.released.relation import RELATION
from interlace.released.resnet import HEAD, INTERLACED_BLOCK, PLAIN_BLOCK, SHIFTED_BLOCK, STEM
from interlace.released.rules import Rules, Translation, grouped, translate, twice


@dataclass(frozen=True)
class Format:
    """How one project names its weights."""

    name: str
    rules: Rules
    marks: frozenset[str] = frozenset()
    """One of these must be found, or the file is in another format of the same names; none: nothing need be."""
    entries: frozenset[str] = frozenset()
    """What the project's training states hold beside the weights, if that tells it from others of the same names."""

    def holds(self, translation: Translation) -> bool:
        """Whether all names are this format's, and something in them is its own."""
        return not translation.left_over and self.shows(translation)

    def shows(self, translation: Translation) -> bool:
        """Whether something in the names is this format's own, if it has anything of its own."""
        return not self.marks or bool(self.marks & translation.marks.keys())


_RESNET = (*HEAD, *STEM, *PLAIN_BLOCK)
# In the order in which they are tried: the more particular ones first.
FORMATS: tuple[Format, ...] = (
    Format(
        "x-temporal",
        (*_RESNET, *SHIFTED_BLOCK, *INTERLACED_BLOCK, *NON_LOCAL),
        entries=frozenset({"lr_scheduler"}),
    ),
    # The second convolution is shifted in no other project's networks.
    Format(
        "tin",
        (*_RESNET, *SHIFTED_BLOCK, *INTERLACED_BLOCK, *NON_LOCAL),
        marks=frozenset({"interlace", "second_conv"}),
    ),
    Format("trn", (*_RESNET, *BNINCEPTION, *RELATION), marks=frozenset({"relation", "single_relation"})),
    Format("tsm", (*_RESNET, *SHIFTED_BLOCK, *NON_LOCAL, *BNINCEPTION)),
    Format("tsm-mobilenetv2", mobilenet_v2.OFFLINE, marks=frozenset({"mobilenet"})),
    Format("tsm-online", mobilenet_v2.ONLINE, marks=frozenset({"mobilenet"})),
    Format("mmaction2", mmaction2.RESNET),
    Format("mmaction2", mmaction2.MOBILENET_V2, marks=frozenset({"mobilenet"})),
)
NAMES = tuple(dict.fromkeys(known.name for known in FORMATS))


def find_format(source: Source, name: str | None = None) -> tuple[Format, Translation]:
    """The format of a file and the translation of its names.

    Args:
        source: what stands in the file.
        name: the format that it should be in; None to find out.

    Raises:
        ReleasedError: it is in no known format, or in another; the message lists what does not fit.

    Example:
        >>> import pathlib, torch
        >>> from interlace.released.formats import find_format
        >>> from interlace.released.reading import Source
        >>> state = {"base_model.layer1.0.conv1.net.weight": torch.zeros(64, 64, 1, 1)}
        >>> find_format(Source(pathlib.Path("tsm.pth"), state))[0].name
        'tsm'
    """
    if name is not None and name not in NAMES:
        raise ReleasedError(f"no released format {name!r}; known are {', '.join(NAMES)}")
    tried = [(known, translate(source.state, known.rules)) for known in FORMATS]
    found = [
        (known, translation)
        for known, translation in tried
        if known.holds(translation) and (known.name == name or known.entries <= source.entries)
    ]
    chosen = next((pair for pair in found if name in (None, pair[0].name)), None)
    if chosen is None:
        raise ReleasedError(_no_format(source, name, found, tried))
    same = twice(chosen[1])
    if same:
        raise ReleasedError(f"{source.path}: names that mean the same weight:\n{grouped(same)}")
    return chosen


def _no_format(
    source: Source,
    name: str | None,
    found: list[tuple[Format, Translation]],
    tried: list[tuple[Format, Translation]],
) -> str:
    """What to say of a file that is not in the format asked for, or in none."""
    candidates = [
        (known, translation)
        for known, translation in tried
        if known.name == name or (name is None and known.entries <= source.entries)
    ]
    known, translation = max(candidates, key=lambda pair: (len(pair[1].ours), pair[0].shows(pair[1])))
    looks = (
        f"it looks like {found[0][0].name}: leave --format out, or give that"
        if found
        else what_it_is(source.state)
    )
    number, total = len(translation.left_over), len(source.state)
    if name is not None and not number:
        return f"{source.path}: its names are not those of {name} in particular; {looks}"
    if not translation.ours:
        known_names = f"not one of its {total} names is of {name or 'a known format'}; {looks}"
        return f"{source.path}: {known_names}\n{grouped(translation.left_over)}"
    return (
        f"{source.path}: {number} of its {total} weights are not those of "
        f"{'a checkpoint of ' + name if name else 'its nearest format, ' + known.name}; {looks}\n"
        f"{grouped(translation.left_over)}"
    )


def what_it_is(names: Iterable[str]) -> str:
    """What names of no released format are, as far as can be told, and what to do with them."""
    names = set(names)
    if names & {"conv1.weight", "fc.weight", "conv_stem.weight", "stem.0.weight", "stem.conv.weight"}:
        return (
            "they are those of a plain image network (timm, torchvision), which is no released checkpoint; "
            "start training from it with `interlace train ... --pretrained FILE`"
        )
    if any(name.startswith("head.") for name in names) and any(
        name.startswith("backbone.") for name in names
    ):
        return "they are our own; give the file to create_model or training as pretrained=FILE"
    if names & {"classifier.1.weight", "features.0.0.weight"}:
        return "they are those of torchvision's image networks, which are no released checkpoints"
    if any(name.endswith((".num_batches_tracked", ".running_mean")) for name in names):
        return f"it is in none of the known formats ({', '.join(NAMES)})"
    return f"they are of another kind of network; known are the checkpoints of {', '.join(NAMES)}"
