"""From a customer's files to its scores, by a service: `secure-fl score --encrypted --at`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.special import expit

from secure_fl.data import default_key_path
from secure_fl.errors import ConfigurationError
from secure_fl.files import output_file, output_files
from secure_fl.progress import ShowProgress
from secure_fl.report.scores import Labels, judged, what_was_read, write_json, write_scores
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.scoring.ways import Way
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.scores.customer import Customer
from secure_fl.transport.scores.wire import Wire


@dataclass(frozen=True)
class Asked:
    """What is to be scored, by whom, and where all of it goes."""

    url: str
    certificates: Path
    transactions: Path
    out: Path
    history: Path | None = None
    way: Way | None = None
    """That the service must have; None: whatever it has."""
    json_file: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Answered:
    """Without a transaction in it."""

    plan: ScoringPlan
    figures: Mapping[str, Any]
    rows: int


def score_at(asked: Asked, note: Callable[[str], None], show_progress: ShowProgress) -> Answered:
    """Write the scores as `report.scores.score_file` does, and what they took; what they took.

    `note`: is told what a person should hear. Raises what `Customer` raises; nothing is written then.
    """
    credentials = Credentials.read(asked.certificates, "customer")
    read = (asked.transactions, asked.history, asked.certificates, default_key_path())
    wire = Wire(asked.url, credentials.client_context(), note)
    try:
        with (
            output_file(asked.out, force=asked.force, inputs=read) as staging,
            output_files(asked.json_file, force=asked.force, inputs=(*read, asked.out)) as (json_target,),
            show_progress() as progress,
        ):
            customer = Customer(wire, progress)
            public = customer.public
            _require_way(asked, public.way)
            if asked.history is None and public.intake.needs_history:
                note("without --history nothing is known of the customers' and terminals' past")
            encoded = public.intake.encode(asked.transactions, asked.history)
            scored = customer.score(encoded.features)
            figures = {
                "plan": public.plan.derived() | {"relu_replaced": None},
                **scored.costs,
                "max_abs_error": None,
                "polynomial_scores": None,
                "plain_scores": None,
            }
            write_scores(staging, expit(scored.logits))
            if json_target:
                labels = Labels.read(asked.transactions, public.intake.schema.source)
                said = what_was_read(asked.url, asked.transactions, asked.history, encoded.rows) | {"training": None}
                said |= judged(labels, scored.logits) | {"encrypted": figures, "out": str(asked.out)}
                write_json(json_target, said)
    finally:
        wire.close()
    return Answered(public.plan, figures, len(scored.logits))


def _require_way(asked: Asked, way: Way) -> None:
    if asked.way is not None and asked.way != way:
        raise ConfigurationError(
            f"{asked.url} scores in the way {way!r}, and {asked.way!r} was asked for; leave out --single and "
            "--hide-model, or ask its owner"
        )
