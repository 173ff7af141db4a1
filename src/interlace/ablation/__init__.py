"""The ablation of TIN's groups: table 5 of the paper, on one's own clips and over seeds."""

from __future__ import annotations

from interlace.ablation.rows import TABLE_5, Row, parse_row
from interlace.ablation.run import ablate

__all__ = ["TABLE_5", "Row", "ablate", "parse_row"]
