"""LSTMs over the segments of videos of different lengths."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def run_over(lstm: nn.Module, x: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N H"]:
    """A batch-first LSTM over the segments that there are: its way back starts at each video's own end.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.recurrent import run_over
        >>> lstm = torch.nn.LSTM(7, 3, batch_first=True, bidirectional=True)
        >>> run_over(lstm, torch.rand(2, 5, 7), torch.arange(5) < torch.tensor([[5], [4]])).shape
        torch.Size([2, 5, 6])
    """
    lengths = mask.sum(1).cpu()  # as pack_padded_sequence wants them
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class SegmentContext(nn.Module):
    """Every segment with what comes before and after it: LayerNorm(x + BiLSTM(y)).

    Args:
        width: numbers in a segment's feature, an even number.
        seen: numbers in what the LSTM reads (y): those of x, or more.

    Raises:
        ValueError: the width is odd.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.recurrent import SegmentContext
        >>> x, everywhere = torch.rand(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
        >>> SegmentContext(8, 8)(x, x, everywhere).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, width: int, seen: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width={width}: with context it is even, half of it for each direction of time")
        self.lstm = nn.LSTM(seen, width // 2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "B N W"], y: Float[Tensor, "B N Y"], mask: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N W"]:
        """Over the segments that there are."""
        return self.norm(x + run_over(self.lstm, y, mask))
