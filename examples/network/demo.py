"""A federation whose parties are processes of their own, on loopback, beside the same one in one process.

    make demo-network

Certificates, keys and states lie in a temporary folder. It ends well where both have the same weights, bit for bit.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from secure_fl import Experiment, run_federation
from secure_fl.training import usual_learner

HERE = Path(__file__).parent
SECURE_FL = [sys.executable, "-m", "secure_fl"]
PARTIES = {
    "gateway": "gateway",
    "key-authority": "key-authority",
    **dict.fromkeys(("bank-1", "bank-2", "bank-3"), "bank"),
}


def main() -> None:
    settings = Experiment.from_toml(HERE / "experiment.toml")
    print("in one process:")
    expected = run_federation(settings).model.weights
    print(f"  {settings.rounds} rounds of {settings.scheme} on {settings.dataset}, {len(expected):,} weights")
    with tempfile.TemporaryDirectory(prefix="secure-fl-network-") as name:
        folder = Path(name)
        prepare(folder)
        found = federate(folder, settings)
    if not all((weights == expected).all() for weights in found.values()):
        sys.exit("error: the weights differ; please report this")
    print(f"{len(found)} banks have the weights of the run in one process, bit for bit")


def prepare(folder: Path) -> None:
    """The files of this folder, certificates, and a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    for path in HERE.glob("*.toml"):
        (folder / path.name).write_text(path.read_text().replace("8443", port))
    command = [*SECURE_FL, "certificates", "experiment.toml", "--out", "certificates"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  its own words


def federate(folder: Path, settings: Experiment) -> dict[str, np.ndarray]:
    """Start all parties, and wait until they have ended; each bank's weights."""
    print(f"as {len(PARTIES)} processes, over TLS 1.3:")
    with ExitStack() as stack:
        running = {name: start(name, folder, stack) for name in PARTIES}
        watch(folder, running)
    learner = usual_learner(settings)
    names = learner.restore(learner.initial(0)).state_dict()
    models = {bank: load_file(folder / "out" / bank / "model.safetensors") for bank in settings.bank_names}
    return {bank: np.concatenate([model[name].reshape(-1) for name in names]) for bank, model in models.items()}


def start(name: str, folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    command = [*SECURE_FL, PARTIES[name], "--config", str(folder / f"{name}.toml")]
    process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
    stack.callback(process.wait)
    stack.callback(process.kill)  # no matter for one that has ended
    return process


def watch(folder: Path, running: dict[str, subprocess.Popen[bytes]], seconds: float = 600) -> None:
    """Say each round, until all have ended. Ends the demo where a party failed, or nothing comes of it."""
    said, deadline = 0, time.monotonic() + seconds
    pages = set[str]()
    while any(process.poll() is None for process in running.values()):
        log = (folder / "gateway.log").read_text()
        rounds = re.findall(r'"round finished", "round": (\d+)', log)
        for page in set(re.findall(r'"status page", "url": "(.+?)"', log)) - pages:
            pages.add(page)
            print(f"  status page: {page}")
        for number in rounds[said:]:
            print(f"  round {number} is finished" + ("" if int(number) else ": how features are scaled"))
        said = len(rounds)
        failed = [name for name, process in running.items() if process.poll() not in (None, 0)]
        if failed or time.monotonic() > deadline:
            shutil.copyfileobj((folder / f"{(failed or ['gateway'])[0]}.log").open(), sys.stderr)
            sys.exit(f"error: {', '.join(failed) or 'the federation'} did not end well; its log stands above")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
