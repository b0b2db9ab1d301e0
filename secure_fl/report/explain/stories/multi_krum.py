"""Multi-Krum on ciphertexts: four banks agree, one sends the opposite; and an aggregator that asks for another sum."""

from __future__ import annotations

from functools import partial
from typing import Any

from secure_fl.federation.checked_sums import choose
from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import record
from secure_fl.report.explain.scene import BITS, BYZANTINE, KRUM_NUMBERS, MODEL, MOST, Request
from secure_fl.report.explain.stories.keyed import keyed, seal_keys, sends_upload_of
from secure_fl.report.explain.story import Play, Story
from secure_fl.report.explain.tellers.multi_krum import KrumTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY
from secure_fl.secagg.krum.authority import Choices, KrumDecryptor
from secure_fl.secagg.krum.deployment import CUSTODY, krum_scheme
from secure_fl.secagg.krum.server import krum_server
from secure_fl.secagg.krum.wire import join_list, split_list
from secure_fl.secagg.messages import AGGREGATOR, Message
from secure_fl.secagg.planning import plan_for


def play(request: Request) -> Play:
    poisoner, victim = request.names[-1], request.names[0]
    honest = _run(request)
    stories = (
        Story("a bank poisons", _poisoned(honest, poisoner), tuple(honest.steps()), poisoner),
        Story(
            "the aggregator asks for another sum",
            f"It sends the upload of {victim} in the place of the sum of the chosen. The sum would have to be as long "
            "as the distances say, and is not: the key authority opens nothing.",
            tuple(_run(request, other_sum=True).steps()),
            AGGREGATOR,
        ),
    )
    parties = request.columns((KEY_AUTHORITY,))
    return Play(
        name="ckks with multi-krum",
        title="Multi-Krum on ciphertexts",
        text=f"Four banks send updates of {KRUM_NUMBERS} numbers that agree, and one the opposite of theirs, four "
        "times as far; 128 stands for zero, and the first numbers are shown. Nobody reads an update, and the one "
        "that is far from all others is left out.",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest),
        custody=CUSTODY,
    )


def _poisoned(teller: KrumTeller, poisoner: str) -> str:
    total = teller.recording.sum
    left_out = total is not None and poisoner not in total.contributors
    return f"{poisoner} sends the opposite. It is {'not chosen' if left_out else 'chosen all the same'}."


def _run(request: Request, other_sum: bool = False) -> KrumTeller:
    """`other_sum`: whether the aggregator sends the first bank's upload in the place of the sum."""
    select = partial(choose, byzantine=BYZANTINE)
    scheme = krum_scheme(select)
    planned: Any = plan_for(scheme, request.count, MODEL, BITS).resized(KRUM_NUMBERS)
    there = keyed(request, scheme, planned)
    secret, public = seal_keys(there)
    parties = there.banks | {KEY_AUTHORITY: KrumDecryptor(there.cohort, secret, select, Choices())}
    asks = sends_upload_of(there.cohort, request.names[0], _in_place_of) if other_sum else None
    server = krum_server(there.cohort, public)
    recording = record(there.cohort, server, parties, asks=asks, setup=there.setup)
    looking = KrumDecryptor(there.cohort, secret, select, Choices())
    teller = KrumTeller(recording, request.updates, there.secret, looking, BYZANTINE)
    if other_sum:
        text = f"It names the chosen banks, and sends the upload of {request.names[0]} alone."
        teller.lies = {DECRYPT: Told("The aggregator sends one upload as the sum of the chosen", text)}
    return teller


def _in_place_of(asked: Message, upload: bytes) -> bytes:
    chosen, _ = split_list(asked.payload, MOST)
    return b"".join(join_list(chosen, [upload]))
