"""A service of scores and its customers as real processes: what is scored, killed, sent as junk, and left in memory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from secure_fl.progress import Progress, unseen
from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.report.encrypted_scores import ScoringRequest, score_encrypted_file
from secure_fl.scoring import DataOwner, ScoringPlan
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.scoring.ways import Way
from secure_fl.training import Network
from tests.transport.scoring_scene import context, prepare, processes, said_in, scores_in
from tests.transport.test_memory import memory

pytestmark = pytest.mark.slow
SEEDS = range(8)
MUTATIONS = 1_000
"""Of each seed."""


def ended(customer: subprocess.Popen[bytes], seconds: float = 60) -> tuple[int, str, str]:
    out, errors = customer.communicate(timeout=seconds)
    return customer.returncode, out.decode(), errors.decode()


def local(folder: Path, way: Way) -> tuple[np.ndarray, dict[str, Any], float]:
    """Scores, figures and the bound of the same in one process."""
    request = ScoringRequest(
        folder / "model.safetensors", folder / "rows.csv", folder / "local.csv", way=way, json_file=folder / "l.json"
    )
    outcome = score_encrypted_file(request, _unseen)
    return scores_in(folder / "local.csv"), said_in(folder / "l.json"), outcome.plan.error_bound


def _unseen() -> AbstractContextManager[Progress]:
    return nullcontext(unseen)


@pytest.mark.parametrize(("way", "option"), [("batched", ()), ("single", ("--single",)), ("hidden", ("--hide-model",))])
def test_scores_are_those_of_one_process(tmp_path: Path, way: Way, option: tuple[str, ...]) -> None:
    prepare(tmp_path)
    with processes(tmp_path, way) as parties:
        code, out, errors = ended(parties.customer("s", *option))
        assert code == 0, errors
        assert "model owner can read: nothing" in " ".join(out.split())
        assert "s.csv: 300 scores" in out
        if way == "batched":
            code, _, errors = ended(parties.customer("other", "--single"))
            assert (code, "'single' was asked for" in errors) == (2, True)
            assert not (tmp_path / "other.csv").exists()
        assert parties.end() == 0
    scores, figures, bound = local(tmp_path, way)
    found, said = scores_in(tmp_path / "s.csv"), said_in(tmp_path / "s.json")
    assert len(found) == 300
    assert np.abs(found - scores).max() <= 2 * bound / 4 + 1e-8  # a sigmoid is no steeper than 1/4
    assert said.keys() == figures.keys()
    assert said["encrypted"].keys() == figures["encrypted"].keys()
    assert said["scores"]["auprc"] == pytest.approx(figures["scores"]["auprc"], abs=0.01)
    assert said["encrypted"]["max_abs_error"] is said["encrypted"]["plain_scores"] is None


def test_a_service_that_is_killed_in_the_middle_is_asked_again_under_a_new_key(tmp_path: Path) -> None:
    prepare(tmp_path)
    with processes(tmp_path, "single", "answers = 400\n") as parties:
        customer = parties.customer("s")
        parties.wait_for('"event": "answer"', 40)
        parties.kill()
        answered = parties.log.count('"event": "answer"')
        assert answered < 290
        parties.start()
        code, _, errors = ended(customer)
        assert code == 0, errors
        assert "trying again" in errors
        assert parties.log.count('"event": "session"') == 2
        assert parties.log.count('"event": "answer"') <= 301
        count = int((tmp_path / "state" / "answers").read_bytes().split(b"}")[0].split(b":")[1])
        assert 300 <= count <= 302, "what was computed and not heard stays counted"
        code, _, errors = ended(parties.customer("t"))  # the rest is not enough for 300 more
        assert (code, errors.count("gives this customer no more answers")) == (1, 1)
        assert not (tmp_path / "t.csv").exists()
    scores, _, bound = local(tmp_path, "single")
    assert np.abs(scores_in(tmp_path / "s.csv") - scores).max() <= 2 * bound / 4 + 1e-8


def test_health_is_answered_while_keys_are_loaded_and_rows_scored(tmp_path: Path) -> None:
    run = prepare(tmp_path, Network((16, 8), "square"))
    plan = EncryptedModel.read(run.model, None, "single").planned.plan
    owner = DataOwner(plan)
    messages = [("/sessions", owner.keys())]
    messages += [("/scores", request) for request in owner.encrypt(np.zeros((20, plan.features)))]
    with processes(tmp_path, "single") as parties, ThreadPoolExecutor(1) as sender:
        url = f"https://localhost:{parties.port}"
        with (
            httpx2.Client(base_url=url, verify=context(tmp_path), trust_env=False, timeout=60) as client,
            httpx2.Client(base_url=url, verify=context(tmp_path, "other"), trust_env=False, timeout=60) as watcher,
        ):
            sent = [sender.submit(client.post, path, content=content) for path, content in messages]
            waits = []
            while not sent[-1].done():
                asked = time.perf_counter()
                assert watcher.get("/health").status_code == 200
                waits.append(time.perf_counter() - asked)
                time.sleep(0.02)
            assert {each.result().status_code for each in sent} == {200, 204}
    assert len(waits) > 10
    assert max(waits) < 1


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Flipped, cut, put in, or doubled somewhere."""
    place, size = int(rng.integers(len(data))), int(rng.integers(1, 65))
    junk = rng.bytes(size)
    match int(rng.integers(5)):
        case 0:
            return data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :]
        case 1:
            return data[:place]
        case 2:
            return data[:place] + junk + data[place:]
        case 3:
            return data[:place] + junk + data[place + size :]
        case _:
            return data[:place] + data[max(0, place - size) :]


def test_mutated_messages_crash_nothing(tmp_path: Path) -> None:
    """Half of them with an envelope that fits, so that what is inside is looked at; seeds are kept."""
    run = prepare(tmp_path)
    plan = EncryptedModel.read(run.model, None, "single").planned.plan
    with processes(tmp_path, "single") as parties:
        url = f"https://localhost:{parties.port}"
        with httpx2.Client(base_url=url, verify=context(tmp_path), trust_env=False, timeout=60) as client:
            owner = DataOwner(plan)
            keys = owner.keys()
            assert client.post("/sessions", content=keys).status_code == 204
            request = next(owner.encrypt(np.zeros((1, plan.features))))
            seen = {status for seed in SEEDS for status in send_mutations(seed, client, plan, owner, request, keys)}
        assert {200, 400} <= seen <= {200, 400, 409, 410}
        assert parties.service.poll() is None
        assert '"event": "failed"' not in parties.log
        code, _, errors = ended(parties.customer("s"))
        assert code == 0, errors


def send_mutations(
    seed: int, client: httpx2.Client, plan: ScoringPlan, owner: DataOwner, request: bytes, keys: bytes
) -> Iterator[int]:
    """The status of each answer. One in fifty is of keys, which are large."""
    rng = np.random.default_rng(seed)
    for number in range(MUTATIONS):
        path, kind, true = ("/sessions", Kind.KEYS, keys) if number % 50 == 0 else ("/scores", Kind.ROWS, request)
        if number % 2:
            message = mutated(rng, true)
        else:
            batch = seed * MUTATIONS + number + 1
            parts = plan.key_parts if kind == Kind.KEYS else plan.ciphertexts
            opened = open_message(plan, kind, true, session=None, parts=parts)
            inside = [mutated(rng, bytes(part)) for part in opened.parts]
            message = seal(plan, kind, opened.session, batch, opened.rows, inside)
        yield posted(client, path, message)


def posted(client: httpx2.Client, path: str, message: bytes) -> int:
    """The status that is no "come later": so many messages are more than one party may send in a second."""
    while True:
        answer = client.post(path, content=message)
        if answer.status_code != 429:
            return answer.status_code
        time.sleep(float(answer.headers["retry-after"]))


def canaries(columns: np.ndarray) -> list[bytes]:
    """Of the five columns that vary most, 24 rows, in the ways in which numbers lie in memory; and a row of some."""
    most = np.argsort([len(set(column)) for column in columns])[-5:]
    parts = [columns[place, 100:124] for place in most] + [columns[most, 123]]
    assert all(len(set(part)) > len(part) // 2 for part in parts)
    return [part.astype(kind).tobytes() for part in parts for kind in ("<f8", "<f4")]


def held(pid: int, needles: list[bytes]) -> set[bytes]:
    """Those that lie in a process's memory."""
    found: set[bytes] = set()
    for chunk in memory(pid):
        found |= {needle for needle in needles if needle in chunk}
    return found


def test_memory_of_the_service_holds_no_row_and_no_secret_key(tmp_path: Path) -> None:
    """The same search finds them in the customer's, and in the service's what it does know."""
    run = prepare(tmp_path)
    with processes(tmp_path) as parties:
        customer = parties.customer("s", module="tests.transport.telling_customer")
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "scored").exists():
                assert customer.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            secret, features = ((tmp_path / name).read_bytes() for name in ("secret", "features"))
            keys = [secret[place : place + 24] for place in range(256, len(secret) - 24, 4096)]
            rows = canaries(np.frombuffer(features).reshape(-1, 300))
            assert len(keys) > 5
            assert held(customer.pid, keys) == set(keys)
            assert held(customer.pid, rows) & set(rows)
            assert held(parties.service.pid, keys + rows) == set()
            model = EncryptedModel.read(run.model, None, "batched")
            weights = model.planned.network.linears[0].weights[0, :3].tobytes()
            assert held(parties.service.pid, [weights]) == {weights}
        finally:
            customer.kill()
            customer.communicate()
