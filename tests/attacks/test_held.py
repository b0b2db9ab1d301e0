"""What an upload says, read with the public codec: the update, whatever count travels with it."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.attacks.held import decoded, uploaded
from secure_fl.codec.quantization import Contribution, make_codec
from secure_fl.secagg import plan
from secure_fl.secagg.committed.wire import COMMIT, HASH_BYTES
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.transcript import Transcript

UPDATE = np.array([0.5, -0.25, 0.0, 1.0, -1.0])


@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize(("banks", "weight"), [(1, 1.0), (2, 1.0), (3, 0.5)])
def test_the_mean_update_is_read_beside_a_count_that_no_bank_can_have(bits: int, banks: int, weight: float) -> None:
    """Masked words hold any count: what the codec would refuse says nothing of the values beside it."""
    codec, rng = make_codec(5, bits, 1.0, 10.0), np.random.default_rng(4)
    total = np.sum([codec.encode(Contribution(weight * UPDATE, 10), rng) for _ in range(banks)], axis=0)
    total[5:] = (1 << bits) - 1
    assert decoded(total, codec, 5, banks, weight) == pytest.approx(UPDATE, abs=2.1 / ((1 << bits) - 1) / weight)


@pytest.mark.parametrize(
    ("scheme", "asked"),
    [
        *((scheme, {}) for scheme in ("ckks", "bfv", "rlwe")),
        *((scheme, {"holders": 2}) for scheme in ("ckks", "bfv")),
        ("ckks", {"witnesses": 1}),
    ],
)
def test_the_words_of_a_ciphertext_fill_their_modulus(scheme: str, asked: dict[str, int]) -> None:
    planned = plan(scheme, 3, 10, 8, **asked)
    chosen = scheme_for(planned)
    cohort, deployed = chosen.cohort(planned, 1, ("a", "b", "c")), chosen.deploy(planned)
    if asked:
        deployed.setup(cohort, Transcript())
    client = deployed.client(cohort, "a", np.zeros(10, dtype=np.int64))
    listed = b""
    if chosen.stages[0] == COMMIT:
        said = client.respond(seal(cohort, COMMIT, AGGREGATOR, "a"))
        own = bytes(open_message(cohort, said, recipient=AGGREGATOR, sender="a").payload)
        listed = encode_table({0: own, 1: bytes(HASH_BYTES), 2: bytes(HASH_BYTES)})
    upload = client.respond(seal(cohort, chosen.input_stage, AGGREGATOR, "a", listed))
    sent = uploaded(cohort, open_message(cohort, upload, recipient=AGGREGATOR, sender="a").payload)
    assert sent.modulus / 2 < sent.words.max() < sent.modulus
    assert len(sent.uniform) >= len(sent.words)
    assert np.bincount(sent.uniform, minlength=256).max() < 3 * len(sent.uniform) / 256, "no zeros of missing bits"
