"""The core needs no Flower."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = "import sys; sys.modules['flwr'] = None\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=60)


def test_all_else_imports_without_flower() -> None:
    names = "secure_fl.cli.app, secure_fl.transport.coordinator, secure_fl.transport.starting_party, secure_fl.bench"
    done = run(f"import {names}, secure_fl.transport.flower")
    assert done.returncode == 0, done.stderr


def test_who_asks_for_it_is_told_what_to_install() -> None:
    done = run("from secure_fl.transport.flower import SecureStrategy")
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: Flower is not installed; pip install 'secure-fl[flower]'"
    )
