"""The example app under Flower's own processes: in a simulation, and over SuperLink and SuperNodes with TLS."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("flwr", reason="needs the extra flower")
pytest.importorskip("torch")

from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg
from safetensors.numpy import load_file

from secure_fl.secagg.masked import wire
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.flower import SecureStrategy
from secure_fl.transport.orders import MODEL
from tests.transport.flower_grid import MemoryGrid, order_of, simulated
from tests.transport.flower_processes import APP, TLS_1_3, Flower, flower, free_port, node_key

Arrays = Mapping[str, NDArray[Any]]
KILLED_AT = {"ckks": MODEL, "masked": wire.MASKED_INPUT}
SIMULATION = "insecure = true\noptions.num-supernodes = {nodes}\noptions.backend.client-resources.num-cpus = 1"


@cache
def in_memory(scheme: str, killed_at: str = "") -> dict[str, NDArray[Any]]:
    """The app over a grid in this process: what all others must come to, bit for bit.

    `killed_at`: the order, or the stage, of round 2 that bank-3 does not live to see.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(APP))
        app, task = import_module("cardfraud.client_app").app, import_module("cardfraud.task")
        model = task.make_model()
    grid = MemoryGrid(app, simulated(3 + (scheme == "ckks")), run_config={"banks": 3})
    strategy = SecureStrategy(
        FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2),
        scheme, most_examples=8192, clip=4.0, wait_seconds=0.0,
    )  # fmt: skip

    def asked(grid: MemoryGrid, node: int, message: Any) -> Any:
        order = order_of(message)
        if len(strategy.rounds) == 1 and killed_at in (order.kind, order.facts.get("stage")):
            grid.gone.add(3)
        return message

    grid.asked = asked
    result = strategy.start(grid, ArrayRecord(model.state_dict()), num_rounds=2)
    return {name: array.numpy() for name, array in result.arrays.items()}


def written(out: Path) -> tuple[list[Any], dict[str, Any], dict[str, NDArray[Any]]]:
    """Rounds, custody and model."""
    arrays = load_file(out / "model.safetensors")
    return json.loads((out / "rounds.json").read_text()), json.loads((out / "custody.json").read_text()), arrays


def same(one: Arrays, other: Arrays) -> bool:
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_simulation_by_flwr_run_comes_to_the_same_model() -> None:
    """Two runs at once, on one SuperLink each: they wait for Flower's polls most of the time."""
    with flower(SIMULATION.format(nodes=4)) as four, flower(SIMULATION.format(nodes=3)) as three:
        runs = []
        for here, scheme in ((four, "ckks"), (three, "masked")):
            here.superlink("--insecure", "--simulation")
            runs.append((here, scheme, here.run("run", scheme=scheme, out=str(here.folder / "out"))))
        for here, scheme, run in runs:
            assert run.wait(120) == 0, here.log("run")
            rounds, custody, model = written(here.folder / "out")
            assert [each["contributors"] for each in rounds] == [["bank-1", "bank-2", "bank-3"]] * 2
            assert custody["scheme"] == scheme
            assert "came through the SuperLink" in custody["assumptions"][0]
            assert same(model, in_memory(scheme))


class Deployed:
    """A SuperLink with TLS 1.3 and node authentication, a SuperNode for each party of a roster, and a run."""

    def __init__(self, here: Flower, scheme: str, certificates: Path) -> None:
        self.here, self.scheme, self._certificates = here, scheme, certificates
        self._openssl = here.folder / "openssl.cnf"
        self._openssl.write_text(TLS_1_3)
        gateway = certificates / "gateway"
        here.superlink(
            "--ssl-ca-certfile", str(gateway / "ca.pem"), "--ssl-certfile", str(gateway / "certificate.pem"),
            "--ssl-keyfile", str(gateway / "key.pem"), "--enable-supernode-auth", OPENSSL_CONF=str(self._openssl),
        )  # fmt: skip
        names = ("bank-1", "bank-2", "bank-3", *(["key-authority"] if scheme == "ckks" else []))
        self.tls_1_2 = speaks(here.port, certificates / "ca.pem", ssl.TLSVersion.TLSv1_2)
        self.tls_1_3 = speaks(here.port, certificates / "ca.pem", ssl.TLSVersion.TLSv1_3)
        self.nodes = {name: self._node(number, name) for number, name in enumerate(names)}
        self.run = here.run("run", scheme=scheme, out=str(here.folder / "out"), roster=str(gateway))

    def _node(self, number: int, name: str) -> Any:
        key = node_key(self.here.folder, name)
        self.here.command("flwr", "supernode", "register", f"{key}.pub", "here")
        return self.here.start(
            name, "flower-supernode", "--superlink", f"127.0.0.1:{self.here.port}", "--port", str(free_port()),
            "--root-certificates", str(self._certificates / "ca.pem"), "--auth-supernode-private-key", str(key),
            "--node-config", f'partition-id={number} secure-fl-folder="{self._certificates / name}"',
            OPENSSL_CONF=str(self._openssl),
        )  # fmt: skip


def speaks(port: int, authority: Path, version: ssl.TLSVersion) -> bool:
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            context.wrap_socket(plain, server_hostname="localhost").close()
        except ssl.SSLError:
            return False
    return True


def deployed(stack: ExitStack, scheme: str, folder: Path) -> Deployed:
    certificates = folder / scheme
    make_certificates(certificates, Experiment(scheme=scheme), ["localhost", "127.0.0.1"])
    here = stack.enter_context(flower(f'root-certificates = "{certificates / "ca.pem"}"'))
    return Deployed(here, scheme, certificates)


@pytest.mark.slow
def test_nodes_with_tls_authentication_and_a_roster_survive_a_kill(tmp_path: Path) -> None:
    """Each party a SuperNode, and bank-3's is killed in the second round. Both at once, as above."""
    with ExitStack() as stack:
        both = [deployed(stack, scheme, tmp_path) for scheme in ("ckks", "masked")]
        assert [(one.tls_1_2, one.tls_1_3) for one in both] == [(False, True)] * 2
        with ThreadPoolExecutor() as pool:
            list(pool.map(kill_in_round_2, both))
        for one in both:
            assert one.run.wait(300) == 0, one.here.log("run")
            rounds, custody, model = written(one.here.folder / "out")
            assert [each["contributors"] for each in rounds] == [["bank-1", "bank-2", "bank-3"], ["bank-1", "bank-2"]]
            assert list(rounds[1]["left_out"]) == ["bank-3"]
            assert "by a roster that the federation's authority signed" in custody["assumptions"][0]
            assert same(model, in_memory(one.scheme, KILLED_AT[one.scheme]))


def kill_in_round_2(one: Deployed) -> None:
    """Under ckks before bank-3 hears of the round. Under masked it has shared keys, and is in others' masks.

    A node hears of what comes next within 3 s, and takes as long to answer: there is time to kill it.
    """
    if one.scheme == "masked":
        hello, before = 1, wire.STAGES.index(KILLED_AT["masked"])
        one.here.wait_for("Sent successfully", "bank-3", 200, hello + len(wire.STAGES) + before)
    else:
        one.here.wait_for("round 1: secure mean of", "run", 200)
    one.here.kill(one.nodes["bank-3"])
