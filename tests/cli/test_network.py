"""`secure-fl certificates`, `revoke`, `gateway`, `bank`, `key-authority`, `serve-scores`: what they refuse first."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl.__main__ import main

EXPERIMENT = 'dataset = "simulated"\nscheme = "ckks"\nhidden = "none"\n'


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`secure-fl ARGUMENTS` in this process: exit status, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["secure-fl", *map(str, arguments)])
        previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        code: str | int | None = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        said = capsys.readouterr()
        return int(code or 0), said.out, said.err

    return call


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> Path:
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    code, said, _ = run("certificates", tmp_path / "experiment.toml", "--out", tmp_path / "certificates")
    assert code == 0
    assert "key-authority: holder" in said
    assert "ca-key.pem: signs certificates and rosters" in said
    return tmp_path


@pytest.mark.parametrize("scheme", ["ckks", "rlwe"])
def test_certificates_for_an_experimental_scheme_come_with_a_warning(scheme: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "experiment.toml").write_text(f'scheme = "{scheme}"\n')
    code, said, _ = run("certificates", tmp_path / "experiment.toml", "--out", tmp_path / "c")
    warned = "warning: rlwe is experimental: the arithmetic is our own, and nobody has audited it" in said
    assert (code, warned) == (0, scheme == "rlwe")


def test_a_party_is_revoked(folder: Path, run: Run) -> None:
    code, said, _ = run("revoke", "bank-2", "--certificates", folder / "certificates")
    assert (code, "rosters without bank-2" in said) == (0, True)
    code, _, error = run("revoke", "bank-7", "--certificates", folder / "certificates")
    assert (code, error.startswith("error: bank-7 is not in the roster")) == (2, True)


def test_what_networks_do_not_have_is_refused_before_a_certificate_is_made(tmp_path: Path, run: Run) -> None:
    (tmp_path / "experiment.toml").write_text(EXPERIMENT + 'downlink = "sum"\n')
    code, _, error = run("certificates", tmp_path / "experiment.toml", "--out", tmp_path / "c")
    assert (code, "do not do downlink = sum yet" in error) == (2, True)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("command", ["gateway", "bank", "key-authority", "serve-scores"])
@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "cannot be read"),
        ("x = [", "is not valid TOML"),
        ("surprise = 1", "correct it"),
        ('certificates = "c"\ngateway = "http://localhost:1"\nmemory = "m"\nstate = "s"\nout = "o"', "correct it"),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, run: Run, command: str, text: str | None, match: str) -> None:
    if text is not None:
        (tmp_path / "party.toml").write_text(text)
    code, _, error = run(command, "--config", tmp_path / "party.toml")
    assert (code, match in error, error.count("\n")) == (2, True, 1)


def test_a_gateway_says_that_its_port_is_taken(folder: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (folder / "gateway.toml").write_text(f'certificates = "certificates/gateway"\nstate = "state"\nport = {port}\n')
        code, _, error = run("gateway", "--config", folder / "gateway.toml")
    assert (code, "cannot be listened at" in error) == (2, True)


def test_a_party_with_another_s_certificate_is_told(folder: Path, run: Run) -> None:
    (folder / "bank.toml").write_text(
        'certificates = "certificates/key-authority"\ngateway = "https://localhost:1"\nmemory = "m"\nout = "o"\n'
    )
    code, _, error = run("bank", "--config", folder / "bank.toml")
    assert (code, "which is a holder and no bank" in error) == (2, True)


def test_scores_are_served_by_who_has_the_scorer_s_certificate_and_a_model(folder: Path, run: Run) -> None:
    text = 'certificates = "certificates/{}"\nmodel = "model.safetensors"\nstate = "s"\n'
    (folder / "scores.toml").write_text(text.format("gateway"))
    code, _, error = run("serve-scores", "--config", folder / "scores.toml")
    assert (code, "is a gateway and no scorer" in error) == (2, True)
    run("certificates", folder / "experiment.toml", "--out", folder / "more", "--customer", "corner")
    (folder / "scores.toml").write_text(text.format("scorer").replace("certificates/", "more/"))
    code, _, error = run("serve-scores", "--config", folder / "scores.toml")
    assert (code, "model.safetensors" in error, error.count("\n")) == (2, True, 1)
    (folder / "scores.toml").write_text(text.format("scorer") + 'way = "backwards"\n')
    code, _, error = run("serve-scores", "--config", folder / "scores.toml")
    assert (code, "way" in error) == (2, True)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("rows.csv", "--at", "https://localhost:1"), "--at are for --encrypted"),
        (("rows.csv", "--encrypted", "--at", "https://localhost:1"), "give both"),
        (("rows.csv", "--encrypted", "--at", "http://localhost:1", "--certificates", "c"), "give both"),
        (("m", "rows.csv", "--encrypted", "--at", "https://localhost:1", "--certificates", "c"), "TRANSACTIONS alone"),
        (("rows.csv", "--encrypted"), "name MODEL and TRANSACTIONS"),
        (("m", "rows.csv", "--certificates", "c"), "name MODEL and TRANSACTIONS"),
        (("a", "b", "c"), "name MODEL and TRANSACTIONS"),
        (
            (
                "rows.csv",
                "--encrypted",
                "--single",
                "--hide-model",
                "--at",
                "https://localhost:1",
                "--certificates",
                "c",
            ),
            "leave out --single",
        ),
    ],
)
def test_scores_of_a_service_are_asked_for_in_one_way(run: Run, words: tuple[str, ...], match: str) -> None:
    code, _, error = run("score", *words, "--out", "scores.csv")
    assert (code, match in error, error.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(("who", "match"), [("bank-1", "is a bank and no customer"), ("nobody", "is no certificate")])
def test_who_is_no_customer_is_told_before_anything_is_sent(folder: Path, run: Run, who: str, match: str) -> None:
    words = ("rows.csv", "--encrypted", "--at", "https://localhost:1", "--out", folder / "scores.csv")
    code, _, error = run("score", *words, "--certificates", folder / "certificates" / who)
    assert (code, match in error, error.count("\n")) == (2, True, 1)
