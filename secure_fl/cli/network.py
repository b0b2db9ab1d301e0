"""`secure-fl gateway | bank | key-authority | serve-scores | certificates | revoke`: parties as processes."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[Path, typer.Option("--config", help="The party's TOML file.")]


def certificates(
    experiment: Annotated[Path, typer.Argument(help="The experiment.toml that all parties run.")],
    out: Annotated[Path, typer.Option(help="A new folder for the certificates.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address of the gateway and the scorer; by default this machine's own."),
    ] = None,
    customer: Annotated[
        list[str] | None,
        typer.Option(help="Who may ask `secure-fl serve-scores`; makes a folder for it, and one for the scorer."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long they hold.")] = 30,
) -> None:
    """Make a sandbox's certificates: an authority, and a folder for each party, with a signed roster.

    SECURE_FL_PASSPHRASE in the environment encrypts the parties' own keys.
    """
    from secure_fl.report.wording import experimental_text
    from secure_fl.settings import Experiment
    from secure_fl.transport.agreement import Agreement
    from secure_fl.transport.certificates import make_certificates

    settings = Experiment.from_toml(experiment)
    Agreement(settings)  # refused now, and not when all are there
    passphrase = os.environ.get("SECURE_FL_PASSPHRASE")
    secret = passphrase.encode() if passphrase else None
    roster = make_certificates(out, settings, host or ["localhost", "127.0.0.1"], days, secret, customer or ())
    for member in roster.members:
        typer.echo(f"{out / member.name}: {member.role}")
    if untried := experimental_text(settings.scheme):
        typer.echo(f"warning: {untried}")
    typer.echo(f"{out / 'ca-key.pem'}: signs certificates and rosters; keep it away from all of them")


def revoke(
    name: Annotated[str, typer.Argument(help="The party that is to be left out, such as bank-2.")],
    folder: Annotated[Path, typer.Option("--certificates", help="The folder that `secure-fl certificates` made.")],
) -> None:
    """Take a party's certificate out of the signed roster: it gets through no gateway that has the new one."""
    from secure_fl.transport.certificates import revoke as take_out

    take_out(folder, name)
    typer.echo(f"{folder}: rosters without {name}; give each party its own, and start gateway and parties with them")


def gateway(config: Config) -> None:
    """Serve a federation as its aggregator, until it is over."""
    from secure_fl.transport.configuration import GatewayFile
    from secure_fl.transport.starting_gateway import run_gateway

    log_lines()
    state = run_gateway(GatewayFile.read(config))
    typer.echo(f"round {state.round} is finished; the banks have the model")


def bank(config: Config) -> None:
    """Take part in a federation as a bank, until it is over."""
    from secure_fl.transport.configuration import BankFile
    from secure_fl.transport.starting_party import run_bank

    log_lines()
    file = BankFile.read(config)
    epsilon = run_bank(file)
    typer.echo(f"{file.out / 'model.safetensors'}: the model")
    if epsilon is not None:
        typer.echo(
            f"epsilon {epsilon:.3f} is spent on this bank's rows here; `secure-fl ledger show` says what for life"
        )


def key_authority(config: Config) -> None:
    """Take part in a federation as a key holder, until it is over."""
    from secure_fl.transport.configuration import PartyFile
    from secure_fl.transport.starting_party import run_holder

    log_lines()
    run_holder(PartyFile.read(config))


def serve_scores(config: Config) -> None:
    """Score encrypted rows for customers, until the process is ended: the model's owner sees no row and no score."""
    from secure_fl.transport.configuration import ScoresFile
    from secure_fl.transport.scores.starting import serve_scores as serve

    log_lines()
    serve(ScoresFile.read(config))


_ORDINARY = set(vars(logging.makeLogRecord({})))


class _Lines(logging.Formatter):
    """A JSON object a line: time, level, what happened, and facts that are no payload."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: value for name, value in vars(record).items() if name not in _ORDINARY}
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        return json.dumps(line | facts, default=str)


def log_lines() -> None:
    """The package's own log on stderr, and warnings of what serves its pages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name, level in (("secure_fl", logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
