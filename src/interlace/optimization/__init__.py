"""Networks for inference: folded, fused, in the dtype that the processor likes best."""

from __future__ import annotations

from interlace.optimization.agreement import Agreement, noise_clips
from interlace.optimization.model import OptimizedModel
from interlace.optimization.optimize import optimize

__all__ = ["Agreement", "OptimizedModel", "noise_clips", "optimize"]
