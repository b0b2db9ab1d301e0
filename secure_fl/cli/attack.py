"""`secure-fl attack`: what a curious or lying party learns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from secure_fl.cli.progress import say_start, show_progress
from secure_fl.cli.words import SCHEMES, Force, Json, number, numbers
from secure_fl.errors import ConfigurationError

_REBUILDING = frozenset({"inversion", "split-view"})
_SCENES = _REBUILDING | {"membership"}
ATTACKS = _SCENES | {"audit-epsilon"}
OPTIONS: Mapping[str, frozenset[str]] = {
    "dataset": _SCENES,
    "bits": _SCENES,
    "banks": ATTACKS,
    "trials": _REBUILDING,
    "batches": _REBUILDING,
    "noise_multiplier": frozenset({"inversion"}),
    "epsilons": frozenset({"membership"}),
    "models": frozenset({"membership"}),
    "pools": frozenset({"membership"}),
    "rows": frozenset({"membership"}),
    "epsilon": frozenset({"audit-epsilon"}),
    "runs": frozenset({"audit-epsilon"}),
    "seed": ATTACKS,
}
"""Which attacks an option says something to."""
QUICK: Mapping[str, Mapping[str, Any]] = {
    "inversion": {"trials": 4, "batches": (1, 4)},
    "split-view": {"trials": 2, "batches": (1,)},
    "membership": {"models": 4, "pools": 2, "rows": 60, "epsilons": (float("inf"),)},
    "audit-epsilon": {"runs": 2},
}
"""What is left of an attack where it has to be over in seconds: it shows the way, and its figures say little."""


def attack(
    name: Annotated[str, typer.Argument(metavar="ATTACK", help="inversion, membership, split-view or audit-epsilon.")],
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "plaintext",
    dataset: Annotated[str | None, typer.Option(help="ulb or simulated.  [default: ulb]")] = None,
    bits: Annotated[str | None, typer.Option(help="4 to 24, or float32 (plaintext only, its default).")] = None,
    banks: Annotated[int | None, typer.Option(help="How many banks.  [default: 3]")] = None,
    trials: Annotated[int | None, typer.Option(help="How often to attack a batch size.  [default: 20]")] = None,
    batches: Annotated[str | None, typer.Option(help="Rows of the victim's step.  [default: 1,2,4,8,16]")] = None,
    noise_multiplier: Annotated[
        float | None, typer.Option(help="Inversion: differential privacy in the victim's step.")
    ] = None,
    epsilons: Annotated[str | None, typer.Option(help="Membership: budgets.  [default: inf,3,1]")] = None,
    models: Annotated[int | None, typer.Option(help="Membership: federations a pool.  [default: 10]")] = None,
    pools: Annotated[int | None, typer.Option(help="Membership: pools of records.  [default: 6]")] = None,
    rows: Annotated[int | None, typer.Option(help="Membership: training rows of a bank.  [default: 200]")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Audit: the promise to test.  [default: 3]")] = None,
    runs: Annotated[int | None, typer.Option(help="Audit: trainings on canaries.  [default: 12]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="In seconds, with figures that say little.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeats the choice of victims.")] = None,
    json_file: Json = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page, with rebuilt rows.")] = None,
    force: Force = False,
) -> None:
    """See what a curious aggregator reads from a scheme, or a stranger from the final model."""
    settings = {
        "dataset": dataset,
        "bits": None if bits is None else number(bits),
        "banks": banks,
        "trials": trials,
        "batches": numbers(batches, "--batches"),
        "noise_multiplier": noise_multiplier,
        "epsilons": numbers(epsilons, "--epsilons", float),
        "models": models,
        "pools": pools,
        "rows": rows,
        "epsilon": epsilon,
        "runs": runs,
        "seed": seed,
    }
    given = {option: value for option, value in settings.items() if value is not None}
    require_options(name, given)
    say_start()

    from secure_fl.attacks.command import run_command

    quickly: dict[str, Any] = dict(QUICK[name]) if quick else {}
    run_command(name, scheme, json_file, html, show_progress, force=force, **(quickly | given))


def require_options(attack: str, given: Collection[str]) -> None:
    """Raises `ConfigurationError` for an attack that does not exist, and for options that say nothing to it."""
    if attack not in ATTACKS:
        raise ConfigurationError(f"there is no attack {attack!r}; choose one of {', '.join(sorted(ATTACKS))}")
    strange = [f"--{option.replace('_', '-')}" for option in given if attack not in OPTIONS[option]]
    if strange:
        raise ConfigurationError(
            f"{', '.join(strange)} says nothing to {attack}; leave it out, or choose another attack"
        )
