"""All studies by name."""

from __future__ import annotations

from studies import built_in, confirmation, utd
from studies.plan import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (*built_in.STUDIES, *utd.STUDIES, *confirmation.STUDIES)
}
