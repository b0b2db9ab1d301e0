"""START HERE: federated training with a secure sum in every round.

    broadcast the model -> each bank trains locally -> update = new - old weights, one flat vector
      -> quantize (with the number of examples, which stays hidden in the sum) -> the scheme's client half -> bytes
      -> the scheme's server half -> the exact sum -> the mean update -> apply -> evaluate -> record

Round 0 uses the same secure sum for the statistics that the features need, so that the banks agree on one
standardization, and on the mean number of examples per bank, without showing each other either.

FedAvg: McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", AISTATS 2017. Here every bank takes part in every round, unless it drops out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from secure_fl.aggregation import SecureAggregation
from secure_fl.bank import Bank
from secure_fl.baselines import train_baselines
from secure_fl.data import Examples, FeatureSchema, Moments, Standardization, encode
from secure_fl.datasets import Dataset, open_dataset
from secure_fl.digits import FixedPointCodec
from secure_fl.exhibit import Overheard, make_exhibit
from secure_fl.experiment import Experiment
from secure_fl.global_model import GlobalModel, LastSum
from secure_fl.metrics import Scores, require_both_classes
from secure_fl.quantization import CLIP_RANGE, Contribution, FloatVector, MeanUpdate, make_codec, next_clip
from secure_fl.results import Exhibit, Model, Result, RoundRecord, Seconds
from secure_fl.secagg.protocol import Outcome, Transcript, Values
from secure_fl.training import evaluate, initial_weights, usable_device

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def run_federation(experiment: Experiment, progress: Progress = lambda what, done, total: None) -> Result:
    """Train one model across the banks of an experiment, and the baselines beside it."""
    usable_device(experiment.device)
    weights = initial_weights(experiment.seed)
    aggregation = _prepare(experiment, len(weights))  # refuses what cannot work before any data is touched

    progress("transactions", 0, 1)
    dataset = open_dataset(experiment)
    banks = tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))
    standardization, mean_examples = agree_on_statistics(aggregation, banks)
    schema = FeatureSchema.create(dataset.banks[0].train.schema, standardization, dataset.key)
    for bank in banks:
        bank.adopt(schema)
    test = _pooled_test(dataset, schema)
    require_both_classes(test.fraud)
    progress("transactions", 1, 1)

    model = GlobalModel(weights, experiment.initial_clip or _first_clip(experiment, mean_examples), mean_examples)
    broadcast = model.to_bytes()
    rounds: list[RoundRecord] = []
    exhibits: list[Exhibit] = []
    for number in range(1, experiment.rounds + 1):
        progress("rounds", number - 1, experiment.rounds)
        done = run_round(aggregation, banks, model, broadcast, number)
        model = model.updated(done.mean, next_clip(done.mean.update, model.clip, done.clipped_fraction))
        broadcast = (
            done.last_sum.to_bytes(aggregation.plan, model) if experiment.downlink == "sum" else model.to_bytes()
        )
        scores = evaluate(model.weights, test)
        rounds.append(_record(done, scores, aggregation.transcript))
        exhibits.append(done.exhibit)
    progress("rounds", experiment.rounds, experiment.rounds)

    local, central = train_baselines(experiment, banks, test, lambda n: progress("baselines", n, len(banks) + 1))
    return Result(
        experiment=experiment.with_key_check(dataset.key_check).model_dump(mode="json", exclude_none=True),
        rounds=tuple(rounds),
        final=scores,
        local=local,
        central=central,
        custody=aggregation.scheme.custody,
        exhibit=exhibits[0],
        data=dataset.summary(),
        parameters=len(weights),
        model=Model(model.weights, schema.to_dict()),
        transcript=tuple(aggregation.transcript.deliveries),
    )


def agree_on_statistics(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    """Round 0: means and deviations over all banks, and the mean number of examples per bank, by a secure sum."""
    statistics = {bank.name: bank.statistics() for bank in banks}
    bits = aggregation.plan.bits
    codec = FixedPointCodec(len(statistics[banks[0].name]), bits or 8)
    cohort = aggregation.cohort(0, codec.length, context=b"statistics")
    clients = {}
    for name, vector in statistics.items():
        fields = codec.encode(vector)
        clients[name] = aggregation.client(cohort, name, fields if bits else fields.astype(np.float32))
    outcome = aggregation.sum(cohort, clients)
    total = Moments.from_vector(codec.decode(np.rint(outcome.sum.total).astype(np.int64), len(banks)))
    standardization = Standardization.from_moments(total)
    aggregation.broadcast(cohort, np.array([standardization.mean, standardization.std]).tobytes())
    return standardization, total.count / len(banks)


@dataclass(frozen=True)
class RoundOutcome:
    """A round before its model is evaluated."""

    number: int
    last_sum: LastSum
    mean: MeanUpdate
    contributors: tuple[str, ...]
    dropped: tuple[str, ...]
    max_abs_error: float
    clipped_fraction: float
    seconds: Seconds
    exhibit: Exhibit


def run_round(
    aggregation: SecureAggregation, banks: tuple[Bank, ...], model: GlobalModel, broadcast: bytes, number: int
) -> RoundOutcome:
    """One round of FedAvg with a secure sum; `broadcast` is how the model reaches the banks."""
    codec = model.codec(aggregation.plan)
    cohort = aggregation.cohort(number, codec.length, context=model.digest)
    received = aggregation.broadcast(cohort, broadcast)

    started = time.perf_counter()
    contributions = {}
    for bank in banks:
        bank.receive(cohort, received[bank.name])
        contributions[bank.name] = bank.train(number)
    train_seconds = time.perf_counter() - started

    values: dict[str, Values] = {}
    encode_seconds: dict[str, float] = {}
    for bank in banks:
        started = time.perf_counter()
        values[bank.name] = bank.encode(contributions[bank.name], cohort.plan, number)
        encode_seconds[bank.name] = time.perf_counter() - started
    clients = {name: aggregation.client(cohort, name, vector) for name, vector in values.items()}
    speaking = [name for name in clients if name not in aggregation.dropping(number)] or list(clients)
    overheard = Overheard(clients[speaking[0]], cohort, speaking[0], aggregation.scheme.input_stage)
    clients[speaking[0]] = overheard
    outcome = aggregation.sum(cohort, clients)

    started = time.perf_counter()
    mean = codec.decode(outcome.sum.total, len(outcome.sum.contributors))
    decode_seconds = time.perf_counter() - started
    contributors = tuple(name for name in cohort.banks if name in outcome.sum.contributors)
    for bank in banks:
        if bank.name in contributors:
            bank.settle(contributions[bank.name], values[bank.name], cohort.plan)
    exact = exact_mean([contributions[name] for name in contributors])
    return RoundOutcome(
        number=number,
        last_sum=LastSum(outcome.sum.total, len(contributors)),
        mean=mean,
        contributors=contributors,
        dropped=tuple(name for name in cohort.banks if name not in contributors),
        max_abs_error=float(np.abs(mean.update - exact).max()),
        clipped_fraction=mean.clipped / (len(contributors) * len(model.weights)),
        seconds=_seconds(train_seconds, encode_seconds, outcome, decode_seconds),
        exhibit=make_exhibit(aggregation.scheme, cohort.plan, codec, contributions[overheard.bank], overheard),
    )


def exact_mean(contributions: list[Contribution]) -> FloatVector:
    """The float64 mean weighted by number of examples: what the secure sum is compared with."""
    weights = [c.num_examples for c in contributions]
    mean: FloatVector = np.average([c.update for c in contributions], axis=0, weights=weights)
    return mean


def _prepare(experiment: Experiment, parameters: int) -> SecureAggregation:
    bits = experiment.bits if isinstance(experiment.bits, int) else None
    return SecureAggregation(experiment, longest=make_codec(parameters, bits, clip=1.0, mean_examples=1.0).length)


def _seconds(train: float, encode: dict[str, float], outcome: Outcome, decode: float) -> Seconds:
    banks = outcome.sum.contributors
    return Seconds(
        train=train,
        client=median(encode[name] + outcome.party_seconds[name] for name in banks),
        server=outcome.server_seconds,
        decode=decode + sum(spent for name, spent in outcome.party_seconds.items() if name not in encode),
    )


def _record(done: RoundOutcome, scores: Scores, transcript: Transcript) -> RoundRecord:
    uploads, downloads = transcript.uploads(done.number), transcript.downloads(done.number)
    banks = sorted({*done.contributors, *done.dropped} & {*uploads, *downloads}, key=list(downloads).index)
    return RoundRecord(
        round=done.number,
        contributors=done.contributors,
        dropped=done.dropped,
        auprc=scores.auprc,
        roc_auc=scores.roc_auc,
        upload_bytes={name: uploads[name] for name in banks if name in uploads},
        download_bytes={name: downloads[name] for name in banks},
        max_abs_error=done.max_abs_error,
        quantization_step=done.mean.step,
        clipped_fraction=done.clipped_fraction,
        seconds=done.seconds,
    )


def _first_clip(experiment: Experiment, mean_examples: float) -> float:
    """Twice what Adam moves a weight by in a round: about the learning rate a step (Kingma, Ba, ICLR 2015, 2.1).

    That is for a bank of mean size. A much larger one may be clipped at first; that is reported, and doubles the range.
    """
    steps = np.ceil(mean_examples / experiment.batch_size) * experiment.local_epochs
    return min(float(2 * experiment.learning_rate * steps), CLIP_RANGE[1])


def _pooled_test(dataset: Dataset, schema: FeatureSchema) -> Examples:
    """All banks' later transactions, which only the sandbox pools, to measure every model on the same rows."""
    return Examples.pooled([encode(bank.test, schema) for bank in dataset.banks])
