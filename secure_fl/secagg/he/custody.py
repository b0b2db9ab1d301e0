"""Who can decrypt what under the homomorphic schemes, what breaks that, and what it rests on."""

from __future__ import annotations

from secure_fl.secagg.custody import ALL_BUT_ONE, REPEATED, UNPROTECTED_SUM, Custody
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR

CAN_DECRYPT = {
    "banks": ("their own update", "the sum of all updates"),
    AGGREGATOR: ("the sum of all updates, once the key authority has opened it",),
    KEY_AUTHORITY: ("the sum of all updates",),
    "observer": ("the sum of all updates, unless the transport encrypts the key authority's answer",),
}
BROKEN_BY = (
    "aggregator and key authority together: one has the ciphertexts, the other the key",
    "an aggregator that gives the key authority a single upload and calls it a sum",
    "an aggregator that makes up a ciphertext whose decryption is the key: one answer of the key authority can do, and "
    "the key opens every upload, past and to come",
    "an aggregator that encrypts made-up updates in the place of all banks but one, and subtracts them",
    "an aggregator that shows all banks but one a model that cannot learn: ciphertexts are not bound to a model",
    "an aggregator that has two sums of the same uploads opened, in two rounds, and subtracts them",
    REPEATED,
    "a bank and a curious aggregator together: the bank uploads minus the sum of all others' ciphertexts but one (two "
    "encryptions of zero - c, for three banks), and that one's update is the sum",
    "a bank and the key authority together, if the bank also obtains another bank's upload",
    ALL_BUT_ONE,
)
HARDNESS = "Ring-LWE at N = 4096 and a 106-bit modulus gives 128-bit security (Bossuat et al., 2024)."
ASSUMPTIONS = (
    "The aggregator follows the protocol (honest but curious), and does not collude with the key authority. Fewer "
    "banks than threshold - 1 pool what they see with it, and they follow the protocol too.",
    "Banks know the fingerprint of the key authority's public key by a way that the aggregator does not control.",
    "A sum is wrong with the probability that the plan states, and so is one of all sums of a key. A wrong sum tells "
    "something of the key, under an exact scheme too (IND-CPA-D: Cheon et al., CCS 2024; Checri et al., CRYPTO 2024).",
    "Banks encrypt as they should. One that shifts its ciphertext by half a step reads off the sum how the noise fell, "
    "and the noise depends on the key; nothing but a proof about each ciphertext could stop that.",
    "Banks encrypt values in the range of the plan. Nothing checks a single one: a bank can claim a large weight and "
    "steer the mean, and with values beyond the range, or a damaged ciphertext, spoil the sum. Where a field leaves "
    "its range that shows, stops the round for all, and nobody knows whose it was.",
    "An aggregator that shows banks different models is not noticed.",
    UNPROTECTED_SUM,
)
_PAPERS = (
    "Bossuat et al., Security Guidelines for Implementing Homomorphic Encryption, 2024",
    "Cheon, Choe, Passelegue, Stehle, Suvanto, Attacks Against the IND-CPA-D Security of Exact FHE Schemes, CCS 2024",
    "Checri, Sirdey, Boudguiga, Bultel, On the Practical CPA-D Security of 'exact' and Threshold FHE Schemes and "
    "Libraries, CRYPTO 2024",
)
CKKS_CUSTODY = Custody(
    scheme="ckks",
    summary="Updates are encrypted at the bank; the aggregator adds ciphertexts; the key authority opens only the sum.",
    can_decrypt=CAN_DECRYPT,
    broken_by=BROKEN_BY,
    assumptions=(
        HARDNESS,
        *ASSUMPTIONS,
        "Sums are rounded to the exact integers before they leave the key authority, which takes CKKS's key-dependent "
        "error away; that is a safeguard, not a proof of IND-CPA-D security.",
    ),
    papers=(
        "Cheon, Kim, Kim, Song, Homomorphic Encryption for Arithmetic of Approximate Numbers, ASIACRYPT 2017",
        "Li, Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, EUROCRYPT 2021",
        *_PAPERS,
    ),
)
BFV_CUSTODY = Custody(
    scheme="bfv",
    summary="Updates are encrypted at the bank; the aggregator adds ciphertexts; the key authority opens only the sum.",
    can_decrypt=CAN_DECRYPT,
    broken_by=BROKEN_BY,
    assumptions=(HARDNESS, *ASSUMPTIONS),
    papers=(
        "Brakerski, Fully Homomorphic Encryption without Modulus Switching from Classical GapSVP, CRYPTO 2012",
        "Fan, Vercauteren, Somewhat Practical Fully Homomorphic Encryption, IACR ePrint 2012/144",
        *_PAPERS,
    ),
)
RLWE_CUSTODY = Custody(
    scheme="rlwe",
    summary="Updates are encrypted at the bank; the aggregator adds ciphertexts; the key authority opens only the sum. "
    "Experimental: the arithmetic is our own, and nobody has audited it.",
    can_decrypt=CAN_DECRYPT,
    broken_by=(
        "whoever can time a bank's or the key authority's computation closely: the arithmetic is numpy's, and takes no "
        "care to run in constant time",
        *BROKEN_BY,
    ),
    assumptions=(
        "EXPERIMENTAL: our own arithmetic and samplers, checked against SEAL's, and not audited.",
        "Ring-LWE at N = 4096 and a 54-bit modulus, far inside the 106 bits for 128-bit security (Bossuat et al., "
        "2024), also with up to 16 samples of one secret u.",
        *ASSUMPTIONS,
    ),
    papers=(
        "Lyubashevsky, Peikert, Regev, On Ideal Lattices and Learning with Errors over Rings, EUROCRYPT 2010",
        "Peikert, Vaikuntanathan, Waters, A Framework for Efficient and Composable Oblivious Transfer, CRYPTO 2008",
        *_PAPERS,
    ),
)
