"""Put the interlace operator into a network of your own: no video file, no pretrained weights, ten seconds.

A tiny network must say whether a dot moves left or right. Each frame alone tells nothing, so without a
temporal module it can only guess; with one line more it learns.

    python examples/operator_in_your_network.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlace import ops
from interlace.layout import clip_to_frames, frames_to_clip
from interlace.temporal import TemporalInterlace

NUM_SEGMENTS = 6


class TinyNetwork(nn.Module):
    """Two convolutions on every frame, then the average over space and time."""

    def __init__(self, temporal: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.temporal = temporal  # any module from (B*T, C, H, W) to the same shape
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 2)

    def forward(self, clip: Tensor) -> Tensor:
        frames = clip_to_frames(clip)  # (B, T, C, H, W) -> (B*T, C, H, W)
        frames = F.relu(self.conv1(frames))
        frames = F.relu(frames + self.conv2(self.temporal(frames)))  # in the residual branch
        return frames_to_clip(self.head(frames.mean((2, 3))), NUM_SEGMENTS).mean(1)


def moving_dots(num_clips: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips (B, T, 1, 12, 12) of a dot that goes round to the left (0) or to the right (1)."""
    labels = torch.randint(2, (num_clips,), generator=generator)
    start, row = torch.randint(12, (2, num_clips), generator=generator)
    clips = torch.zeros(num_clips, NUM_SEGMENTS, 1, 12, 12)
    for t in range(NUM_SEGMENTS):
        clips[torch.arange(num_clips), t, 0, row, (start + t * (2 * labels - 1)) % 12] = 1
    return clips, labels


def train(temporal: nn.Module, steps: int = 200) -> float:
    """Accuracy in percent on clips that were not trained on."""
    generator = torch.Generator().manual_seed(0)
    network = TinyNetwork(temporal)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        clips, labels = moving_dots(32, generator)
        loss = F.cross_entropy(network(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        clips, labels = moving_dots(500, generator)
        return 100 * (network(clips).argmax(1) == labels).float().mean().item()


def main() -> None:
    # The bare operator: one real offset for each group of channels; a positive one delays.
    clip = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 2, 1, 1)
    delayed = ops.interlace(clip, offset=torch.tensor([[1.0, -0.5]]))
    print("frames          ", clip[0, :, 0, 0, 0].tolist())
    print("offset  1.0     ", delayed[0, :, 0, 0, 0].tolist())
    print("offset -0.5     ", delayed[0, :, 1, 0, 0].tolist())

    torch.manual_seed(0)
    print(f"without a temporal module: {train(nn.Identity()):5.1f} %")
    print(f"with TemporalInterlace:    {train(TemporalInterlace(16, num_segments=NUM_SEGMENTS)):5.1f} %")


if __name__ == "__main__":
    main()
