"""Who can read what where a committee holds the key, for any committee."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget import Committee
from secure_fl.secagg.custody import (
    ALL_BUT_ONE,
    COMMITTED,
    ENCRYPTS_NOTHING,
    REPEATED,
    STEERING,
    SUM_ON_THE_WIRE,
    UNPROTECTED_SUM,
    Custody,
)
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.threshold.wire import member_name

_OF_ITS_OWN: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bfv": ((), ()),
    "ckks": (
        (
            "What the aggregator has before it rounds to integers is the exact sum and the holders' noise, but for the "
            "distance of the plan; the noise of encryption and banks' rounding errors are drowned in it.",
        ),
        (
            "Cheon, Kim, Kim, Song, Homomorphic Encryption for Arithmetic of Approximate Numbers, ASIACRYPT 2017",
            "Li, Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, EUROCRYPT 2021",
        ),
    ),
}
"""By scheme, what is assumed and which papers there are beside those of all."""


def name_of(scheme: str) -> str:
    """What reports call it: a committee in the place of the key authority."""
    return f"{scheme}-committee"


def members_of(committee: Committee) -> tuple[str, ...]:
    return tuple(member_name(number) for number in range(1, committee.members + 1))


def custody_of(scheme: str, committee: Committee) -> Custody:
    n, t = committee.members, committee.quorum
    names = members_of(committee)
    corrupt = committee.may_collude_lying + 1
    assumptions, papers = _OF_ITS_OWN[scheme]
    return Custody(
        scheme=name_of(scheme),
        summary=f"Banks encrypt their updates under a key that nobody has; any {t} of {n} key holders open a sum.",
        can_decrypt={
            "banks": ("their own update", "the sum of all updates"),
            AGGREGATOR: (f"the sum of all updates, once {t} of {n} key holders have answered",),
            **dict.fromkeys(names, ()),
            "observer": (SUM_ON_THE_WIRE,),
        },
        broken_by=(
            f"any {t} of the {n} key holders together with whoever has the ciphertexts",
            f"an aggregator that lies and {corrupt} key holder{'s' if corrupt > 1 else ''}: it has two sums opened in "
            "one attempt",
            ENCRYPTS_NOTHING,
            REPEATED,
            ALL_BUT_ONE,
            "an aggregator that makes up banks, unless key holders know the banks' identity keys by another way",
        ),
        assumptions=(
            f"At most {t - 1} key holder{'s' if t > 2 else ''} collude with the aggregator"
            + ("." if corrupt >= t else f"; at most {corrupt - 1}, where it lies."),
            f"At least {t} of {n} key holders answer. One that lies spoils a sum; what is out of range is not "
            "released.",
            "Banks and key holders know each other's keys and fingerprints by a way that the aggregator does not "
            "control.",
            COMMITTED,
            _when_keys_are_made(committee),
            *assumptions,
            "Secrecy is computational (Ring-LWE, AES-256, X25519, SHA-256, Ed25519): distances that a plan states are "
            "those of uniform noise, which key holders expand from keys of their own.",
            STEERING,
            UNPROTECTED_SUM,
        ),
        papers=(
            *papers,
            "Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux, Multiparty Homomorphic Encryption from "
            "Ring-Learning-with-Errors, PoPETs 2021",
            "Ito, Saito, Nishizeki, Secret Sharing Scheme Realizing General Access Structure, GLOBECOM 1987",
            "Bossuat et al., Security Guidelines for Implementing Homomorphic Encryption, 2024",
        ),
    )


def _when_keys_are_made(committee: Committee) -> str:
    have = committee.may_be_silent + 1
    if have == 1:
        return (
            "Of each part of the key, the holder that has it is not among those that collude, when keys are made: "
            "nobody else can check what it publishes, and a false public half makes answers tell more than the sum."
        )
    return (
        f"Of each part of the key, the {have} holders that have it are not all among those that collude, when keys are "
        "made: they check what was published of it; a false public half would make answers tell more than the sum."
    )
