"""Starts `openfhe_threshold.py` in a Python that has openfhe: this one, or the one that OPENFHE_PYTHON names.

openfhe is in no extra: its wheels hold bindings for one version of CPython each (3.10 or 3.12 as of 1.6.1), so that
pip installs one that ours (3.11) cannot import.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("openfhe_threshold.py")
VARIABLE = "OPENFHE_PYTHON"
MISSING = f"{{}} cannot import openfhe; pip install it for another Python (3.10, 3.12), and name that one in {VARIABLE}"


def interpreter() -> str:
    return os.environ.get(VARIABLE) or sys.executable


def importable() -> bool:
    """An installed openfhe is not enough: its bindings may be another CPython's."""
    return _run("-c", "import openfhe").returncode == 0


def measure(banks: int, parameters: int, bits: int, holders: int, *, default_noise: bool) -> dict[str, Any]:
    """What the program says. Raises `RuntimeError` where it fails, with its last line."""
    asked = {"banks": banks, "parameters": parameters, "bits": bits, "holders": holders}
    options = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    done = _run(str(PROGRAM), *options, *(["--default-noise"] if default_noise else []))
    if done.returncode:
        raise RuntimeError(f"OpenFHE was not measured: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One thread, since processor time would count all of them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([interpreter(), *arguments], env=environment, capture_output=True, text=True, check=False)
