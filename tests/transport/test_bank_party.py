"""A bank does what it agreed to do, in turn; what a gateway that lies asks of it is refused by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from secure_fl.data import FeatureSchema, Standardization, describe
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.errors import ProtocolError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.round_zero import CONTEXT
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import context_of
from secure_fl.transport.bank import BankParty
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.columns import Columns
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.orders import ASK, FINISHED, HELLO, MODEL, SETTLE, STATISTICS, TAKE_KEY, About, Order
from tests.transport.federation import SMALL

SESSION = bytes(range(16))


@cache
def dataset() -> Dataset:
    return open_dataset(Experiment(**SMALL, scheme="masked"))  # type: ignore[arg-type]


@dataclasses.dataclass
class Asked:
    """One bank, and a gateway that says what the test wants."""

    folder: Path
    finished: list[tuple[GlobalModel, FeatureSchema]]
    error_feedback: bool = False

    def __post_init__(self) -> None:
        settings = Experiment(**SMALL, scheme="masked", error_feedback=self.error_feedback)  # type: ignore[arg-type]
        make_certificates(self.folder / "c", settings, ["localhost"])
        self.start()

    def start(self) -> None:
        """As after its process was started anew."""
        credentials = Credentials.read(self.folder / "c" / "bank-1", "bank")
        identity = Identity(SigningKey(credentials.own_key()), kept_turns(self.folder))
        data = next(bank for bank in dataset().banks if bank.name == "bank-1")
        self.party = BankParty(
            credentials.roster, data, dataset().key, identity, lambda *said: self.finished.append(said)
        )
        self.agreed = self.party.agreed

    @property
    def features(self) -> int:
        return len(describe(dataset().banks[0].train.schema))

    @property
    def facts(self) -> dict[str, Any]:
        return {"mean": [0.0] * self.features, "std": [1.0] * self.features}

    @property
    def model(self) -> GlobalModel:
        return GlobalModel(self.agreed.learner.initial(1), 0.5, 900.0)

    @property
    def context(self) -> bytes:
        return context_of(self.model.digest, Standardization(tuple(self.facts["mean"]), tuple(self.facts["std"])))

    def cohort(self, round_: int = 1, session: bytes = SESSION, attempt: int = 1) -> Cohort[Any]:
        length = self.model.codec(self.agreed.plan).length
        return dataclasses.replace(self.agreed.cohort(session, round_, length, self.context), attempt=attempt)

    def send_model(self, cohort: Cohort[Any], **changes: Any) -> bytes:
        body = seal(cohort, "broadcast", AGGREGATOR, "bank-1", self.model.to_bytes())
        return self.party(dataclasses.replace(Order(1, MODEL, About.of(cohort), self.facts, body), **changes))

    def ask(self, cohort: Cohort[Any], **changes: Any) -> bytes:
        body = seal(cohort, wire.ADVERTISE_KEYS, AGGREGATOR, "bank-1")
        return self.party(dataclasses.replace(Order(2, ASK, About.of(cohort), {}, body), **changes))


@pytest.fixture
def bank(tmp_path: Path) -> Asked:
    return Asked(tmp_path, [])


def refused(what: Callable[[], object], match: str) -> None:
    with pytest.raises(ProtocolError, match=match):
        what()


def test_a_bank_says_which_columns_it_has_and_no_value(bank: Asked) -> None:
    said = json.loads(bank.party(Order(1, HELLO)))
    assert said["features"] == bank.features
    assert said == asdict(Columns.of(dataset().banks[0].train))


def test_a_round_in_turn_is_done(bank: Asked) -> None:
    cohort = bank.cohort()
    assert bank.send_model(cohort) == b""
    assert len(bank.ask(cohort)) > 100
    again = bank.cohort(attempt=2)
    assert bank.ask(again) != b""  # under other keys: a half of its own


def test_sums_of_no_round_that_it_is_in_are_refused(bank: Asked) -> None:
    refused(lambda: bank.ask(bank.cohort()), "bank-1 was started anew")
    bank.send_model(bank.cohort())
    refused(lambda: bank.ask(bank.cohort(round_=2)), "bank-1 was started anew")


def test_a_sum_about_another_model_is_refused(bank: Asked) -> None:
    bank.send_model(bank.cohort())
    refused(lambda: bank.ask(dataclasses.replace(bank.cohort(), context=b"other")), "bank-1 has another model")


def test_a_sum_under_another_public_key_than_the_bank_has_is_refused(bank: Asked) -> None:
    bank.send_model(bank.cohort())
    refused(lambda: bank.ask(bank.cohort(), facts={"key": "00"}), "bank-1 has another public key")


@pytest.mark.parametrize("by", [-1, 1, 10_000])
def test_a_sum_of_another_length_is_refused(bank: Asked, by: int) -> None:
    bank.send_model(bank.cohort())
    about = dataclasses.replace(About.of(bank.cohort()), length=bank.cohort().plan.parameters + by)
    refused(lambda: bank.ask(bank.cohort(), about=about), "another length|a sum that cannot be")


@pytest.mark.parametrize(
    ("lie", "match"),
    [
        ({"session": bytes(16)}, "another session"),
        ({"round_": 2}, "belongs to round"),
        ({"attempt": 3}, "belongs to round"),
    ],
)
def test_an_order_that_says_other_than_its_message_is_refused(bank: Asked, lie: dict[str, Any], match: str) -> None:
    about = About.of(bank.cohort(**lie))
    refused(lambda: bank.send_model(bank.cohort(), about=about), match)
    bank.send_model(bank.cohort())
    if "round_" not in lie:
        refused(lambda: bank.ask(bank.cohort(), about=about), match)


def test_a_model_that_the_cohort_does_not_name_is_refused(bank: Asked) -> None:
    other = dataclasses.replace(bank.model, clip=0.25)
    cohort = bank.cohort()
    body = seal(cohort, "broadcast", AGGREGATOR, "bank-1", other.to_bytes())
    refused(lambda: bank.send_model(cohort, body=body), "bank-1 received another model")
    wider = {"mean": bank.facts["mean"], "std": [2.0] * bank.features}
    refused(lambda: bank.send_model(cohort, facts=wider), "bank-1 received another model")
    refused(lambda: bank.send_model(cohort, body=b""), "truncated")
    refused(lambda: bank.send_model(cohort, about=None), "names no sum")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"mean": 1, "std": 2},
        {"mean": ["x"], "std": ["y"]},
        {"mean": [0.0], "std": [1.0]},
        {"mean": [], "std": []},
        "nan", "negative", "huge", "no numbers",
    ],
    ids=str,
)  # fmt: skip
def test_a_scale_of_features_that_cannot_be_is_refused(bank: Asked, facts: Any) -> None:
    of_its_length = {"nan": float("nan"), "negative": -1.0, "huge": float("inf"), "no numbers": None}
    if isinstance(facts, str):
        facts = {"mean": [0.0] * bank.features, "std": [of_its_length[facts]] * bank.features}
    refused(lambda: bank.send_model(bank.cohort(), facts=facts), "scale of features")


def test_other_statistics_than_those_of_round_0_are_refused(bank: Asked) -> None:
    length = bank.agreed.statistics(bank.features).length

    def statistics(round_: int = 0, by: int = 0, context: bytes = CONTEXT) -> bytes:
        cohort = bank.agreed.cohort(SESSION, round_, length + by, context)
        return bank.party(Order(1, STATISTICS, About.of(cohort)))

    for wrong in ({"round_": 1}, {"by": 1}, {"context": b"else"}):
        refused(lambda wrong=wrong: statistics(**wrong), "bank-1 was asked for other statistics")  # type: ignore[misc]
    assert statistics() == b""


def test_a_model_for_a_round_that_the_federation_does_not_have_is_refused(bank: Asked) -> None:
    last = bank.agreed.experiment.rounds
    assert bank.send_model(bank.cohort(last)) == b""
    refused(lambda: bank.send_model(bank.cohort(last + 1)), f"about round {last + 1} of {last}")
    refused(lambda: bank.ask(bank.cohort(last + 1)), f"about round {last + 1} of {last}")
    refused(lambda: bank.send_model(bank.cohort(0)), "a model for round 0, which has none")


@pytest.mark.parametrize("kind", ["", "train", "__call__", "x" * 1000])
def test_an_order_of_an_unknown_kind_is_refused(bank: Asked, kind: str) -> None:
    refused(lambda: bank.party(Order(1, kind)), "bank-1 knows no order")


def test_orders_that_its_scheme_does_not_have_are_refused(bank: Asked) -> None:
    refused(lambda: bank.party(Order(1, TAKE_KEY, body=b"key")), "no public key in this scheme")


def test_it_is_over_only_with_a_model_that_can_be(bank: Asked) -> None:
    for body in (b"", b"x" * 30, bank.model.to_bytes()[:-4]):
        refused(lambda body=body: bank.party(Order(1, FINISHED, facts=bank.facts, body=body)), "model")  # type: ignore[misc]
    assert bank.finished == []
    bank.party(Order(1, FINISHED, facts=bank.facts, body=bank.model.to_bytes()))
    ((model, schema),) = bank.finished
    assert model.digest == bank.model.digest
    assert schema.standardization.std == (1.0,) * bank.features


def test_whom_the_sum_holds_is_no_matter_to_a_bank_without_residuals(bank: Asked) -> None:
    for contributors in ([], ["bank-1"], 7, None, "bank-1"):
        assert bank.party(Order(1, SETTLE, None, {"contributors": contributors})) == b""


def test_residuals_come_of_a_sum_that_the_bank_was_in_alone(tmp_path: Path) -> None:
    bank = Asked(tmp_path, [], error_feedback=True)
    cohort = bank.cohort()

    def settle(contributors: object, **changes: Any) -> bytes:
        about = dataclasses.replace(About.of(cohort), **changes)
        return bank.party(Order(3, SETTLE, about, {"contributors": contributors}))

    refused(lambda: settle(["bank-1"]), "bank-1 was started anew")
    bank.send_model(cohort)
    refused(lambda: settle(["bank-1"]), "bank-1 sent nothing into that sum")
    bank.ask(cohort)
    others: tuple[object, ...] = (7, None, {}, ["bank-2"])
    for contributors in others:
        assert settle(contributors) == b""
    refused(lambda: settle(["bank-1"], round=2), "bank-1 was started anew")
    refused(lambda: settle(["bank-1"], length=cohort.plan.parameters - 1), "another length")
    assert bank.party._bank.residual is None
    assert settle(["bank-1"]) == b""
    assert bank.party._bank.residual is not None


def test_a_bank_that_was_started_anew_refuses_an_attempt_that_it_was_in(bank: Asked) -> None:
    bank.send_model(bank.cohort())
    bank.ask(bank.cohort())
    bank.start()
    bank.send_model(bank.cohort())
    refused(lambda: bank.ask(bank.cohort()), "bank-1 already took part in round 1, attempt 1")
    assert len(bank.ask(bank.cohort(attempt=2))) > 100
    refused(lambda: bank.ask(bank.cohort(session=bytes(16), attempt=9)), "session that began before")
