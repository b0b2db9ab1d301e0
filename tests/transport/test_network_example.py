"""examples/network: its files are ones that the commands read, and its demo ends as it says."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from secure_fl.settings import Experiment
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.certificates import SCORER
from secure_fl.transport.configuration import BankFile, GatewayFile, PartyFile, ScoresFile
from tests.cli.test_options import parsed

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples" / "network"
UNITS = sorted((HERE / "systemd").iterdir())
FILES: dict[str, type[GatewayFile | PartyFile]] = {
    "gateway": GatewayFile,
    "key-authority": PartyFile,
    "bank-1": BankFile,
    "bank-2": BankFile,
    "bank-3": BankFile,
}


def test_every_party_of_the_experiment_has_a_file_that_names_its_own_folders() -> None:
    agreed = Agreement(Experiment.from_toml(HERE / "experiment.toml"))
    assert set(FILES) == {"gateway", *agreed.banks, *agreed.scheme.trustees}
    for name, kind in FILES.items():
        file = kind.read(HERE / f"{name}.toml")
        assert file.certificates == HERE / "certificates" / name
        if isinstance(file, PartyFile):
            assert file.memory == HERE / "memory" / name
            assert file.gateway == f"https://localhost:{GatewayFile.read(HERE / 'gateway.toml').port}"


def test_the_file_for_scores_names_the_scorer_s_folder_and_a_bank_s_model() -> None:
    file = ScoresFile.read(HERE / "scores.toml")
    assert (file.certificates, file.model) == (HERE / "certificates" / SCORER, HERE / "out/bank-1/model.safetensors")
    assert file.port != GatewayFile.read(HERE / "gateway.toml").port


def test_each_container_is_given_its_own_party_s_secrets_alone() -> None:
    services = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]
    assert set(services) == set(FILES)
    for name, service in services.items():
        command = {"gateway": "gateway", "key-authority": "key-authority"}.get(name, "bank")
        assert service["command"] == [command, "--config", f"{name}.toml"]
        mounted = [volume.split(":")[0] for volume in service["volumes"]]
        assert f"./certificates/{name}" in mounted
        assert [path for path in mounted if path.endswith((*FILES.keys() - {name},))] == []


def test_containers_and_units_call_commands_that_there_are_with_options_that_they_have() -> None:
    called = [
        service["command"] for service in yaml.safe_load((HERE / "compose.yaml").read_text())["services"].values()
    ]
    called += [re.findall(r"^ExecStart=\S+/secure-fl (.*)$", unit.read_text(), re.M)[0].split() for unit in UNITS]
    for arguments in called:
        words, given = parsed(arguments)
        assert words == (arguments[0],)
        assert str(given["config"]) == arguments[-1]
    with pytest.raises(click.UsageError):
        parsed(["gateway", "--configuration", "gateway.toml"])


def test_the_image_is_made_of_the_package_and_of_nobody_s_keys() -> None:
    """Certificates of all parties lie in the repository's folder, where people follow the walk-through."""
    lines = [line.split() for line in (HERE / "Dockerfile").read_text().splitlines()]
    copied = [name for line in lines if line[:1] in (["COPY"], ["ADD"]) for name in line[1:-1]]
    assert sorted(copied) == ["LICENSE", "README.md", "constraints.txt", "pyproject.toml", "secure_fl"]
    assert all((ROOT / name).exists() for name in copied)
    assert ["ENTRYPOINT", '["secure-fl"]'] in lines


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_run_a_command_of_ours_as_nobody_special(unit: Path) -> None:
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(unit)
    service = read["Service"]
    _, command, option, file = service["ExecStart"].split()
    assert (command in unit.name, option, file.endswith(".toml")) == (True, "--config", True)
    assert (service["UMask"], service["LimitCORE"], service["User"]) == ("0077", "0", "secure-fl")


@pytest.mark.slow
def test_the_demo_ends_with_the_weights_of_the_run_in_one_process() -> None:
    before = sorted(HERE.rglob("*"))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, str(HERE / "demo.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "3 banks have the weights of the run in one process, bit for bit"
    assert [f"round {number} is finished" in ended.stdout for number in range(4)] == [True] * 4
    assert sorted(HERE.rglob("*")) == before
