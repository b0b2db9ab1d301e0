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
from secure_fl.report.explain.story import Line, Play, Story, Work, shown
from secure_fl.report.explain.tellers.additive import AdditiveTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.deployment import CUSTODY, HOLDERS, SCHEME
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.additive.wire import SUM_SHARES
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import SecureSum
from secure_fl.secagg.turns import new_session


def play(request: Request) -> Play:
    victim = request.names[1]
    honest = _run(request, drop=request.drop)
    alone = _run(request, made_up=frozenset(request.names) - {victim})
    alone.lies = {
        SUM_SHARES: Told(
            "The aggregator asks each share-holder for the sum of its shares",
            f"It passes on the seed that {victim} sealed, among seeds that it made up and sealed itself. A holder "
            "cannot tell one from the other.",
        )
    }
    alone.conclusion = lambda total: _isolated(total, victim)
    stories = (
        asked_for(honest, request),
        Story(
            "the aggregator makes up the other banks",
            f"It asks {victim} alone and plays all other banks itself, with zeros. The sum that it has opened is "
            f"{victim}'s vector. Nothing in this scheme proves who made a share: it is in the list of what breaks it.",
            tuple(alone.steps()),
            AGGREGATOR,
        ),
        Story(
            "a share-holder lies",
            f"{HOLDERS[0]} adds {TOO_MUCH:,} to one number of its answer. Nobody can tell, and the sum is wrong.",
            tuple(_run(request, lies={HOLDERS[0]: adds_too_much(request, SUM_SHARES)}).steps()),
            HOLDERS[0],
        ),
        Story(
            "a share-holder is silent",
            "Without all shares there is no sum: what nobody can open alone, nobody can open without the others.",
            tuple(_run(request, drop={HOLDERS[1]: SUM_SHARES}).steps()),
            HOLDERS[1],
        ),
    )
    parties = request.columns(HOLDERS)
    return Play(
        name="additive",
        title="A sum of random shares",
        text="Each bank splits its numbers into vectors that are random alone and add up to the numbers together.",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest),
        custody=CUSTODY,
    )


def _run(
    request: Request,
    drop: Mapping[str, str] | None = None,
    lies: Mapping[str, Change] | None = None,
    made_up: frozenset[str] = frozenset(),
) -> AdditiveTeller:
    names = request.names
    cohort: Cohort[Any] = SCHEME.cohort(plan("additive", len(names), 4, BITS), 1, names, session=new_session())
    holders = {name: ShareHolderKey(name) for name in HOLDERS}
    public = {name: holder.key.public for name, holder in holders.items()}
    zeros = np.zeros(4, dtype=np.int64)
    updates = {name: zeros if name in made_up else values for name, values in request.updates.items()}
    banks = {name: AdditiveClient(cohort, name, updates[name], public) for name in names}
    trustees = {name: ShareHolder(cohort, holder) for name, holder in holders.items()}
    teller = AdditiveTeller(
        record(cohort, additive_server(cohort), {**banks, **trustees}, drop, lies), updates, holders
    )
    teller.made_up = made_up
    return teller


def _isolated(total: SecureSum, victim: str) -> Told:
    line = Line("=", f"the numbers of {victim}", shown(total.total))
    text = f"The share-holders did as they should, and the sum is the vector of {victim}."
    return Told(f"The aggregator has read {victim}", text, (Work(AGGREGATOR, "reads", (line,)),))
