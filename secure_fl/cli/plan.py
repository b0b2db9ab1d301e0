"""`secure-fl plan`: what a secure sum would cost."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from secure_fl.cli.words import SCHEMES, number


def plan(
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "ckks",
    banks: Annotated[int, typer.Option(help="How many banks.")] = 3,
    parameters: Annotated[int, typer.Option(help="Length of the vectors to be summed.")] = 10_369,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32.")] = "8",
    threshold: Annotated[int | None, typer.Option(help="Fewest banks whose sum is opened.")] = None,
    robust: Annotated[str, typer.Option(help="A rule that bears byzantine banks, as in run.")] = "none",
    byzantine: Annotated[int | None, typer.Option(help="How many banks may send anything; with --robust.")] = None,
    proofs: Annotated[bool, typer.Option("--proofs", help="Of range, by each bank; with --scheme additive.")] = False,
    group_size: Annotated[int | None, typer.Option(help="Banks of a group with its own sum; with --robust.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a secure sum would cost, or why it cannot work, before anything runs."""
    from secure_fl.cli.summary import print_figures
    from secure_fl.secagg.planning import plan as plan_sum

    checks = {"robust": robust, "byzantine": byzantine, "group_size": group_size, "proofs": proofs}
    if set(checks.values()) == {"none", None, False}:
        figures = plan_sum(scheme, banks, parameters, number(bits), threshold).derived()
    else:
        checks["threshold"] = threshold
        figures = _checked(parameters, scheme=scheme, banks=banks, bits=number(bits), **checks)
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        print_figures(figures)


def _checked(parameters: int, **settings: Any) -> dict[str, Any]:
    from secure_fl.errors import ConfigurationError
    from secure_fl.federation.checked_sums import plan_checked
    from secure_fl.settings import Experiment

    if settings["robust"] == "none" and not (settings["byzantine"] is settings["group_size"] is None):
        raise ConfigurationError("--byzantine and --group-size are for a rule; add --robust, or leave them out")
    experiment = Experiment(**{name: value for name, value in settings.items() if value is not None})
    planned, of_the_rule = plan_checked(experiment, parameters)
    return planned.derived() | of_the_rule
