"""OpenFHE as a peer: its sums are exact, and what surrounds its library is right with a library that only adds."""

# ruff: noqa: N802  OpenFHE's names
from __future__ import annotations

import itertools
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import committees, openfhe_process

DEGREE = 64


class PlainContext:
    """Numbers in the place of ciphertexts. The lead holder's answer is the sum, all others' are zero."""

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self.held = itertools.count()

    def GetRingDimension(self) -> int:
        return DEGREE

    def GetModulus(self) -> int:
        return 1 << 60

    def KeyGen(self) -> SimpleNamespace:
        return SimpleNamespace(publicKey="1", secretKey=next(self.held))

    def MultipartyKeyGen(self, before: str) -> SimpleNamespace:
        return SimpleNamespace(publicKey=f"{before}+1", secretKey=next(self.held))

    def MakePackedPlaintext(self, part: list[int]) -> list[int]:
        assert len(part) <= DEGREE
        assert max(map(abs, part)) <= self._modulus // 2
        return part + [0] * (DEGREE - len(part))

    def Encrypt(self, key: str, plain: list[int]) -> list[int]:
        assert key == "1+1+1", "the key of all holders"
        return plain

    def EvalAddInPlace(self, total: list[int], more: list[int]) -> None:
        total[:] = [one + other for one, other in zip(total, more, strict=True)]

    def MultipartyDecryptLead(self, asked: list[list[int]], secret: int) -> list[list[int]]:
        assert secret == 0
        return asked

    def MultipartyDecryptMain(self, asked: list[list[int]], secret: int) -> list[list[int]]:
        assert secret > 0
        return [[0] * DEGREE for _ in asked]

    def MultipartyDecryptFusion(self, answers: list[list[int]]) -> SimpleNamespace:
        half = self._modulus // 2
        total = [(sum(slot) + half) % self._modulus - half for slot in zip(*answers, strict=True)]
        return SimpleNamespace(GetPackedValue=lambda: total)


@pytest.fixture
def threshold(monkeypatch: pytest.MonkeyPatch) -> Any:
    library: Any = ModuleType("openfhe")
    library.BINARY = None
    library.Serialize = lambda ciphertext, _: json.dumps(ciphertext).encode()
    library.DeserializeCiphertextString = lambda message, _: json.loads(message)
    monkeypatch.setitem(sys.modules, "openfhe", library)
    monkeypatch.delitem(sys.modules, "benchmarks.openfhe_threshold", raising=False)
    module = import_module("benchmarks.openfhe_threshold")
    monkeypatch.delitem(sys.modules, "benchmarks.openfhe_threshold")
    monkeypatch.setattr(module, "context_of", lambda _, modulus: PlainContext(modulus))
    monkeypatch.setattr(module, "version", lambda _: "0.0")
    return module


@pytest.mark.parametrize("banks", [3, 10])
@pytest.mark.parametrize("sums", [2, 4])
@pytest.mark.parametrize("value", ["none", "all", "any"])
def test_sums_that_share_a_slot_come_apart_exactly(threshold: Any, banks: int, sums: int, value: str) -> None:
    federation = threshold.Federation(threshold.Asked(banks, 1_001, 8, 3, default_noise=False), sums)
    updates = np.random.default_rng(1).integers(0, 256, (banks, 1_001))
    updates = {"none": 0 * updates, "all": 0 * updates + 255, "any": updates}[value]
    threshold.sum_once(federation, updates, 3)


def test_a_wrong_sum_is_no_measurement(threshold: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threshold.Asked(3, 100, 8, 3, default_noise=False)
    monkeypatch.setattr(PlainContext, "EvalAddInPlace", lambda *_: None)
    with pytest.raises(ValueError, match="wrong"):
        threshold.measure(asked)


def test_the_packing_with_fewer_bytes_is_taken(threshold: Any) -> None:
    """Numbers are written out here, so that four sums a slot are longer; where they save a ciphertext they win."""
    few, many = (threshold.measure(threshold.Asked(3, size, 8, 3, default_noise=False)) for size in (100, 1_000))
    assert "2 sums in a slot" in few["note"]
    assert "4 sums in a slot" in many["note"]
    assert many["upload_bytes"] > few["upload_bytes"] > 0


def test_noise_that_would_reach_a_sum_is_refused(threshold: Any) -> None:
    with pytest.raises(ValueError, match="no room for the noise of 9 holders"):
        threshold.Federation(threshold.Asked(10, 100, 8, 9, default_noise=False), 4)


@pytest.mark.parametrize("least", [766**2, 766**4, 2551**2, 2551**4])
def test_a_plaintext_modulus_is_a_prime_with_slots(threshold: Any, least: int) -> None:
    found = threshold.prime_from(least)
    assert least <= found < 2 * least
    assert found % (1 << 15) == 1
    assert all(pow(witness, found - 1, found) == 1 for witness in (2, 3, 5, 7))


def test_a_python_without_openfhe_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is installed, and its bindings are another CPython's."""
    broken = tmp_path / "openfhe"
    broken.mkdir()
    (broken / "__init__.py").write_text("from .openfhe import *\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(openfhe_process.VARIABLE, sys.executable)
    assert not openfhe_process.importable()
    with pytest.raises(RuntimeError, match=r"No module named 'openfhe\.openfhe'"):
        openfhe_process.measure(3, 100, 8, 3, default_noise=True)
    (broken / "__init__.py").write_text("")
    assert openfhe_process.importable()


def test_peers_that_cannot_be_measured_stop_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openfhe_process, "importable", lambda: False)
    monkeypatch.setattr(sys, "argv", ["committees", "--peers"])
    with pytest.raises(SystemExit):
        committees.main()
    assert openfhe_process.VARIABLE in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("default_noise", [False, True])
def test_openfhe_sums_exactly(default_noise: bool) -> None:
    if not openfhe_process.importable():
        pytest.skip(openfhe_process.MISSING.format(openfhe_process.interpreter()))
    for value in (0, 255):
        program = (
            "import numpy, openfhe_threshold as t\n"
            f"asked = t.Asked(10, 20_001, 8, 3, {default_noise})\n"
            "for sums in t.SUMS_IN_A_SLOT:\n"
            f"    t.sum_once(t.Federation(asked, sums), numpy.full((10, 20_001), {value}), 3)\n"
        )
        subprocess.run([openfhe_process.interpreter(), "-c", program], cwd=openfhe_process.PROGRAM.parent, check=True)
    measured = openfhe_process.measure(3, 20_001, 8, 3, default_noise=default_noise)
    assert min(measured[name] for name in ("client", "adding", "holder", "opening")) > 0
    assert measured["upload_bytes"] > measured["answer_bytes"] > 20_001
