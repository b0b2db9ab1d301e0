"""What a message of each stage holds, and what protects it from the party that carries it. By scheme, stage and way.

Ways: `up` from a bank to the aggregator, `down` from the aggregator to a bank, `ask` from the aggregator to a trustee
(a key authority, a share-holder), `answer` back from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Way: TypeAlias = Literal["up", "down", "ask", "answer"]
Held: TypeAlias = tuple[str, str]
"""What it holds, and under which protection."""

CLEAR = "none: it is in the clear"
_NOTHING = ("a request without content", "needs none")
_STATISTICS = "the vector that the bank adds (in round 0 its part of the statistics, later its update)"
_SUM = "the sum over the banks that were added"
_CIPHERTEXT = "encrypted under the key authority's public key, which the aggregator cannot open"
_KEYS: Mapping[tuple[str, Way], Held] = {
    ("public_key", "answer"): ("the key authority's public key", "needs none: it is public"),
    ("public_key", "down"): ("the key authority's public key", "banks compare its fingerprint by another way"),
}
_BROADCAST: Mapping[tuple[str, Way], Held] = {
    ("broadcast", "down"): (
        "in round 0 the scale of each numeric feature over all banks, later the model (weights, or the last sum)",
        CLEAR,
    ),
}
_ADDITIVE: Mapping[tuple[str, Way], Held] = {
    ("upload", "down"): _NOTHING,
    ("upload", "up"): (
        f"{_STATISTICS}, in random shares: one for the aggregator, of the others sealed seeds for share-holders",
        "any shares but all together are random; seeds are sealed to their share-holder's key (X25519, AES-256)",
    ),
    ("sum_shares", "ask"): ("the seeds that banks sealed to this share-holder", "sealed to the share-holder's key"),
    ("sum_shares", "answer"): ("the sum of the share-holder's shares", "random without the other shares of the sum"),
}
_HASHED: Mapping[tuple[str, Way], Held] = {
    ("upload", "up"): (
        f"{_ADDITIVE['upload', 'up'][0]}, and hashes of the seeds with the bank's signature",
        _ADDITIVE["upload", "up"][1],
    ),
    ("sum_shares", "ask"): (
        "the seeds that banks sealed to this share-holder, all hashes of seeds, and the banks' signatures of them",
        _ADDITIVE["sum_shares", "ask"][1],
    ),
    ("sum_shares", "answer"): (
        "hashes of the sums of the share-holder's shares, and those sums that no other one was asked for",
        _ADDITIVE["sum_shares", "answer"][1],
    ),
}
_HOMOMORPHIC: Mapping[tuple[str, Way], Held] = {
    ("upload", "down"): _NOTHING,
    ("upload", "up"): (_STATISTICS, _CIPHERTEXT),
    ("decrypt", "ask"): (f"the ciphertext of {_SUM}, and how many these are", "only the key authority can open it"),
    ("decrypt", "answer"): (_SUM, CLEAR),
}


def _committed(protection: str) -> dict[tuple[str, Way], Held]:
    """Uploads that banks commit to before any is shown."""
    return {
        ("commit", "down"): _NOTHING,
        ("commit", "up"): ("a hash of the upload that is to come, with a coin", "it tells nothing of the upload"),
        ("upload", "down"): ("the hashes of all banks", "needs none: they tell nothing of uploads"),
        ("upload", "up"): (f"{_STATISTICS}, and the bank's signature of those hashes", protection),
    }


_WITNESSED: Mapping[tuple[str, Way], Held] = {
    **_HOMOMORPHIC,
    **_committed(_CIPHERTEXT),
    ("vouch", "ask"): (
        "every bank's upload, with the list of hashes and the banks' signatures",
        "encrypted under the key authority's public key, which a witness cannot open",
    ),
    ("vouch", "answer"): (f"the witness's signature of the ciphertext of {_SUM}", "needs none"),
}
_COMMITTEE: Mapping[tuple[str, Way], Held] = {
    ("key_commitments", "answer"): ("hashes of public halves of parts of a key", "needs none: they are public"),
    ("key_commitments", "ask"): ("those of all parts", "needs none: they are public"),
    ("key_parts", "answer"): (
        "public halves of parts of a key, and the parts for others of the committee",
        "each part is sealed to its key holder (X25519, AES-256)",
    ),
    ("key_parts", "ask"): ("those of all parts", "each part is sealed to its key holder (X25519, AES-256)"),
    ("joint_key", "down"): ("the public halves of all parts", "banks compare their fingerprint by another way"),
    **_committed("encrypted under a key that nobody has, and a quorum of key holders opens"),
    ("open", "ask"): (
        "of each upload that half which the key is applied to, with the list of commitments and signatures",
        "it tells nothing without the other half and the key",
    ),
    ("open", "answer"): ("that, times parts of the key, and noise", "random without all other parts"),
}

HELD: Mapping[str, Mapping[tuple[str, Way], Held]] = {
    "plaintext": {
        **_BROADCAST,
        ("upload", "down"): _NOTHING,
        ("upload", "up"): (_STATISTICS, "none: the aggregator reads it"),
    },
    "additive": {**_BROADCAST, **_ADDITIVE, **_HASHED},
    "additive-proofs": {
        **_BROADCAST,
        **_ADDITIVE,
        ("verify", "ask"): ("the question about all proofs, and mail that banks sealed to this share-holder", "sealed"),
        ("verify", "answer"): ("shares of the verdicts on the banks' proofs", "they say only whether a proof holds"),
        ("sum_shares", "ask"): ("which banks' proofs hold", CLEAR),
    },
    "masked": {
        **_BROADCAST,
        ("advertise_keys", "down"): _NOTHING,
        ("advertise_keys", "up"): ("the bank's public keys of this attempt, signed", "needs none: they are public"),
        ("share_keys", "down"): ("the other banks' public keys, signed by these", "needs none: they are public"),
        ("share_keys", "up"): (
            "shares of the bank's two secrets of this attempt, one pair for each other bank",
            "each pair is encrypted to its bank (X25519, AES-256)",
        ),
        ("masked_input", "down"): ("the shares that other banks encrypted to this one", "encrypted to this bank"),
        ("masked_input", "up"): (_STATISTICS, "masks are added, which cancel only in the sum"),
        ("consistency_check", "down"): ("whose inputs arrived", CLEAR),
        ("consistency_check", "up"): ("the bank's signature under that list", "needs none"),
        ("unmask", "down"): ("the other banks' signatures", "needs none"),
        ("unmask", "up"): (
            "of each bank one share: of its self-mask if its input arrived, else of its mask key",
            "never both of one bank, so that no single input can be opened",
        ),
    },
    "ckks": {**_BROADCAST, **_KEYS, **_HOMOMORPHIC},
    "bfv": {**_BROADCAST, **_KEYS, **_HOMOMORPHIC},
    "bfv-committee": {**_BROADCAST, **_COMMITTEE},
    "ckks-committee": {**_BROADCAST, **_COMMITTEE},
    "rlwe": {**_BROADCAST, **_KEYS, **_HOMOMORPHIC},
    **{key: {**_BROADCAST, **_KEYS, **_WITNESSED} for key in ("ckks-witnessed", "bfv-witnessed", "rlwe-witnessed")},
    "ckks-krum": {
        **_BROADCAST,
        **_KEYS,
        **_HOMOMORPHIC,
        ("select", "ask"): ("encrypted totals, from which norms and distances of updates follow", _CIPHERTEXT),
        ("select", "answer"): ("which banks the rule chose", CLEAR),
        ("decrypt", "ask"): (
            "the ciphertext of the sum over the chosen banks (in round 0 over all that answered)",
            "only the key authority can open it",
        ),
    },
}


def held(scheme: str, stage: str, way: Way) -> Held:
    """What a message holds. Raises KeyError for a stage that the scheme does not have."""
    return HELD[scheme][stage, way]
