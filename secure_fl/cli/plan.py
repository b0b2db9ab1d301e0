"""`secure-fl plan`: what a secure sum would cost, or scoring encrypted rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from secure_fl.cli.words import SCHEMES, number, typed
from secure_fl.errors import ConfigurationError

_OF_SCORES = {"score", "training", "single", "hide_model", "as_json"}


def plan(
    ctx: typer.Context,
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "ckks",
    banks: Annotated[int, typer.Option(help="How many banks.")] = 3,
    parameters: Annotated[int, typer.Option(help="Length of the vectors to be summed.")] = 10_369,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32.")] = "8",
    threshold: Annotated[int | None, typer.Option(help="Fewest banks whose sum is opened.")] = None,
    holders: Annotated[int | None, typer.Option(help="How many hold what opens a sum: additive, ckks, bfv.")] = None,
    quorum: Annotated[int | None, typer.Option(help="How many holders open a sum; by default a majority.")] = None,
    witnesses: Annotated[int, typer.Option(help="How many vouch to a key authority for what it opens.")] = 0,
    robust: Annotated[str, typer.Option(help="A rule that bears byzantine banks, as in run.")] = "none",
    byzantine: Annotated[int | None, typer.Option(help="How many banks may send anything; with --robust.")] = None,
    proofs: Annotated[bool, typer.Option("--proofs", help="Of range, by each bank; with --scheme additive.")] = False,
    group_size: Annotated[int | None, typer.Option(help="Banks of a group with its own sum; with --robust.")] = None,
    score: Annotated[
        Path | None, typer.Option(help="A model.safetensors: plan scores of encrypted rows, and no sum.")
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="Transactions of the model's owner, for a model with ReLU; with --score.")
    ] = None,
    single: Annotated[bool, typer.Option("--single", help="One row at a time; with --score.")] = False,
    hide_model: Annotated[
        bool, typer.Option("--hide-model", help="With room to drown what answers tell of the weights; with --score.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a secure sum, or scoring encrypted rows, would cost, or why it cannot work, before anything runs."""
    _require_one_plan(ctx, score)
    from secure_fl.cli.summary import print_figures
    from secure_fl.secagg.planning import plan as plan_sum

    checks = {"robust": robust, "byzantine": byzantine, "group_size": group_size, "proofs": proofs}
    if score is not None:
        figures = _of_scores(score, training, single, hide_model)
    elif set(checks.values()) == {"none", None, False}:
        planned = plan_sum(
            scheme, banks, parameters, number(bits), threshold, holders=holders, quorum=quorum, witnesses=witnesses
        )
        figures = planned.derived()
    else:
        checks |= {"threshold": threshold, "holders": holders, "quorum": quorum, "witnesses": witnesses}
        figures = _checked(parameters, scheme=scheme, banks=banks, bits=number(bits), **checks)
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        print_figures(figures)


def _require_one_plan(ctx: typer.Context, score: Path | None) -> None:
    """Options of sums and of scores do not go together. Raises `ConfigurationError`."""
    if score is not None and typed(ctx) - _OF_SCORES:
        raise ConfigurationError("--score plans scores, and the other options are for sums; leave one or the other out")
    if score is None and typed(ctx) & _OF_SCORES - {"as_json"}:
        raise ConfigurationError(
            "--training, --single and --hide-model are for the plan of scores; add --score, or leave them out"
        )


def _of_scores(model: Path, training: Path | None, single: bool, hide_model: bool) -> dict[str, Any]:
    from secure_fl.report.encrypted_model import EncryptedModel
    from secure_fl.report.encrypted_scores import way_of

    return EncryptedModel.read(model, training, way_of(single=single, hide_model=hide_model)).derived()


def _checked(parameters: int, **settings: Any) -> dict[str, Any]:
    from secure_fl.federation.checked_sums import plan_checked
    from secure_fl.settings import Experiment

    if settings["robust"] == "none" and not (settings["byzantine"] is settings["group_size"] is None):
        raise ConfigurationError("--byzantine and --group-size are for a rule; add --robust, or leave them out")
    experiment = Experiment(**{name: value for name, value in settings.items() if value is not None})
    planned, of_the_rule = plan_checked(experiment, parameters)
    return planned.derived() | of_the_rule
