"""Writes the golden drafts anew: `python -m tests.audit.dpia.write_golden`. Look at what changed before it is kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from secure_fl import run_federation
from tests.audit.dpia.conftest import RUNS, scored
from tests.audit.dpia.test_golden import GOLDEN, written
from tests.conftest import _small

STORES = ("SECURE_FL_RECORD_KEY", "SECURE_FL_KEY", "SECURE_FL_LEDGERS", "SECURE_FL_LEDGER_NOTES")


def main() -> None:
    """Runs and drafts in a folder that is gone afterwards, with keys and ledgers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({name: str(Path(folder) / name) for name in STORES})
        for name, settings in RUNS.items():
            run = scored(run_federation(_small(**settings))).save(Path(folder) / name)
            (GOLDEN / f"{name}.md").write_text(written(run), encoding="utf-8")


if __name__ == "__main__":
    main()
