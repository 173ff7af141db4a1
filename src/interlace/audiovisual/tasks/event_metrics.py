"""The two tasks' numbers, in percent, from counts over all videos: nothing here depends on batches."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interlace.audiovisual.models.cml import is_contiguous


def segment_confusion(
    predicted: Int[Tensor, "B N"], true: Int[Tensor, "B N"], mask: Bool[Tensor, "B N"], num_classes: int
) -> Int[Tensor, "C C"]:
    """Counts of segments: row = true label, column = predicted label; filled-up segments are not counted.

    For supervised localization (SEL) the classes are the K events and, last, background.

    Raises:
        ValueError: a label that is no class; it would be counted as another one.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.tasks.event_metrics import segment_confusion
        >>> predicted, true = torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.tensor([[0, 0, 2], [2, 1, 1]])
        >>> mask = torch.tensor([[True, True, True], [True, True, False]])
        >>> segment_confusion(predicted, true, mask, num_classes=3).tolist()
        [[1, 1, 0], [0, 0, 1], [0, 0, 2]]
    """
    true, predicted = true[mask], predicted[mask]
    for labels, what in ((true, "true"), (predicted, "predicted")):
        if bool(((labels < 0) | (labels >= num_classes)).any()):
            raise ValueError(
                f"{what} labels from {int(labels.min())} to {int(labels.max())}; there are {num_classes} classes, "
                f"0 to {num_classes - 1}"
            )
    pairs = true * num_classes + predicted
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def segment_accuracy(confusion: Int[Tensor, "C C"]) -> float:
    """Percentage of all segments whose label is right (29-way on AVE: 28 events and background).

    Example:
        >>> import torch
        >>> from interlace.audiovisual.tasks.event_metrics import segment_accuracy
        >>> segment_accuracy(torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 2]]))
        60.0
    """
    return percentage(int(confusion.diag().sum()), int(confusion.sum()))


def relevance_accuracy(confusion: Int[Tensor, "C C"]) -> float:
    """Percentage of segments that are rightly told to be event or background, whichever event.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.tasks.event_metrics import relevance_accuracy
        >>> relevance_accuracy(torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 2]]))
        80.0
    """
    right = confusion[:-1, :-1].sum() + confusion[-1, -1]
    return percentage(int(right), int(confusion.sum()))


def reason_left_out(relevant: Bool[Tensor, " N"]) -> str:
    """Why cross-modality localization (CML) does not ask a video; empty where it does.

    A place is asked for by its start alone, so the event must be in one piece; where it fills the video there is
    only one place (protocol of Tian et al., ECCV 2018, section 5).

    Example:
        >>> import torch
        >>> from interlace.audiovisual.tasks.event_metrics import reason_left_out
        >>> [reason_left_out(torch.tensor(row).bool()) for row in ([0, 0], [1, 1], [1, 0, 1], [0, 1, 1])]
        ['background only', 'event fills the video', 'event in several pieces', '']
    """
    if not relevant.any():
        return "background only"
    if relevant.all():
        return "event fills the video"
    return "" if is_contiguous(relevant[None]) else "event in several pieces"


def percentage(right: int | float, of: int) -> float:
    """100 * right / of.

    Raises:
        ValueError: there is nothing to count.
    """
    if not of:
        raise ValueError("a percentage of nothing: no segment or video was counted")
    return 100 * right / of
