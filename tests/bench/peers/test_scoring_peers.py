"""Peers of encrypted scoring: TenSEAL's by what they compute, HElayers by what it is charged for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from secure_fl.bench.peers.scoring import SCORING_PEERS, ScoringPeer, tenseal_tensors, tenseal_vectors
from secure_fl.bench.scoring.measured import MeasuredBatch
from secure_fl.bench.scoring.models import ScoredModel, random_model

if TYPE_CHECKING:
    from tests.conftest import FakeClock

TENSEAL = {name: peer for name, peer in SCORING_PEERS.items() if peer.libraries == ("tenseal",)}
LINEAR = random_model("linear", (6, 1), 30)
TWO_SQUARES = random_model("squares", (6, 4, 3, 1), 30)
BIASED = random_model("a bias that counts", (6, 4, 3, 1), 30, bias=1.0)


def error(name: str, model: ScoredModel, rows: int = 2) -> float:
    """The largest, and that nothing that can decrypt is with who computes."""
    network = model.compiled.network
    subject: Any = SCORING_PEERS[name].subject(network, time.process_time)
    assert subject._context.has_secret_key()
    assert not subject._public.has_secret_key()
    size = min(rows, subject.rows_per_batch)
    found: list[MeasuredBatch] = [subject.score(model.rows[at : at + size]) for at in range(0, rows, size)]
    assert all(batch.upload_bytes > batch.download_bytes > 0 for batch in found)
    assert all(min(batch.encrypt_seconds, batch.score_seconds, batch.open_seconds) > 0 for batch in found)
    logits = np.concatenate([batch.logits for batch in found])
    assert len(logits) == rows
    return float(np.abs(logits - network.logits(model.rows[:rows])).max())


@pytest.mark.slow
def test_the_tutorials_dot_is_right_with_more_bits_only() -> None:
    assert error("tenseal-dot", LINEAR) < 1e-4
    assert error("tenseal-dot-tutorial", LINEAR, rows=10) > 0.01


@pytest.mark.slow
def test_a_bias_between_products_is_wrong_and_a_neuron_that_is_always_one_is_right() -> None:
    """TenSEAL issue 462, at the same parameters, so that it is not for want of bits."""
    assert error("tenseal-mm", BIASED) < 1e-3
    assert error("tenseal-mm-more-bits", BIASED) > 0.02
    assert error("tenseal-mm-tutorial", BIASED) > 0.02


def test_a_tensor_without_squares_is_right() -> None:
    assert error("tenseal-tensor", LINEAR, rows=7) < 1e-4


@pytest.mark.slow
def test_a_tensor_with_squares_is_right() -> None:
    assert error("tenseal-tensor", TWO_SQUARES, rows=7) < 1e-3


@pytest.mark.parametrize("peer", TENSEAL.values(), ids=TENSEAL)
def test_what_is_said_of_parameters_is_what_is_used(peer: ScoringPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = MagicMock()
    fake.context.return_value.serialize.return_value = b"12345"
    monkeypatch.setattr(tenseal_vectors, "ts", fake)
    monkeypatch.setattr(tenseal_tensors, "ts", fake)
    model = TWO_SQUARES if peer.networks else LINEAR
    subject = peer.subject(model.compiled.network, time.process_time)
    assert fake.context.call_args.args[1] == subject.degree
    assert fake.context.call_args.kwargs["coeff_mod_bit_sizes"] == list(subject.coeff_mod_bit_sizes)
    assert fake.context.call_args.kwargs["n_threads"] == fake.context_from.call_args.kwargs["n_threads"] == 1
    assert subject.key_bytes == 5
    assert fake.context.return_value.serialize.call_args.kwargs["save_secret_key"] is False


HELAYERS = ("onnx", "pyhelayers", "threadpoolctl")
ENCRYPT, SAVE, LOAD, PREDICT, OPEN, COMPILE = (10**n for n in range(6))


@pytest.fixture
def helayers(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The peer over stand-ins that only spend time."""
    for name in HELAYERS:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    name = "secure_fl.bench.peers.scoring.helayers"
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = import_module(name)
    del sys.modules[name]  # the next one who asks gets the real one

    def takes(seconds: int, result: Any = None) -> Callable[..., Any]:
        def work(*_: object, **__: object) -> Any:
            clock.spend("helayers", seconds)
            return MagicMock() if result is None else result

        return work

    library: Any = module.pyhelayers
    library.EncryptedData.return_value.save_to_buffer = takes(SAVE, b"1234567")
    library.load_encrypted_data = takes(LOAD)
    library.HeModel.compile = takes(COMPILE)
    model = library.NeuralNet.return_value
    model.predict = takes(PREDICT)
    model.create_model_io_encoder.return_value = SimpleNamespace(
        encode_encrypt=takes(ENCRYPT), decrypt_decode_output=takes(OPEN, np.full((4, 1), 3.0))
    )
    context = library.HeModel.create_context.return_value
    context.save_to_buffer.return_value = b"12345"
    context.slot_count.return_value = 4096
    context.get_modulus_chain.return_value = [2**60 - 1, 2**50 - 1]
    monkeypatch.setattr(module, "_plain", lambda network: MagicMock())
    return module


def test_helayers_is_charged_for_every_step_and_not_for_compiling(helayers: Any, clock: FakeClock) -> None:
    subject = helayers.make_batched(LINEAR.compiled.network, clock)
    found = subject.score(LINEAR.rows[:3])
    assert found.encrypt_seconds == ENCRYPT + SAVE
    assert found.score_seconds == LOAD + PREDICT + SAVE
    assert found.open_seconds == LOAD + OPEN
    assert (found.upload_bytes, found.download_bytes) == (7, 7)
    assert found.logits.tolist() == [3.0] * 3
    assert (subject.key_bytes, subject.degree, subject.coeff_mod_bit_sizes) == (5, 8192, (60, 50))
    assert helayers.threadpool_limits.call_args.args == (1,)


def test_helayers_is_compiled_for_one_row_or_for_a_full_ciphertext(helayers: Any, clock: FakeClock) -> None:
    wanted = helayers.pyhelayers.HeRunRequirements.return_value.optimize_for_batch_size
    for make, model, rows in (
        (helayers.make_single, LINEAR, 1),
        (helayers.make_batched, LINEAR, 4096),
        (helayers.make_batched, TWO_SQUARES, 8192),
    ):
        assert make(model.compiled.network, clock).rows_per_batch == rows
        wanted.assert_called_with(rows)


def test_helayers_that_finds_no_parameters_says_so(helayers: Any, clock: FakeClock) -> None:
    helayers.pyhelayers.HeModel.compile = lambda *_: None
    with pytest.raises(RuntimeError, match="no parameters"):
        helayers.make_single(LINEAR.compiled.network, clock)


@pytest.mark.skipif(not SCORING_PEERS["helayers"].installed, reason="the extra peers-scoring is not installed")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["helayers", "helayers-batched"])
@pytest.mark.parametrize("model", [LINEAR, TWO_SQUARES], ids=["linear", "squares"])
def test_helayers_itself_is_right(name: str, model: ScoredModel) -> None:
    subject = SCORING_PEERS[name].subject(model.compiled.network, time.process_time)
    size = min(subject.rows_per_batch, 3)
    logits = np.concatenate([subject.score(model.rows[at : at + size]).logits for at in range(0, 3, size)])
    assert np.allclose(logits, model.compiled.network.logits(model.rows[:3]), atol=1e-4)
