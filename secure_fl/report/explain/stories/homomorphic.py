"""Homomorphic sums: honest, with one upload passed off as a sum, and with a message that was altered on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import Ask, Heard, changed, record
from secure_fl.report.explain.scene import BITS, MODEL, Request
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.story import EAVESDROPPER, Line, Play, Story, Work, shown
from secure_fl.report.explain.tellers.homomorphic import HomomorphicTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.authority import HeDecryptor
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.deployment import PublicKeyDeployment
from secure_fl.secagg.he.encoding import DECRYPT, KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message
from secure_fl.secagg.packing import unpack_fields
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import Party, SecureSum, Stage
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.secagg.turns import OneAnswer, new_session

_Lie = Callable[[Cohort[Any]], Ask]


def play(request: Request) -> Play:
    victim, count = request.names[1], request.count
    honest = _run(request, drop=request.drop)
    one = _run(request, asks=partial(_asks_for_one, said=1))
    passed_off = _run(request, asks=partial(_asks_for_one, said=count))
    passed_off.conclusion = lambda total: _read(passed_off, total, victim)
    stories = (
        asked_for(honest, request),
        Story(
            "the aggregator asks for one upload",
            f"It has the key authority open the upload of {victim} alone, and says so. The key authority opens sums of "
            f"at least {honest.cohort.plan.threshold} banks.",
            tuple(one.steps()),
            AGGREGATOR,
        ),
        Story(
            "the aggregator passes one upload off as a sum",
            f"It sends the upload of {victim} and says that it is a sum of {count} banks. A ciphertext does not show "
            "of how many it is: the key authority opens it. This is in the list of what breaks the scheme: the "
            "aggregator has to follow the protocol.",
            tuple(passed_off.steps()),
            AGGREGATOR,
        ),
        Story(
            "a message is altered on its way",
            f"One bit of the upload of {victim} flips. Its checksum does not match, so the message counts as none and "
            "the bank is not in the sum. The checksum stops accidents; forgers are the transport's task.",
            tuple(_run(request, damaged=victim).steps()),
            "",
        ),
    )
    parties = request.columns((KEY_AUTHORITY,))
    scheme = SCHEMES[request.scheme]
    readers = (*request.names, AGGREGATOR, KEY_AUTHORITY, EAVESDROPPER)
    return Play(
        name=request.scheme,
        title=f"A sum under {request.scheme.upper()}",
        text="Banks encrypt under one public key, the aggregator adds what it cannot read, and the key authority, "
        "which could read it, gets the sum alone.",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest, readers),
        custody=scheme.custody,
    )


class Damaged:
    """A party whose answers lose a bit on their way."""

    def __init__(self, party: Party) -> None:
        self._party = party

    def respond(self, request: bytes) -> bytes:
        answer = bytearray(self._party.respond(request))
        answer[-1] ^= 1
        return bytes(answer)


def _run(
    request: Request,
    drop: Mapping[str, str] | None = None,
    asks: _Lie | None = None,
    damaged: str = "",
) -> HomomorphicTeller:
    names, updates = request.names, request.updates
    planned: Any = plan(request.scheme, len(names), MODEL, BITS).resized(4)
    cohort: Cohort[Any] = SCHEMES[request.scheme].cohort(planned, 1, names, session=new_session())
    secret = SecretContext(planned.parameters_of_context)
    key = secret.public_key()
    public = PublicContext.load(key, planned.parameters_of_context)
    banks: dict[str, Party] = {name: HeClient(cohort, name, updates[name], public) for name in names}
    if damaged:
        banks[damaged] = Damaged(banks[damaged])
    trustees: dict[str, Party] = {KEY_AUTHORITY: HeDecryptor(cohort, secret, OneAnswer())}
    setup = PublicKeyDeployment(key, planned).setup
    recording = record(
        cohort, he_server(cohort, public), banks | trustees, drop, asks=asks and asks(cohort), setup=setup
    )
    return HomomorphicTeller(recording, updates, secret)


def _asks_for_one(cohort: Cohort[Any], said: int) -> Ask:
    """The second bank's upload in the place of a sum of so many."""
    victim = cohort.banks[1]

    def asks(stage: Stage, heard: Heard) -> Stage:
        if stage.name != DECRYPT:
            return stage
        upload = open_message(cohort, heard[UPLOAD, victim], recipient=AGGREGATOR, sender=victim).payload
        payload = said.to_bytes(4, "little") + bytes(upload)
        return changed(cohort, stage, KEY_AUTHORITY, lambda _: payload)

    return asks


def _read(teller: HomomorphicTeller, total: SecureSum, victim: str) -> Told:
    """What was opened, less the middle of the range as often as there were too few banks."""
    plan = teller.cohort.plan
    middle = unpack_fields(np.full(plan.slots, plan.centre), plan.fields_per_slot, plan.field_bits, plan.parameters)
    too_often = (teller.contributors - 1) * middle
    lines = (
        Line("", "what was opened", shown(total.total)),
        Line("−", f"the middle of the range, {teller.contributors - 1} times", shown(too_often)),
        Line("=", f"the numbers of {victim}", shown(total.total - too_often)),
    )
    return Told(f"The aggregator has read {victim}", "Nobody noticed.", (Work(AGGREGATOR, "subtracts", lines),))
