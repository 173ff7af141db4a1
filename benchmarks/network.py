"""What TSM and TIN cost over TSN: ResNet-50, 8 frames of 224 x 224, batch 1, the alternatives timed in turn.

python benchmarks/network.py [--threads 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

import interlace
from timing import compare, record


def forward(model: nn.Module, clip: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.inference_mode():
            return model(clip)

    return run


def training_step(model: nn.Module, clip: Tensor) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        model(clip).sum().backward()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    clip = torch.randn(1, 8, 3, 224, 224)
    models = {
        method: interlace.create_model(f"{method}_resnet50", num_classes=174)
        for method in ("tsn", "tsm", "tin")
    }
    results = {
        "forward": compare({name: forward(model.eval(), clip) for name, model in models.items()}, rounds=9),
        "training step": compare(
            {name: training_step(model.train(), clip) for name, model in models.items()}, rounds=5
        ),
    }
    record("network", results)


if __name__ == "__main__":
    main()
