"""Public keys under Flower: by a signed roster nobody on the way can swap one; without it the SuperLink can."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import Message, RecordDict
from flwr.serverapp.strategy import FedAvg

from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.hazmat.agreement import AgreementKey, SigningKey
from secure_fl.secagg.he.secret_keys import new_secret_key
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.flower import SecureStrategy
from secure_fl.transport.flower.keys import pack_directory
from secure_fl.transport.flower.records import answer_in, order_in, order_message
from secure_fl.transport.flower.terms import Terms
from secure_fl.transport.orders import ASK, MODEL
from tests.transport.flower_federation import HOLDERS, Federation, Said, federated, grid_of
from tests.transport.flower_grid import MemoryGrid, order_of
from tests.transport.test_flower_replays import Repeating, refusal
from tests.transport.test_flower_sums import same

ENCRYPTED = ("ckks", "rlwe")
NAMES = {"masked": (), **dict.fromkeys(ENCRYPTED, ("key-authority",)), "additive": ("share-holder-1", "share-holder-2")}


def made(folder: Path, scheme: str, **settings: Any) -> Path:
    make_certificates(folder / scheme, Experiment(scheme=scheme, **settings), ["localhost"])
    return folder / scheme


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    return {scheme: made(folder, scheme) for scheme in NAMES}


def configs(folder: Path, scheme: str) -> list[Mapping[str, Any]]:
    names = ("bank-1", "bank-2", "bank-3", *NAMES[scheme])
    return [{"secure-fl-folder": str(folder / name), "partition-id": number} for number, name in enumerate(names)]


def listed(folders: dict[str, Path], scheme: str, grid: MemoryGrid | None = None, **settings: Any) -> Federation:
    grid = grid or grid_of(scheme, configs=configs(folders[scheme], scheme))
    return federated(scheme, grid, roster=folders[scheme] / "gateway", **settings)


@pytest.mark.parametrize("scheme", NAMES)
def test_the_sum_is_the_same_with_a_roster_and_without(scheme: str, folders: dict[str, Path]) -> None:
    by_roster, by_superlink = listed(folders, scheme, rounds=2), federated(scheme, rounds=2)
    assert same(by_roster.arrays, by_superlink.arrays)
    for done, said, not_said in (
        (by_roster, "by a roster that the federation's authority signed", "came through the SuperLink"),
        (by_superlink, "came through the SuperLink, which is believed", "by a roster that"),
    ):
        text = " ".join(done.strategy.custody.assumptions)
        assert said in text
        assert not_said not in text
        assert ("swaps public keys" in " ".join(done.strategy.custody.broken_by)) == (done is by_superlink)


@pytest.mark.parametrize("scheme", NAMES)
def test_custody_never_says_that_keys_took_another_way_than_they_did(scheme: str) -> None:
    text = " ".join(SecureStrategy(FedAvg(), scheme, most_examples=None).custody.assumptions)
    assert "by a way that the aggregator does not control" not in text


def swapping(scheme: str) -> Any:
    """A SuperLink that puts keys of its own beside the orders, and could open what is sealed or encrypted to them."""

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        found = order_in(message)
        if found is None or found[0].kind not in (MODEL, ASK) or (scheme in ENCRYPTED and not found[1]):
            return message
        order = order_of(message)
        if scheme in ENCRYPTED:
            plan = Terms.of(order.facts).cohort_of(order.about).plan
            keys = new_secret_key(plan.parameters_of_context).public_key()
        else:
            names = NAMES[scheme] or ("bank-1", "bank-2", "bank-3")
            kind = SigningKey if scheme == "masked" else AgreementKey
            keys = pack_directory({name: kind().public for name in names})
        others = RecordDict({name: each for name, each in message.content.items() if name != "secure_fl"})
        swapped = order_message(order, node, message.metadata.message_type, others, keys)
        swapped.metadata.__dict__["_message_id"] = message.metadata.message_id
        return swapped

    return asked


@pytest.mark.parametrize("scheme", ["masked", "additive"])
def test_swapped_keys_change_nothing_under_a_roster(scheme: str, folders: dict[str, Path]) -> None:
    grid = grid_of(scheme, configs=configs(folders[scheme], scheme))
    grid.asked = swapping(scheme)
    done = listed(folders, scheme, grid)
    assert done.strategy.rounds[0].contributors == ("bank-1", "bank-2", "bank-3")


@pytest.mark.parametrize("scheme", ["masked", "additive"])
def test_without_a_roster_swapped_keys_are_taken(scheme: str) -> None:
    """Here they belong to nobody who answers, so the sum fails; a SuperLink that has their secrets would read on."""
    grid = grid_of(scheme)
    grid.asked = swapping(scheme)
    assert federated(scheme, grid).strategy.rounds[0].contributors == ()


@pytest.mark.parametrize("scheme", ENCRYPTED)
def test_a_swapped_key_to_encrypt_with_is_refused_under_a_roster(scheme: str, folders: dict[str, Path]) -> None:
    grid = grid_of(scheme, configs=configs(folders[scheme], scheme))
    grid.asked = swapping(scheme)
    done = listed(folders, scheme, grid)
    assert "a signature of key-authority does not verify" in done.strategy.rounds[0].failure
    assert done.strategy.rounds[0].contributors == ()


@pytest.mark.parametrize("scheme", ENCRYPTED)
def test_without_a_roster_a_bank_encrypts_under_the_swapped_key(scheme: str, said: Said) -> None:
    """That is what the custody statement says of it; and why nodes log what people can compare."""
    grid = grid_of(scheme)
    grid.asked = swapping(scheme)
    done = federated(scheme, grid)
    assert done.strategy.rounds[0].failure
    uploads = [d for d in done.strategy.transcript if d.stage == "upload" and d.recipient == "aggregator"]
    assert len(uploads) >= 3, "banks took it"
    lines = [line for line in said().splitlines() if "encrypts under the public key" in line]
    assert len({line.rpartition(" ")[2] for line in lines}) > 1, "and nodes logged other keys than the authority's"


def test_nodes_log_the_key_that_the_authority_has(said: Said) -> None:
    federated("ckks")
    keys = {line.rpartition(" ")[2] for line in said().splitlines() if "public key" in line}
    assert len(keys) == 1
    assert len(keys.pop()) == 64


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bits": 8}, "the server says bits = 8 and the roster 16"),
        ({"threshold": 3}, "the server says threshold = 3 and the roster None"),
    ],
)
def test_a_server_cannot_say_what_the_roster_does_not(
    settings: dict[str, Any], reason: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        listed(folders, "masked", **settings)
    grid = grid_of("masked", configs=configs(folders["masked"], "masked"))
    with pytest.raises(ConfigurationError, match="no node takes part; the last one said: the server says"):
        federated("masked", grid, **settings)


@pytest.mark.parametrize(
    ("scheme", "asked", "what"),
    [
        ("masked", {"epsilon": 3.0, "delta": 1e-5}, "privacy"),
        ("additive", {"holders": 3, "quorum": 2}, "holders"),
        ("bfv", {"witnesses": 1}, "witnesses"),
    ],
)
def test_a_roster_that_asks_for_more_is_refused(scheme: str, asked: dict[str, Any], what: str, tmp_path: Path) -> None:
    folder = made(tmp_path, scheme, **asked)
    with pytest.raises(ConfigurationError, match=f"the roster asks for what Flower apps do not do here .{what}.; make"):
        federated(scheme, roster=folder / "gateway")


def test_holders_are_refused_in_terms() -> None:
    facts = Terms("additive", 8, None, ("a", "b", "c"), 1.0, None, "n").facts
    assert Terms.of(facts).facts == facts
    for more in ({"holders": 3}, {"quorum": 2}):
        with pytest.raises(MessageError, match="an order has no terms that can be; look whether both have one version"):
            Terms.of({"terms": facts["terms"] | more})


def test_a_state_that_came_back_begins_no_attempt_again(folders: dict[str, Path]) -> None:
    """A node with a folder writes its attempts down; one without is believed as far as its state goes."""
    for by_roster in (True, False):
        grid = grid_of("ckks", configs=configs(folders["ckks"], "ckks") if by_roster else None)
        noted = Repeating()
        grid.asked = noted
        before = dict(grid.states)
        done = listed(folders, "ckks", grid) if by_roster else federated("ckks", grid)
        grid.states[1] = before[1]
        answer = answer_in(done.grid.deliver(1, noted.last(1, MODEL)))
        assert isinstance(answer, bytes) != by_roster
        if by_roster:
            assert "already took part" in refusal(answer)


def test_a_folder_that_others_may_read_is_refused(tmp_path: Path, said: Said) -> None:
    folder = made(tmp_path, "masked")
    (folder / "bank-2" / "identity.pem").chmod(0o644)
    done = listed({"masked": folder}, "masked")
    assert done.strategy.rounds[0].contributors == ("bank-1", "bank-3")
    assert "open to other users" in said()


def test_a_passphrase_opens_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_certificates(tmp_path / "c", Experiment(scheme="masked"), ["localhost"], passphrase=b"horse")
    grid = grid_of("masked", configs=configs(tmp_path / "c", "masked"))
    with pytest.raises(ConfigurationError, match="needs its passphrase, or another one"):
        federated("masked", grid, roster=tmp_path / "c" / "gateway")
    monkeypatch.setenv("SECURE_FL_PASSPHRASE", "horse")
    again = grid_of("masked", configs=configs(tmp_path / "c", "masked"))
    assert federated("masked", again, roster=tmp_path / "c" / "gateway").strategy.rounds[0].attempts == 1


def test_what_is_written_says_what_travelled(tmp_path: Path) -> None:
    done = federated("ckks", rounds=2)
    done.strategy.write(tmp_path / "out")
    custody = json.loads((tmp_path / "out" / "custody.json").read_text())
    assert custody["scheme"] == "ckks"
    assert len(custody["public_key_sha256"]) == 64
    rounds = json.loads((tmp_path / "out" / "rounds.json").read_text())
    assert [each["contributors"] for each in rounds] == [["bank-1", "bank-2", "bank-3"]] * 2
    lines = [json.loads(line) for line in (tmp_path / "out" / "transcript.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"public_key", "broadcast", "beside", "upload", "decrypt"}
    uploads = [line for line in lines if line["stage"] == "upload" and line["sender"] == "bank-1"]
    assert [line["round"] for line in uploads] == [1, 2]
    sent = sum(len(data) for node, data in done.grid.wire.up if node == 1)
    assert sum(line["bytes"] for line in lines if line["sender"] == "bank-1") == pytest.approx(sent, rel=0.05)
    assert HOLDERS["ckks"] == 1
