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

from collections.abc import Mapping
from typing import Any

from secure_fl.data.given import read_given
from secure_fl.errors import ConfigurationError
from secure_fl.federation.baselines import train_baselines
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.history import History, make_record, withheld
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import Baseline, Model, Result
from secure_fl.federation.rounds import run_round
from secure_fl.progress import Progress, unseen
from secure_fl.settings import Experiment
from secure_fl.training import USUAL, Fit, MakeModule, Network, evaluate, examine, make_learner, usual_tensors


@usual_tensors()
def run_federation(
    experiment: Experiment,
    progress: Progress = unseen,
    checkpoint: Checkpoint | None = None,
    *,
    model: MakeModule | None = None,
    banks: Mapping[str, Any] | None = None,
    test: Any = None,
    train: Fit | None = None,
) -> Result:
    """Train one model across the banks of an experiment, and the baselines beside it.

    `model`: a function without arguments that makes a torch module (`training.learner` says which will do); without
    it, the fraud model. `train(module, rows, classes, epochs)`: trains it in place, instead of Adam as settings say.
    `banks`: the rows of each bank, name -> (X, y); `test`: (X, y), or these of each bank; without it, the latest rows
    are cut off. X is a data frame, an array or a tensor (`data.given`). `checkpoint`: where the state is kept after
    every round, so that the run can go on after it was stopped, with the same settings, rows, model and train (only
    the settings and the number of weights are compared; DP-SGD also refuses other rows, and charges anew for a model
    that does something else). Raises errors of `secure_fl.errors`.
    """
    progress("transactions", 0, 1)
    federation = open_federation(experiment, checkpoint, model, banks, test, train)
    progress("transactions", 1, 1)

    history = train_rounds(federation, progress)
    federation.finish()
    steps = len(federation.banks) + 1
    local, central = train_baselines(
        federation.experiment.without_privacy(),
        federation.learner,
        federation.banks,
        federation.test,
        federation.dataset.test_rows,
        lambda done: progress("baselines", done, steps),
    )
    return _result(federation, history, local, central)


def train_rounds(federation: Federation, progress: Progress = unseen) -> History:
    """All rounds that are left of a federation."""
    experiment, aggregation, history = federation.experiment, federation.aggregation, federation.start
    broadcast = history.model.to_bytes()
    for number in range(history.next_round, experiment.rounds + 1):
        progress("rounds", number - 1, experiment.rounds)
        charge = federation.charge(number, history.model)
        aggregation.begin(number)
        done = run_round(
            aggregation, federation.banks, history.model, broadcast, number, charge, robustness=federation.robustness
        )
        done = withheld(done) if experiment.private_sums else done
        model = history.model.after(done.mean, experiment.clip_margin)
        scores = evaluate(model.weights, federation.test, federation.learner)
        record = make_record(done, model, scores, aggregation.transcript, federation.privacy.epsilon)
        history = history.after(done, model, scores, record)
        federation.keep(history)
        sums_travel = experiment.downlink == "sum"
        broadcast = done.last_sum.to_bytes(aggregation.plan, model) if sums_travel else model.to_bytes()
    progress("rounds", experiment.rounds, experiment.rounds)
    return history


def open_federation(
    experiment: Experiment,
    checkpoint: Checkpoint | None = None,
    model: MakeModule | None = None,
    banks: Mapping[str, Any] | None = None,
    test: Any = None,
    fit: Fit | None = None,
) -> Federation:
    """The parties of a run, as `run_federation` is given them."""
    if model is not None and Network.of(experiment) != USUAL:
        raise ConfigurationError("hidden and activation are of the fraud model; leave them out, or model=")
    if banks is None:
        if test is not None:
            raise ConfigurationError("test rows are handed over beside those of the banks; add banks=, or leave it out")
        return Federation.open(experiment, checkpoint, learner=make_learner(model, fit, settings=experiment))
    given = read_given(experiment, banks, test)
    learner = make_learner(model, fit, given.inputs, given.classes, experiment)
    return Federation.open(experiment.with_banks(tuple(given.banks)), checkpoint, given, learner)


def _result(federation: Federation, history: History, local: tuple[Baseline, ...], central: Baseline) -> Result:
    dataset, model = federation.dataset, history.model
    assert history.scores is not None, "a run has at least one round"
    assert history.exhibit is not None
    return Result(
        experiment=dataset.resolved(federation.experiment).model_dump(mode="json", exclude_none=True),
        rounds=history.rounds,
        final=history.scores,
        on_test=examine(model.weights, federation.test, dataset.test_rows, federation.learner),
        local=local,
        central=central,
        custody=federation.custody,
        exhibit=history.exhibit,
        data=dataset.summary(),
        synthetic=dataset.synthetic.summary(dataset.banks) if dataset.synthetic is not None else None,
        parameters=len(model.weights),
        privacy=federation.privacy.report(federation.experiment.scheme),
        model=Model(model.weights, federation.schema.to_dict(), federation.learner),
        transcript=federation.aggregation.transcript.so_far,
        models=federation.models,
    )
