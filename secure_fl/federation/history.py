"""What a run has come to after some rounds, and the record that is kept of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from secure_fl.data import Standardization
from secure_fl.data.metrics import Scores
from secure_fl.federation.exhibit import without_the_update
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.results import Exhibit, RoundRecord
from secure_fl.federation.rounds import RoundOutcome
from secure_fl.secagg.transcript import Transcript


@dataclass(frozen=True)
class History:
    """The rounds so far, and the model that they led to."""

    standardization: Standardization
    model: GlobalModel
    rounds: tuple[RoundRecord, ...] = ()
    scores: Scores | None = None
    """Of the model; None before the first round."""
    exhibit: Exhibit | None = field(default=None, repr=False)
    """Of the first round."""

    @property
    def next_round(self) -> int:
        return len(self.rounds) + 1

    def after(self, done: RoundOutcome, model: GlobalModel, scores: Scores, record: RoundRecord) -> History:
        """One round later. The first round's exhibit is the one that is shown."""
        exhibit = done.exhibit if self.exhibit is None else self.exhibit
        return replace(self, model=model, rounds=(*self.rounds, record), scores=scores, exhibit=exhibit)


def withheld(done: RoundOutcome) -> RoundOutcome:
    """A round of which only the sum protects single banks: what tells one of them, or the noise, is left out."""
    return replace(done, max_abs_error=None, exhibit=without_the_update(done.exhibit))


def make_record(
    done: RoundOutcome, model: GlobalModel, scores: Scores, transcript: Transcript, epsilon: float | None
) -> RoundRecord:
    """`model`: what the round led to, and `scores` those of it."""
    uploads, downloads = transcript.uploads(done.number), transcript.downloads(done.number)
    banks = sorted({*done.contributors, *done.dropped} & {*uploads, *downloads}, key=list(downloads).index)
    return RoundRecord(
        round=done.number,
        contributors=done.contributors,
        dropped=done.dropped,
        attempts=done.attempts,
        refused=done.refused,
        auprc=scores.auprc,
        roc_auc=scores.roc_auc,
        upload_bytes={name: uploads[name] for name in banks if name in uploads},
        download_bytes={name: downloads[name] for name in banks},
        max_abs_error=done.max_abs_error,
        quantization_step=done.mean.step,
        clipped_fraction=done.clipped_fraction,
        seconds=done.seconds,
        epsilon=epsilon,
        excluded=done.excluded,
        byzantine=done.byzantine,
        model_sha256=model.weights_sha256,
    )
