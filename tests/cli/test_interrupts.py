"""Interrupts in processes of their own: in imports, in code given as text, at any moment of a start."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

IN_A_PROCESS = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell have it ignored
from secure_fl.cli.interrupts import heed_signals
heed_signals()
try:
    {code}
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""


def in_a_process(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """`python -m`, as the command is started too."""
    (folder / "started.py").write_text(IN_A_PROCESS.format(code=code))
    command = [sys.executable, "-m", "started"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_a_module_is_imported_to_its_end(tmp_path: Path, how: str) -> None:
    """What an import runs may be C++ code that ends the process when an exception comes through."""
    (tmp_path / "interrupted.py").write_text(
        f"import os, signal, time\nos.kill(os.getpid(), signal.{how})\ntime.sleep(0.2)\nprint('imported')\n"
    )
    done = in_a_process(tmp_path, "import interrupted; time.sleep(60); print('slept')")
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported\ninterrupted\n", "")


def test_the_exit_status_stays_also_where_code_given_as_text_was_interrupted(tmp_path: Path) -> None:
    """Such code stands in many an import (of named tuples, for instance)."""
    done = in_a_process(tmp_path, "exec('os.kill(os.getpid(), signal.SIGINT)')")
    assert (done.returncode, done.stdout) == (130, "interrupted\n")
    plain = in_a_process(tmp_path, "exec('raise KeyboardInterrupt')")
    assert (plain.returncode, plain.stdout) == (-signal.SIGINT, "interrupted\n"), "what a class of its own is for"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_whenever_it_comes_an_interrupt_is_one_line_and_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    for step in range(8):
        process = subprocess.Popen(
            # so long that no round ends, of which something would be kept
            [
                *(sys.executable, "-m", "secure_fl", "run", "--transactions", "12000", "--fraud-share", "0.03"),
                *("--local-epochs", "1000"),
            ],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_as_from_a_terminal,
        )
        _wait_for_handlers(process)  # before, the interpreter itself is starting
        time.sleep(0.25 * step)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        errors = [line for line in err.splitlines() if not line.startswith(("starting", "transactions ", "rounds "))]
        assert errors == ["error: interrupted; what was finished before is kept"]
        assert list(tmp_path.iterdir()) == []


def _as_from_a_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Until the process catches SIGTERM, which an interpreter by itself does not."""
    status, bit = Path(f"/proc/{process.pid}/status"), 1 << (signal.SIGTERM - 1)
    for _ in range(6000):
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) & bit:
            return
        time.sleep(0.01)
    raise AssertionError("no handler within a minute")
