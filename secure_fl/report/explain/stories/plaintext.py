"""Plain sums."""

from __future__ import annotations

from typing import Any

from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import record
from secure_fl.report.explain.scene import BITS, Request
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.story import EAVESDROPPER, Play
from secure_fl.report.explain.tellers.plaintext import PlaintextTeller
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.plaintext import SCHEME, PlaintextClient, plaintext_server
from secure_fl.secagg.planning import plan
from secure_fl.secagg.turns import new_session


def play(request: Request) -> Play:
    updates, names = request.updates, request.names
    planned = plan("plaintext", len(names), 4, BITS)
    cohort: Cohort[Any] = SCHEME.cohort(planned, 1, names, session=new_session())
    banks = {name: PlaintextClient(cohort, name, updates[name]) for name in names}
    teller = PlaintextTeller(record(cohort, plaintext_server(cohort), banks, request.drop), updates)
    parties = request.columns(())
    return Play(
        name="plaintext",
        title="A sum in the clear",
        text="What the other schemes take away: whoever carries an update reads it.",
        parties=parties,
        stories=(asked_for(teller, request),),
        pools=pools(teller.recording, updates, parties, teller, (*names, AGGREGATOR, EAVESDROPPER)),
        custody=SCHEME.custody,
    )
