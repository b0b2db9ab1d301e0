"""Additive sums: honest, with made-up banks, and with share-holders that lie or are silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import Change, record
from secure_fl.report.explain.scene import BITS, Request
from secure_fl.report.explain.stories.adding import TOO_MUCH, adds_too_much
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.story import Play, Story
from secure_fl.report.explain.tellers.additive import AdditiveTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.custody import holders_of
from secure_fl.secagg.additive.deployment import HOLDERS, SCHEME, scheme_of
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.additive.wire import SUM_SHARES, digest_of
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.budget.ring import ALL_OF_TWO
from secure_fl.secagg.identity import Identities, Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.planning import plan
from secure_fl.secagg.turns import new_session

TWO_OF_THREE = Committee(3, 2)


def play(request: Request) -> Play:
    victim = request.names[1]
    honest = _run(request, drop=request.drop)
    alone = _run(request, made_up=frozenset(request.names) - {victim})
    alone.lies = {
        SUM_SHARES: Told(
            "The aggregator asks each share-holder for the sum of its shares",
            f"It passes on the seed that {victim} sealed, among seeds that it made up and sealed itself. It has no "
            "bank's identity key, so what it signed is not signed by those banks.",
        )
    }
    stories = (
        asked_for(honest, request),
        Story(
            "the aggregator makes up the other banks",
            f"It asks {victim} alone and plays all other banks itself, with zeros: the sum would be {victim}'s vector. "
            "Share-holders add up what banks signed, and refuse.",
            tuple(alone.steps()),
            AGGREGATOR,
        ),
        Story(
            "a share-holder lies",
            f"{HOLDERS[0]} adds {TOO_MUCH:,} to one number of its answer. Nobody can tell, and the sum is wrong.",
            tuple(_run(request, lies={HOLDERS[0]: _lie(request)}).steps()),
            HOLDERS[0],
        ),
        Story(
            "a share-holder is silent",
            "Without all shares there is no sum: what nobody can open alone, nobody can open without the others.",
            tuple(_run(request, drop={HOLDERS[1]: SUM_SHARES}).steps()),
            HOLDERS[1],
        ),
        *_of_two_of_three(request),
    )
    parties = request.columns(HOLDERS)
    return Play(
        name="additive",
        title="A sum of random shares",
        text="Each bank splits its numbers into vectors that are random alone and add up to the numbers together.",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest),
        custody=SCHEME.custody,
    )


def _of_two_of_three(request: Request) -> tuple[Story, ...]:
    """What becomes of silence and of the same lie where others have the same shares."""
    names = holders_of(TWO_OF_THREE)
    parties = request.columns(names)
    silent = _run(request, drop={names[1]: SUM_SHARES}, committee=TWO_OF_THREE)
    lying = _run(request, lies={names[0]: _lie(request)}, committee=TWO_OF_THREE)
    return (
        Story(
            "a share-holder is silent, and two of three open the sum",
            "Each share is with two of three share-holders. Where one is silent, the other one that has its shares "
            "gives their sum, which is exact all the same.",
            tuple(silent.steps()),
            names[1],
            parties,
        ),
        Story(
            "one of three share-holders lies, and is found out",
            f"{names[0]} adds {TOO_MUCH:,} to one number of its answer, and gives the hash of that. {names[1]} has the "
            "same shares and gives another hash. So no wrong sum comes of it; which of the two lies, nobody can tell "
            "here. Where three have the same shares, as of five of whom three open a sum, the liar is named.",
            tuple(lying.steps()),
            names[0],
            parties,
        ),
    )


def _lie(request: Request) -> Change:
    """A sum of shares that is too large, and its hash in the place of the true one's."""
    return adds_too_much(request, SUM_SHARES, lambda hashes, old, new: hashes.replace(digest_of(old), digest_of(new)))


def _run(
    request: Request,
    drop: Mapping[str, str] | None = None,
    lies: Mapping[str, Change] | None = None,
    made_up: frozenset[str] = frozenset(),
    committee: Committee = ALL_OF_TWO,
) -> AdditiveTeller:
    names = request.names
    planned = plan("additive", len(names), 4, BITS, holders=committee.members, quorum=committee.quorum)
    cohort: Cohort[Any] = scheme_of(committee).cohort(planned, 1, names, session=new_session())
    holders = {name: ShareHolderKey(name) for name in cohort.trustees}
    public = {name: holder.key.public for name, holder in holders.items()}
    zeros = np.zeros(4, dtype=np.int64)
    updates = {name: zeros if name in made_up else values for name, values in request.updates.items()}
    known = Identities()
    identities = {name: Identity() if name in made_up else known.of(name) for name in names}
    banks = {name: AdditiveClient(cohort, name, updates[name], identities[name], public) for name in names}
    directory = known.directory(names)
    trustees = {name: ShareHolder(cohort, holder, directory) for name, holder in holders.items()}
    teller = AdditiveTeller(
        record(cohort, additive_server(cohort), {**banks, **trustees}, drop, lies), updates, holders
    )
    teller.made_up = made_up
    return teller
