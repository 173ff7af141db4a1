"""The released checkpoints of TSN, TSM, TIN, TRN, X-Temporal and MMAction2, brought to our format.

A file is read without running any code of it (`reading`), its names are translated by the table of its format
(`formats`, and a file for each family), the network is read from names and shapes (`network`), built, loaded
strictly, and saved (`importing`).
"""

from __future__ import annotations

from interlace.released.formats import NAMES
from interlace.released.importing import Imported, import_released
from interlace.released.refusal import ReleasedError

__all__ = ["NAMES", "Imported", "ReleasedError", "import_released"]
