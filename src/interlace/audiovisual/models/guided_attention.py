"""Audio-guided visual attention: the sound of a second says where in its picture to look."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class GuidedAttention(nn.Module):
    """A weighted mean over the places of the picture, the weights chosen by what is heard in the same second.

    v_att = sum_i w_i v_i with w = softmax(W_f tanh(W_v U_v(v) + W_a U_a(a))): Tian et al., Audio-Visual Event
    Localization in Unconstrained Videos (ECCV 2018), section 4.2. U are a linear map and a ReLU each. The sum adds
    the same vector at every place, as written there; the released code adds one number of it to each of 49 places.

    Args:
        audio_features: numbers in a row of sound (A).
        visual_features: numbers at a place of the picture (D).
        hidden: numbers that U gives; 512 in the paper's code.
        compared: numbers in which both are added up; 49 in the paper, where it is also the number of places, which
            is free here.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.guided_attention import GuidedAttention
        >>> GuidedAttention(128, 512)(torch.rand(2, 10, 49, 512), torch.rand(2, 10, 128)).shape
        torch.Size([2, 10, 512])
    """

    def __init__(
        self, audio_features: int, visual_features: int, *, hidden: int = 512, compared: int = 49
    ) -> None:
        super().__init__()
        self.transform_audio = nn.Sequential(nn.Linear(audio_features, hidden), nn.ReLU())
        self.transform_visual = nn.Sequential(nn.Linear(visual_features, hidden), nn.ReLU())
        self.compare_audio = nn.Linear(hidden, compared, bias=False)
        self.compare_visual = nn.Linear(hidden, compared, bias=False)
        self.score = nn.Linear(compared, 1, bias=False)

    def forward(
        self, visual: Float[Tensor, "B N P D"], audio: Float[Tensor, "B N A"]
    ) -> Float[Tensor, "B N D"]:
        """What is seen, one feature a segment."""
        if visual.shape[2] == 1:  # the weight of a single place is 1
            return visual.squeeze(2)
        return (self.weights(visual, audio)[..., None].to(visual.dtype) * visual).sum(2)

    def weights(
        self, visual: Float[Tensor, "B N P D"], audio: Float[Tensor, "B N A"]
    ) -> Float[Tensor, "B N P"]:
        """How much each place counts; they sum to 1 over the places."""
        heard = self.compare_audio(self.transform_audio(audio))
        seen = self.compare_visual(self.transform_visual(visual))
        return self.score((seen + heard[:, :, None]).tanh()).squeeze(3).softmax(2)


class MeanOfPlaces(nn.Module):
    """The plain mean over the places: what is seen does not depend on what is heard.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.guided_attention import MeanOfPlaces
        >>> MeanOfPlaces()(torch.rand(2, 10, 49, 512), torch.rand(2, 10, 128)).shape
        torch.Size([2, 10, 512])
    """

    def forward(
        self,
        visual: Float[Tensor, "B N P D"],
        audio: Float[Tensor, "B N A"],  # noqa: ARG002
    ) -> Float[Tensor, "B N D"]:
        """What is seen, one feature a segment."""
        return visual.mean(2)
