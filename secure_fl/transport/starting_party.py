"""From a bank's or a key holder's file to the party at work."""

from __future__ import annotations

import os
from pathlib import Path

from secure_fl.data import FeatureSchema, FederationKey
from secure_fl.data.datasets import BankData, open_dataset, open_own
from secure_fl.federation.global_model import GlobalModel
from secure_fl.files import make_folder, unwritten, write_durably
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.masked.identity import Identity
from secure_fl.training.storage import model_bytes
from secure_fl.transport.bank import BankParty
from secure_fl.transport.configuration import BankFile, PartyFile
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.party import Connection, Do, take_part


def run_bank(file: BankFile) -> None:
    """Take part until the federation is over, and write the model."""
    credentials = Credentials.read(file.certificates, "bank")
    make_folder(file.memory, 0o700)
    identity = Identity(SigningKey(credentials.own_key(_passphrase())), kept_turns(file.memory))
    data, key = _data(file, credentials)

    def finished(model: GlobalModel, schema: FeatureSchema) -> None:
        _write_model(file.out, party, model, schema)

    party = BankParty(credentials.roster, data, key, identity, finished)
    _take_part(file, credentials, party)


def run_holder(file: PartyFile) -> None:
    """Open sums until the federation is over."""
    credentials = Credentials.read(file.certificates, "holder")
    make_folder(file.memory, 0o700)
    own_key = credentials.own_key(_passphrase())
    party = HolderParty(credentials.roster, credentials.member.name, own_key, kept_turns(file.memory))
    _take_part(file, credentials, party)


def _take_part(file: PartyFile, credentials: Credentials, party: Do) -> None:
    connection = Connection(file.gateway, credentials.client_context())
    try:
        take_part(connection, party)
    finally:
        connection.close()


def _passphrase() -> bytes | None:
    text = os.environ.get("SECURE_FL_PASSPHRASE")
    return None if text is None else text.encode()


def _data(file: BankFile, credentials: Credentials) -> tuple[BankData, FederationKey]:
    """The bank's own rows, and the key that its pseudonyms are made with."""
    settings, name = credentials.roster.settings, credentials.member.name
    if file.transactions is not None:
        return open_own(settings, name, file.transactions)
    dataset = open_dataset(settings)
    return next(bank for bank in dataset.banks if bank.name == name), dataset.key


def _write_model(folder: Path, party: BankParty, model: GlobalModel, schema: FeatureSchema) -> None:
    path = folder / "model.safetensors"
    try:
        write_durably(path, model_bytes(model.weights, schema.to_dict(), party.agreed.learner))
    except OSError as error:
        raise unwritten(path, error, "name another folder as out") from None
