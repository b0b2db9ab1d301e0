"""`secure-fl attack`: what a curious or lying party learns, and what banks that poison do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from secure_fl.cli.progress import say_start, show_progress
from secure_fl.cli.words import SCHEMES, Force, Json, number, numbers
from secure_fl.errors import ConfigurationError

_REBUILDING = frozenset({"inversion", "split-view"})
_SCENES = _REBUILDING | {"membership"}
_POISONING = frozenset({"poisoning"})
_DATA = _SCENES | _POISONING
ATTACKS = _DATA | {"audit-epsilon"}
OPTIONS: Mapping[str, frozenset[str]] = {
    "dataset": _DATA,
    "bits": _DATA,
    "banks": ATTACKS,
    "trials": _REBUILDING,
    "batches": _REBUILDING,
    "holders": frozenset({"split-view"}),
    "quorum": frozenset({"split-view"}),
    "witnesses": frozenset({"split-view"}),
    "noise_multiplier": frozenset({"inversion"}),
    "epsilons": frozenset({"membership"}),
    "models": frozenset({"membership"}),
    "pools": frozenset({"membership"}),
    "rows": frozenset({"membership"}),
    "epsilon": frozenset({"audit-epsilon"}),
    "runs": frozenset({"audit-epsilon"}),
    "rounds": frozenset({"membership", "poisoning"}),
    "rules": _POISONING,
    "attacks": _POISONING,
    "byzantine": _POISONING,
    "seeds": _POISONING,
    "seed": ATTACKS,
}
"""Which attacks an option says something to."""
QUICK: Mapping[str, Mapping[str, Any]] = {
    "inversion": {"trials": 4, "batches": (1, 4)},
    "split-view": {"trials": 2, "batches": (1,)},
    "membership": {"models": 4, "pools": 2, "rows": 60, "epsilons": (float("inf"),)},
    "audit-epsilon": {"runs": 2},
    "poisoning": {
        "dataset": "simulated",
        "rules": ("none", "median", "multi-krum"),
        "attacks": ("sign-flip", "backdoor"),
        "byzantine": (0, 2),
    },
}
"""What is left of an attack where it has to be over in seconds: it shows the way, and its figures say little."""

Name = Annotated[
    str, typer.Argument(metavar="ATTACK", help="inversion, membership, split-view, audit-epsilon or poisoning.")
]
Rounds = Annotated[int | None, typer.Option(help="Membership, poisoning: of a federation.  [default: 15; 5]")]
Rules = Annotated[
    str | None,
    typer.Option(
        help="Poisoning: see run --robust; none is the mean.  "
        "[default: none,median,trimmed-mean,norm-clip,multi-krum,rfa]"
    ),
]
Attacks = Annotated[
    str | None,
    typer.Option(help="Poisoning: see run --attack, @ strength.  [default: sign-flip,a-little@1.5,backdoor]"),
]
_READ: Mapping[str, Callable[[str], Any]] = {
    "bits": number,
    "batches": lambda text: numbers(text, "--batches"),
    "epsilons": lambda text: numbers(text, "--epsilons", float),
    "byzantine": lambda text: numbers(text, "--byzantine"),
    "rules": lambda text: tuple(text.split(",")),
    "attacks": lambda text: tuple(text.split(",")),
}
"""What options of several words or numbers mean."""


def attack(
    name: Name,
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "plaintext",
    dataset: Annotated[str | None, typer.Option(help="ulb or simulated.  [default: ulb]")] = None,
    bits: Annotated[str | None, typer.Option(help="4 to 24, or float32 (plaintext only, its default).")] = None,
    banks: Annotated[int | None, typer.Option(help="How many banks.  [default: 3; poisoning: 10]")] = None,
    trials: Annotated[int | None, typer.Option(help="How often to attack a batch size.  [default: 20]")] = None,
    batches: Annotated[str | None, typer.Option(help="Rows of the victim's step.  [default: 1,2,4,8,16]")] = None,
    holders: Annotated[int | None, typer.Option(help="Split view: how many hold what opens a sum.")] = None,
    quorum: Annotated[int | None, typer.Option(help="Split view: how many of the holders open one.")] = None,
    witnesses: Annotated[int | None, typer.Option(help="Split view: how many vouch to a key authority.")] = None,
    noise_multiplier: Annotated[
        float | None, typer.Option(help="Inversion: differential privacy in the victim's step.")
    ] = None,
    epsilons: Annotated[str | None, typer.Option(help="Membership: budgets.  [default: inf,3,1]")] = None,
    models: Annotated[int | None, typer.Option(help="Membership: federations a pool.  [default: 10]")] = None,
    pools: Annotated[int | None, typer.Option(help="Membership: pools of records.  [default: 6]")] = None,
    rows: Annotated[int | None, typer.Option(help="Membership: training rows of a bank.  [default: 200]")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Audit: the promise to test.  [default: 3]")] = None,
    runs: Annotated[int | None, typer.Option(help="Audit: trainings on canaries.  [default: 12]")] = None,
    rounds: Rounds = None,
    rules: Rules = None,
    attacks: Attacks = None,
    byzantine: Annotated[str | None, typer.Option(help="Poisoning: attackers.  [default: 0,1,2,3]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Poisoning: federations of each kind.  [default: 1]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="In seconds, with figures that say little.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeats the choice of victims.")] = None,
    json_file: Json = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page, with rebuilt rows.")] = None,
    force: Force = False,
) -> None:
    """See what a curious aggregator reads, what a stranger reads from the final model, or what poisoning banks do."""
    said = {option: value for option, value in locals().items() if option in OPTIONS and value is not None}
    given = {option: _READ[option](value) if option in _READ else value for option, value in said.items()}
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
