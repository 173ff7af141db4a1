"""Makes `import killing` work: the commands of these tests run in processes of their own, and are killed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
