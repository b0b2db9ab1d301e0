"""From a bank's or a key holder's file to the party at work."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from secure_fl.data import FeatureSchema, FederationKey
from secure_fl.data.datasets import BankData, open_dataset, open_own
from secure_fl.data.origin import Origin
from secure_fl.federation.global_model import GlobalModel
from secure_fl.files import alone_in, unwritten, write_durably
from secure_fl.privacy.accounts import Lifetime
from secure_fl.privacy.federation import FederationPrivacy
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.report.outputs import model_description
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.identity import Identity
from secure_fl.settings import Experiment
from secure_fl.training.storage import model_bytes
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.bank import BankParty
from secure_fl.transport.configuration import BankFile, PartyFile
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.party import Connection, Do, take_part
from secure_fl.transport.roster import Roster

LOG = logging.getLogger("secure_fl.party")


def run_bank(file: BankFile) -> float | None:
    """Take part until the federation is over, and write the model; what was spent, epsilon, where rows are private."""
    credentials = Credentials.read(file.certificates, "bank")
    with alone_in(file.memory):
        return _run_bank(file, credentials)


def _run_bank(file: BankFile, credentials: Credentials) -> float | None:
    identity = Identity(SigningKey(credentials.own_key(_passphrase())), kept_turns(file.memory))
    settings = _settings(file, credentials)
    data, key, origin = _data(file, settings, credentials.member.name)

    def finished(model: GlobalModel, schema: FeatureSchema) -> None:
        columns = {"used": dict(origin.used), "ignored": list(origin.ignored)}
        described = model_description(settings.model_dump(mode="json"), schema.to_dict(), columns)
        _write_model(file.out, model_bytes(model.weights, described, party.agreed.learner))
        privacy.close()

    privacy = _privacy(file, credentials.roster, data)
    rows = privacy.rows.get(data.name)
    party = BankParty(credentials.roster, data, key, identity, finished, rows)
    _take_part(file, credentials, party)
    return privacy.epsilon


def run_holder(file: PartyFile) -> None:
    """Open sums until the federation is over."""
    credentials = Credentials.read(file.certificates, "holder")
    own_key = credentials.own_key(_passphrase())
    with alone_in(file.memory):
        party = HolderParty(credentials.roster, credentials.member.name, own_key, kept_turns(file.memory))
        _take_part(file, credentials, party)


def _privacy(file: BankFile, roster: Roster, data: BankData) -> FederationPrivacy:
    """The bank's own ledger, of this federation and for life. Raises `PrivacyError` where it cannot be relied on."""
    lifetime = Lifetime(LedgerStore.of_user(), roster.federation)
    privacy = FederationPrivacy.open(roster.settings, None, (data,), file.memory, True, lifetime)
    for rows in privacy.rows.values():
        rows.require_room(roster.settings.rounds)
    return privacy


def _take_part(file: PartyFile, credentials: Credentials, party: Do) -> None:
    agreed = Agreement(credentials.roster.settings)
    agreed.warn(LOG)
    largest = agreed.largest_order(credentials.member.name)
    connection = Connection(file.gateway, credentials.client_context(), largest)
    try:
        take_part(connection, party)
    finally:
        connection.close()


def _passphrase() -> bytes | None:
    text = os.environ.get("SECURE_FL_PASSPHRASE")
    return text.encode() if text else None


def _settings(file: BankFile, credentials: Credentials) -> Experiment:
    """The federation's, with the bank's own file where it has one."""
    settings = credentials.roster.settings
    return settings if file.transactions is None else settings.model_copy(update={"dataset": str(file.transactions)})


def _data(file: BankFile, settings: Experiment, name: str) -> tuple[BankData, FederationKey, Origin]:
    """The bank's own rows, the key that its pseudonyms are made with, and what its columns became."""
    if file.transactions is not None:
        return open_own(settings, name, settings.private)
    dataset = open_dataset(settings, settings.private)
    return next(bank for bank in dataset.banks if bank.name == name), dataset.key, dataset.origin


def _write_model(folder: Path, content: bytes) -> None:
    path = folder / "model.safetensors"
    try:
        write_durably(path, content)
    except OSError as error:
        raise unwritten(path, error, "name another folder as out") from None
