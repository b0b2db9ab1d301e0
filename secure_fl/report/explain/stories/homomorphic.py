"""Homomorphic sums: honest, with one upload passed off as a sum, and with a message that was altered on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import Ask, record
from secure_fl.report.explain.scene import BITS, MODEL, Request
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.stories.keyed import keyed, sends_upload_of
from secure_fl.report.explain.story import Line, Play, Story, Work, shown
from secure_fl.report.explain.tellers.homomorphic import HomomorphicTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.report.wording import plural
from secure_fl.secagg.he.authority import HeDecryptor
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.packing import unpack_fields
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import Party, SecureSum
from secure_fl.secagg.schemes import SCHEMES, called
from secure_fl.secagg.turns import OneAnswer


def play(request: Request) -> Play:
    victim, count = request.names[1], request.count
    honest = _run(request, drop=request.drop)
    one, passed_off = _run(request, said=1), _run(request, said=count)
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
    untried = f" It is {scheme.experimental}." if scheme.experimental else ""
    return Play(
        name=called(request.scheme),
        title=f"A sum under {request.scheme.upper()}",
        text="Banks encrypt under one public key, the aggregator adds what it cannot read, and the key authority, "
        f"which could read it, gets the sum alone.{untried}",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest),
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
    request: Request, drop: Mapping[str, str] | None = None, said: int | None = None, damaged: str = ""
) -> HomomorphicTeller:
    """`said`: of how many banks a lying aggregator says that the second one's upload is the sum."""
    planned: Any = plan(request.scheme, request.count, MODEL, BITS).resized(4)
    there = keyed(request, SCHEMES[request.scheme], planned)
    banks = there.banks | ({damaged: Damaged(there.banks[damaged])} if damaged else {})
    parties = banks | {KEY_AUTHORITY: HeDecryptor(there.cohort, there.secret, OneAnswer())}
    asks = None if said is None else _says(there.cohort, request.names[1], said)
    server = he_server(there.cohort)
    recording = record(there.cohort, server, parties, drop, asks=asks, setup=there.setup)
    teller = HomomorphicTeller(recording, request.updates, there.secret)
    if said is not None:
        text = f"Of all ciphertexts it sends that of {request.names[1]}, and says that it is of {plural(said, 'bank')}."
        teller.lies = {DECRYPT: Told("The aggregator sends one upload to the key authority", text)}
    return teller


def _says(cohort: Cohort[Any], victim: str, said: int) -> Ask:
    return sends_upload_of(cohort, victim, lambda _, upload: said.to_bytes(4, "little") + upload)


def _read(teller: HomomorphicTeller, total: SecureSum, victim: str) -> Told:
    """What was opened, less the middle of the range as often as there were too few banks."""
    plan = teller.cohort.plan
    middle = unpack_fields(np.full(plan.slots, plan.centre), plan.fields_per_slot, plan.field_base, plan.parameters)
    too_often = (teller.contributors - 1) * middle
    lines = (
        Line("", "what was opened", shown(total.total)),
        Line("−", f"the middle of the range, {teller.contributors - 1} times", shown(too_often)),
        Line("=", f"the numbers of {victim}", shown(total.total - too_often)),
    )
    return Told(f"The aggregator has read {victim}", "Nobody noticed.", (Work(AGGREGATOR, "subtracts", lines),))
