"""Who can read what: the statement that every scheme makes about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Custody:
    """Who can decrypt what in a scheme, and which collusion would break it."""

    scheme: str
    summary: str
    can_decrypt: Mapping[str, tuple[str, ...]]
    """Party -> what it can read in the clear. An empty tuple: nothing."""
    broken_by: tuple[str, ...]
    """Each a collusion, or a deviation from the protocol, that exposes a single bank's update."""
    assumptions: tuple[str, ...]
    papers: tuple[str, ...]


SUM_ON_THE_WIRE = "the sum of all updates, unless the transport encrypts it"
"""What an observer of all messages can compute under every scheme: all that opens the sum travels."""
REPEATED = (
    "an aggregator that has a round repeated without one bank, because it says that the sum failed or because banks "
    "that work with it made it fail, and subtracts the two sums"
)
ENCRYPTS_NOTHING = (
    "a bank that works with the aggregator, or a witness, and encrypts nothing: what it uploads in the place of a "
    "ciphertext can show the key in a sum whose numbers it knows or can guess roughly, sharper with each sum, and the "
    "key opens every upload under it; only a proof about each ciphertext would stop that"
)
"""Whoever opens sums of ciphertexts."""
SHOWN_BEFORE = (
    "a bank that works with the aggregator and uploads what it made from ciphertexts that were shown before under the "
    "same key, in an earlier attempt or round or on another list: a sum can then be another bank's update; new keys "
    "for each round and attempt (--fresh-keys 1) leave the other list, and 2t - n banks must sign two for that"
)
COMMITTED = (
    "Whoever opens a sum takes ciphertexts that their banks committed to before any on the same list was shown, and "
    "signed for this attempt and this model: what depends on another ciphertext of the list comes too late, and shares "
    "no sum with uploads of banks that were shown another model."
)
LEFT_ALONE = (
    "threshold - 1 banks in a sum with one other, because all others dropped out or an aggregator that works with them "
    "leaves them out: they subtract their own updates"
)
ALL_BUT_ONE = "all banks but one together: they subtract their own updates from the sum"
STEERING = (
    "Banks are believed: one can send any update within the clip range, claim that it clipped (the range then doubles) "
    "or a wrong number of rows in round 0 (which all weights are relative to), and steer or spoil the mean, unseen. "
    "What is impossible is refused; the rest only a proof of range could tell."
)
BLAME = (
    "A bank that sends garbage loses its place in a round; one that sends it to a single other bank, or falsely says "
    "that another did, costs that one its place too. Two that accuse the same bank cost it its place and keep theirs."
)
UNPROTECTED_SUM = (
    "The sum itself is not protected: what it reveals about one bank is a matter for differential privacy."
)
