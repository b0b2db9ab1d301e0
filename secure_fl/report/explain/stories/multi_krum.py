"""Multi-Krum on ciphertexts: four banks agree, one sends the opposite; and an aggregator that asks for another sum."""

from __future__ import annotations

from functools import partial
from typing import Any

from secure_fl.federation.checked_sums import choose
from secure_fl.report.explain.pools import pools
from secure_fl.report.explain.recording import Ask, Heard, changed, record
from secure_fl.report.explain.scene import BITS, BYZANTINE, MODEL, Request
from secure_fl.report.explain.stories.honest import asked_for
from secure_fl.report.explain.story import EAVESDROPPER, Play, Story
from secure_fl.report.explain.tellers.multi_krum import KrumTeller
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.deployment import PublicKeyDeployment
from secure_fl.secagg.he.encoding import DECRYPT, KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.krum.authority import Choices, KrumDecryptor
from secure_fl.secagg.krum.deployment import CUSTODY, krum_scheme
from secure_fl.secagg.krum.server import krum_server
from secure_fl.secagg.krum.wire import join_list, split_list
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.protocol import Party, Stage
from secure_fl.secagg.turns import new_session


def play(request: Request) -> Play:
    poisoner, victim = request.names[-1], request.names[0]
    honest = _run(request)
    first = asked_for(honest, request)
    stories = (
        first if request.drop else Story("a bank poisons", _poisoned(honest, poisoner), first.steps, poisoner),
        Story(
            "the aggregator asks for another sum",
            f"It sends the upload of {victim} in the place of the sum of the chosen. The sum would have to be as long "
            "as the distances say, and is not: the key authority opens nothing.",
            tuple(_run(request, other_sum=True).steps()),
            AGGREGATOR,
        ),
    )
    parties = request.columns((KEY_AUTHORITY,))
    readers = (*request.names, AGGREGATOR, KEY_AUTHORITY, EAVESDROPPER)
    return Play(
        name="ckks with multi-krum",
        title="Multi-Krum on ciphertexts",
        text="Four banks send updates that agree, and one the opposite of theirs, four times as far; 128 stands for "
        "zero. Nobody reads an update, and the one that is far from all others is left out.",
        parties=parties,
        stories=stories,
        pools=pools(honest.recording, request.updates, parties, honest, readers),
        custody=CUSTODY,
    )


def _poisoned(teller: KrumTeller, poisoner: str) -> str:
    total = teller.recording.sum
    left_out = total is not None and poisoner not in total.contributors
    return f"{poisoner} sends the opposite. It is {'not chosen' if left_out else 'chosen all the same'}."


def _run(request: Request, other_sum: bool = False) -> KrumTeller:
    names, updates = request.names, request.updates
    scheme = krum_scheme(partial(choose, byzantine=BYZANTINE))
    planned: Any = plan_for(scheme, len(names), MODEL, BITS).resized(4)
    cohort: Cohort[Any] = scheme.cohort(planned, 1, names, session=new_session())
    secret = SecretContext(planned.parameters_of_context)
    key = secret.public_key()
    public = PublicContext.load(key, planned.parameters_of_context)
    banks: dict[str, Party] = {name: HeClient(cohort, name, updates[name], public) for name in names}
    decryptor = KrumDecryptor(cohort, secret, partial(choose, byzantine=BYZANTINE), Choices())
    recording = record(
        cohort,
        krum_server(cohort, public),
        {**banks, KEY_AUTHORITY: decryptor},
        None if other_sum else request.drop,
        asks=_asks_for_another(cohort) if other_sum else None,
        setup=PublicKeyDeployment(key, planned).setup,
    )
    return KrumTeller(recording, updates, secret, BYZANTINE)


def _asks_for_another(cohort: Cohort[Any]) -> Ask:
    """The first bank's upload in the place of the sum."""
    victim = cohort.banks[0]

    def asks(stage: Stage, heard: Heard) -> Stage:
        if stage.name != DECRYPT:
            return stage
        upload = open_message(cohort, heard[UPLOAD, victim], recipient=AGGREGATOR, sender=victim).payload
        asked = open_message(cohort, stage.requests[KEY_AUTHORITY], recipient=KEY_AUTHORITY, sender=AGGREGATOR)
        chosen, _ = split_list(asked.payload, len(cohort.banks))
        payload = b"".join(join_list(chosen, [bytes(upload)]))
        return changed(cohort, stage, KEY_AUTHORITY, lambda _: payload)

    return asks
