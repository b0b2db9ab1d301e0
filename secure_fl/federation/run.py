"""START HERE: federated training with a secure sum in every round.

    broadcast the model -> each bank trains locally -> update = new - old weights, one flat vector
      -> quantize (with the number of examples, which stays hidden in the sum) -> the scheme's client half -> bytes
      -> the scheme's server half -> the exact sum -> the mean update -> apply -> evaluate -> record

`opening` makes the parties, `rounds` is one round, `history` what a run has come to. Round 0 (`round_zero`) uses the
same secure sum for the statistics that the features need, so that the banks agree on one standardization, and on the
mean number of examples per bank, without showing each other either.

FedAvg: McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", AISTATS 2017. Here every bank takes part in every round, unless it drops out.
"""

from __future__ import annotations

from secure_fl.federation.baselines import train_baselines
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.history import History, make_record, next_model, withheld
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import Baseline, Model, Result
from secure_fl.federation.rounds import run_round
from secure_fl.progress import Progress, unseen
from secure_fl.settings import Experiment
from secure_fl.training import evaluate, examine


def run_federation(
    experiment: Experiment,
    progress: Progress = unseen,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Train one model across the banks of an experiment, and the baselines beside it.

    `checkpoint`: where the state is kept after every round, so that the run can go on after it was stopped.
    """
    progress("transactions", 0, 1)
    federation = Federation.open(experiment, checkpoint)
    progress("transactions", 1, 1)

    aggregation, history = federation.aggregation, federation.start
    broadcast = history.model.to_bytes()
    for number in range(history.next_round, experiment.rounds + 1):
        progress("rounds", number - 1, experiment.rounds)
        charge = federation.charge(number, history.model)
        done = run_round(aggregation, federation.banks, history.model, broadcast, number, charge)
        done = withheld(done) if experiment.private_sums else done
        model = next_model(history.model, done)
        scores = evaluate(model.weights, federation.test)
        record = make_record(done, scores, aggregation.transcript, federation.privacy.epsilon)
        history = history.after(done, model, scores, record)
        federation.keep(history)
        sums_travel = experiment.downlink == "sum"
        broadcast = done.last_sum.to_bytes(aggregation.plan, model) if sums_travel else model.to_bytes()
    progress("rounds", experiment.rounds, experiment.rounds)

    federation.finish()
    steps = len(federation.banks) + 1
    local, central = train_baselines(
        experiment.without_privacy(), federation.banks, federation.test, lambda done: progress("baselines", done, steps)
    )
    return _result(federation, history, local, central)


def _result(federation: Federation, history: History, local: tuple[Baseline, ...], central: Baseline) -> Result:
    dataset, model, scheme = federation.dataset, history.model, federation.aggregation.scheme
    assert history.scores is not None, "a run has at least one round"
    assert history.exhibit is not None
    return Result(
        experiment=dataset.resolved(federation.experiment).model_dump(mode="json", exclude_none=True),
        rounds=history.rounds,
        final=history.scores,
        on_test=examine(model.weights, federation.test, {bank.name: bank.test_rows for bank in federation.banks}),
        local=local,
        central=central,
        custody=scheme.custody,
        exhibit=history.exhibit,
        data=dataset.summary(),
        synthetic=dataset.synthetic.summary(dataset.banks) if dataset.synthetic is not None else None,
        parameters=len(model.weights),
        privacy=federation.privacy.report(federation.experiment.scheme),
        model=Model(model.weights, federation.schema.to_dict()),
        transcript=tuple(federation.aggregation.transcript.deliveries),
    )
