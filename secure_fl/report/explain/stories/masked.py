"""Masked sums: honest, with a bank that vanishes, and with aggregators and banks that lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import Ask, Change, Heard, changed, record
from secure_fl.report.explain.scene import BITS, MOST, Request
from secure_fl.report.explain.stories.adding import TOO_MUCH, adds_too_much
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.story import Play, Story
from secure_fl.report.explain.tellers.masked import MaskedTeller
from secure_fl.report.explain.tellers.teller import Told
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import AttemptSecrets, MaskedClient
from secure_fl.secagg.masked.deployment import CUSTODY, SCHEME
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort, Message
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_numbers, encode_table
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import Stage
from secure_fl.secagg.turns import new_session

_Lie = Callable[[Cohort[Any]], Ask]


def play(request: Request) -> Play:
    honest = _run(request, drop=request.drop)
    parties = request.columns(())
    return Play(
        name="masked",
        title="A sum under pairwise masks",
        text="Bonawitz et al., CCS 2017: two banks agree on a mask that one adds and the other subtracts.",
        parties=parties,
        stories=(
            asked_for(honest, request),
            _swapped_keys(request),
            _two_lists(request),
            *_lying_banks(request),
        ),
        pools=pools(honest.recording, request.updates, parties, honest.held),
        custody=CUSTODY,
    )


def _swapped_keys(request: Request) -> Story:
    first, second = request.names[:2]
    told = _run(request, asks=_swaps_keys)
    told.lies = {
        wire.SHARE_KEYS: Told(
            "The aggregator passes on keys of its own",
            f"{second} gets them in the name of {first}, under a signature that the aggregator made.",
        )
    }
    text = (
        f"It shows {second} keys of its own in the name of {first}, to read the letters. Their signature is "
        f"not {first}'s, so {second} does not go on."
    )
    return Story("the aggregator swaps a bank's keys", text, tuple(told.steps()), AGGREGATOR)


def _two_lists(request: Request) -> Story:
    first, second = request.names[:2]
    told = _run(request, asks=_tells_two_lists)
    told.lies = {
        wire.CONSISTENCY_CHECK: Told(
            "The aggregator tells two lists", f"{first} is told that {second} vanished; nobody else is."
        )
    }
    text = (
        f"It tells {first} that {second} vanished, and all others that its input arrived, to be given a share "
        f"of the mask key of {second} by the one, and shares of its seed by the others. {first} sees too few "
        "signatures under the list that it was told, and opens nothing. Its one share would not have opened "
        "the key either: the threshold is more than half of the banks."
    )
    return Story("the aggregator tells two lists", text, tuple(told.steps()), AGGREGATOR)


def _lying_banks(request: Request) -> tuple[Story, ...]:
    first, last = request.names[0], request.names[-1]
    return (
        Story(
            "a bank opens a wrong share",
            f"{last} alters its share of a secret of {first}. More shares arrive than are needed, they do not lie on "
            "one polynomial, and the announced secret shows which is wrong. The sum is right all the same.",
            tuple(_run(request, lies={last: _wrong_share}).steps()),
            last,
        ),
        Story(
            "a bank adds what it likes",
            f"{last} adds {TOO_MUCH:,} to its first number under the mask. Nobody can tell: banks are believed, and a "
            "secure sum hides a lie as well as a number. Proofs of range (run --scheme additive --proofs) stop it.",
            tuple(_run(request, lies={last: adds_too_much(request, wire.MASKED_INPUT)}).steps()),
            last,
        ),
    )


def _run(
    request: Request,
    drop: Mapping[str, str] | None = None,
    lies: Mapping[str, Change] | None = None,
    asks: _Lie | None = None,
) -> MaskedTeller:
    updates, names = request.updates, request.names
    cohort: Cohort[Any] = SCHEME.cohort(plan("masked", len(names), 4, BITS), 1, names, session=new_session())
    identities = {name: Identity() for name in names}
    directory = {name: identity.public for name, identity in identities.items()}
    drawn = {name: AttemptSecrets() for name in names}
    banks = {
        name: MaskedClient(cohort, name, updates[name], identities[name], directory, drawn[name]) for name in names
    }
    recording = record(cohort, masked_server(cohort), banks, drop, lies, asks and asks(cohort))
    return MaskedTeller(recording, updates, drawn)


def _swaps_keys(cohort: Cohort[Any]) -> Ask:
    victim, other = cohort.banks[:2]

    def swapped(asked: Message) -> bytes:
        rows = decode_table(asked.payload, wire.KEYS_BYTES, len(cohort.banks))
        own = wire.AdvertisedKeys(AgreementKey().public, AgreementKey().public, wire.commit(b"made up"), b"")
        rows[0] = own.to_bytes() + Identity().sign(own.signed_part(cohort, victim))
        return encode_table(rows)

    return _at(cohort, wire.SHARE_KEYS, other, swapped)


def _tells_two_lists(cohort: Cohort[Any]) -> Ask:
    def shorter(asked: Message) -> bytes:
        return encode_numbers(set(decode_numbers(asked.payload, len(cohort.banks))) - {1})

    return _at(cohort, wire.CONSISTENCY_CHECK, cohort.banks[0], shorter)


def _at(cohort: Cohort[Any], name: str, recipient: str, change: Change) -> Ask:
    """One changed request."""

    def asks(stage: Stage, heard: Heard) -> Stage:
        return changed(cohort, stage, recipient, change) if stage.name == name else stage

    return asks


def _wrong_share(said: Message) -> bytes:
    if said.stage != wire.UNMASK:
        return bytes(said.payload)
    rows = decode_table(said.payload, SHARE_BYTES, MOST)
    rows[0] = rows[0][:-1] + bytes([rows[0][-1] ^ 1])
    return encode_table(rows)
