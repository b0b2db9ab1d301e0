"""Who can read what under additive shares, for any committee."""

from __future__ import annotations

from secure_fl.secagg.additive.wire import holder_name
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.custody import (
    ALL_BUT_ONE,
    LEFT_ALONE,
    REPEATED,
    STEERING,
    SUM_ON_THE_WIRE,
    UNPROTECTED_SUM,
    Custody,
)
from secure_fl.secagg.messages import AGGREGATOR


def holders_of(committee: Committee) -> tuple[str, ...]:
    return tuple(holder_name(number) for number in range(1, committee.members + 1))


def custody_of(committee: Committee) -> Custody:
    n, t = committee.members, committee.quorum
    names = holders_of(committee)
    return Custody(
        scheme="additive",
        summary=(
            "Each bank splits its update into random shares; nobody can read an update without all of its shares."
            if n == t
            else f"Each bank splits its update into random shares, of which any {t} of {n} share-holders have all that "
            "the aggregator has not."
        ),
        can_decrypt={
            "banks": ("their own update", "the sum of all updates"),
            AGGREGATOR: (f"the sum of all updates, once {_quorum(committee)} have answered",),
            **dict.fromkeys(names, ()),
            "observer": (SUM_ON_THE_WIRE,),
        },
        broken_by=(
            f"the aggregator and {_together(committee)} together",
            *(() if n == t else (_two_sets(committee),)),
            LEFT_ALONE,
            REPEATED,
            ALL_BUT_ONE,
            "an aggregator that makes up banks, unless share-holders know the banks' identity keys by another way",
        ),
        assumptions=(
            (
                "At least one of aggregator and share-holders does not collude with the others."
                if n == t
                else f"The aggregator, or all share-holders but {t - 1}, do not collude with the others."
            ),
            "Banks and share-holders know each other's public keys by a way that the aggregator does not control.",
            _answers(committee),
            *(() if n == t else (_blame(committee),)),
            STEERING,
            "Parts of share-holders travel as seeds: secrecy is computational (AES-256, X25519, SHA-256, Ed25519), not "
            "perfect.",
            "Share-holders add up what banks signed for this attempt and this model: shares of banks that were shown "
            "different models cannot be opened together.",
            UNPROTECTED_SUM,
        ),
        papers=(
            *(() if n == t else _REPLICATED),
            "Damgard, Pastro, Smart, Zakarias, Multiparty Computation from Somewhat Homomorphic Encryption, CRYPTO "
            "2012",
            "Corrigan-Gibbs, Boneh, Prio: Private, Robust, and Scalable Computation of Aggregate Statistics, NSDI 2017",
        ),
    )


_REPLICATED = (
    "Ito, Saito, Nishizeki, Secret Sharing Scheme Realizing General Access Structure, GLOBECOM 1987",
    "Cramer, Damgard, Ishai, Share Conversion, Pseudorandom Secret-Sharing and Applications to Secure Computation, "
    "TCC 2005",
)


def _quorum(committee: Committee) -> str:
    if committee.may_be_silent:
        return f"any {committee.quorum} of {committee.members} share-holders"
    return "all share-holders"


def _together(committee: Committee) -> str:
    if committee.may_be_silent:
        return f"any {committee.quorum} of the {committee.members} share-holders"
    return f"all {committee.members} share-holders"


def _two_sets(committee: Committee) -> str:
    corrupt = committee.may_collude_lying + 1
    return (
        f"an aggregator that lies and {corrupt} share-holder{'s' if corrupt > 1 else ''}: it has the sums of two sets "
        "of banks opened in one attempt, and subtracts them"
    )


def _answers(committee: Committee) -> str:
    if not committee.may_be_silent:
        return (
            "Every share-holder answers: if one is silent, the round has no sum. One that lies spoils the sum, unseen, "
            "or says of any bank that it cannot open its shares, and that bank is left out."
        )
    spare = committee.may_be_silent
    return (
        f"At least {committee.quorum} of {committee.members} share-holders answer, and few lie. Count each silent one "
        f"once and each that lies twice: up to {spare}, the sum is exact and who lies is named; at {spare + 1}, it is "
        "exact, or some who contradict each other are named and there is none; beyond, lies can spoil it, unseen, and "
        "have honest ones named."
    )


def _blame(committee: Committee) -> str:
    """What share-holders can do to a bank."""
    spare, corrupt = committee.may_be_silent, committee.may_collude
    if corrupt > spare:
        league = f"{spare + 1} that collude can do that without any other"
    else:
        league = (
            f"{corrupt} that collude{'s' if corrupt == 1 else ''} can do that only where another one is silent, or "
            "refuses because of a bank that lies"
        )
    return (
        "A share-holder that says of any bank that it cannot open its shares has it left out of the next attempt only "
        f"where {spare + 1} of {committee.members}, itself among them, do not answer: {league}."
    )
