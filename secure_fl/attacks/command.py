"""The `attack` command: from its options to the table on the terminal and the files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from secure_fl.attacks.audit import Promise, run_audit
from secure_fl.attacks.inversion import run_inversion
from secure_fl.attacks.membership import Budget, run_membership
from secure_fl.attacks.poisoning import Grid, possible, run_poisoning
from secure_fl.attacks.report import AttackReport, show_rows
from secure_fl.attacks.scene import PLAIN_BITS, SECRET_BITS, open_scene
from secure_fl.attacks.split_view import run_split_view
from secure_fl.attacks.table import print_attack
from secure_fl.attacks.victim import LocalStep
from secure_fl.errors import ConfigurationError
from secure_fl.files import STDOUT, output_files
from secure_fl.progress import Progress, ShowProgress, unseen
from secure_fl.report.attack_page import ShownRow
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.settings import BUILT_IN, Experiment
from secure_fl.training.local import one_thread

ATTACKS = ("inversion", "membership", "split-view", "audit-epsilon", "poisoning")
USUAL: Mapping[str, Mapping[str, Any]] = {"poisoning": {"banks": 10, "rounds": 5}}
"""Defaults of an attack that are not those of `AttackSettings`."""


@dataclass(frozen=True)
class AttackSettings:
    """What can be chosen. `None` and empty: the default of the attack."""

    dataset: str = "ulb"
    seed: int = 1
    banks: int = 3
    bits: int | Literal["float32"] | None = None
    """None: float32 for plaintext, 16 bits for all others."""
    trials: int = 20
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    holders: int | None = None
    quorum: int | None = None
    witnesses: int = 0
    """Split view: who opens sums, as in a run."""
    step: str = "adam"
    """adam: the real training; sgd: FedSGD."""
    noise_multiplier: float = 0.0
    """Inversion: differential privacy in the victim's step, clipped to norm 1."""
    rows: int = 200
    """Membership: training rows of each bank, in the mean."""
    models: int = 10
    """Membership: federations that are trained on each pool, for each epsilon."""
    pools: int = 6
    """Membership: pools of records."""
    rounds: int = 15
    """Of a federation: in membership of 5 local epochs each; in poisoning of one, and 5 where nothing is said."""
    epsilons: tuple[float, ...] = (float("inf"), 3.0, 1.0)
    """Membership: budgets to train with; inf: without differential privacy."""
    delta: float = 1e-5
    epsilon: float = 3.0
    """Audit: the promise that is put to the test, over the whole training."""
    runs: int = 12
    """Audit: trainings on canaries."""
    rules: tuple[str, ...] = ("none", "median", "trimmed-mean", "norm-clip", "multi-krum", "rfa")
    """Poisoning: what combines updates; none: their mean."""
    attacks: tuple[str, ...] = ("sign-flip", "a-little@1.5", "backdoor")
    """Poisoning: what attackers do; @ and a number: how hard."""
    byzantine: tuple[int, ...] = (0, 1, 2, 3)
    """Poisoning: how many banks attack, 10 banks in all where nothing is said."""
    seeds: int = 1
    """Poisoning: federations of each kind, from `seed` on."""

    def __post_init__(self) -> None:
        if self.dataset not in BUILT_IN:
            raise ConfigurationError(
                f"attacks run on data that is nobody's secret; use {' or '.join(BUILT_IN)}, not {self.dataset!r}"
            )
        if not self.batches or min(self.batches) < 1:
            raise ConfigurationError("a batch below 1 has no row to rebuild; use whole numbers from 1, such as 1,2,4")
        if any(not epsilon > 0 for epsilon in (*self.epsilons, self.epsilon)) or not 0 < self.delta < 1:
            raise ConfigurationError("epsilon or delta is out of range; use an epsilon above 0 and a delta in (0, 1)")

    @classmethod
    def of(cls, attack: str, settings: Mapping[str, Any]) -> AttackSettings:
        """Those that were said, and for the rest what is usual for the attack."""
        return cls(**{**USUAL.get(attack, {}), **settings})

    @property
    def grid(self) -> Grid:
        """What poisoning tries. Raises `ConfigurationError`."""
        return Grid(self.rules, self.attacks, self.byzantine, self.seeds)


def attack(name: str, scheme: str = "plaintext", progress: Progress = unseen, **settings: Any) -> AttackReport:
    """What `secure-fl attack NAME --scheme SCHEME` finds, without printing or writing it.

    settings: those of `AttackSettings`, such as dataset="simulated", batches=(1, 4), trials=5. `results` of the report
    holds the figures, `shown` true rows of the first trial beside rebuilt ones (inversion).
    Raises `ConfigurationError`.
    """
    chosen = AttackSettings.of(name, settings)
    return run_attack(name, attacked_experiment(name, scheme, chosen), chosen, progress)


def run_command(
    attack: str,
    scheme: str,
    json_file: Path | None,
    html_file: Path | None,
    show_progress: ShowProgress,
    *,
    force: bool = False,
    **settings: Any,
) -> None:
    """Attack, print the table, write the files. They are opened first, so that a wrong name costs no time."""
    chosen = AttackSettings.of(attack, {name: value for name, value in settings.items() if value is not None})
    experiment = attacked_experiment(attack, scheme, chosen)
    with output_files(json_file, html_file, force=force) as (json_target, html_target):
        with show_progress() as progress:
            report = run_attack(attack, experiment, chosen, progress)
        if json_target:
            json_target.write_text(report.to_json() + "\n", encoding="utf-8")
        if html_target:
            html_target.write_text(report.to_html(), encoding="utf-8")
    if json_file != STDOUT:
        print_attack(report)  # whatever becomes of the terminal, the files are there


def attacked_experiment(attack: str, scheme: str, settings: AttackSettings) -> Experiment:
    """The federation that is attacked. Raises `ConfigurationError` for an attack or scheme that does not exist."""
    if attack not in ATTACKS:
        raise ConfigurationError(f"there is no attack {attack!r}; choose one of {', '.join(ATTACKS)}")
    if scheme not in SCHEMES:
        raise ConfigurationError(f"there is no scheme {scheme!r}; choose one of {', '.join(sorted(SCHEMES))}")
    default = PLAIN_BITS if scheme == "plaintext" and attack not in ("membership", "poisoning") else SECRET_BITS
    training: dict[str, Any] = {"bits": default if settings.bits is None else settings.bits}
    if attack == "membership":
        training |= {"rounds": settings.rounds, "local_epochs": 5, "batch_size": 32}
    if attack == "poisoning":
        training |= {"rounds": settings.rounds}
    if attack == "split-view":
        training |= {"holders": settings.holders, "quorum": settings.quorum, "witnesses": settings.witnesses}
    experiment = Experiment(
        dataset=settings.dataset,
        scheme=scheme,
        banks=settings.banks,
        seed=settings.seed,
        transactions=20_000,
        fraud_share=0.02,
        **training,
    )
    if attack == "poisoning":
        possible(experiment, settings.grid)
    return experiment


def run_attack(attack: str, experiment: Experiment, settings: AttackSettings, progress: Progress) -> AttackReport:
    """The attack, without files and tables."""
    with one_thread():
        rng = np.random.default_rng(settings.seed)
        if attack == "audit-epsilon":
            promise = Promise(settings.epsilon, settings.delta, settings.banks, settings.runs)
            return _report(attack, experiment, settings, run_audit(promise, rng, progress), _CANARIES)
        if attack == "poisoning":
            rows, dataset = run_poisoning(experiment, settings.grid, progress)
            return _report(attack, experiment, settings, rows, dataset.source)
        scene = open_scene(experiment, max(settings.batches))
        local = LocalStep(settings.step, settings.noise_multiplier)  # type: ignore[arg-type]
        shown: Sequence[ShownRow] = ()
        if attack == "inversion":
            results, rebuilt = run_inversion(scene, local, settings.batches, settings.trials, rng, progress)
            shown = show_rows(scene, rebuilt)
        elif attack == "split-view":
            results = run_split_view(scene, local, settings.batches, settings.trials, rng, progress)
        else:
            budgets = [None if np.isinf(epsilon) else Budget(epsilon, settings.delta) for epsilon in settings.epsilons]
            results = run_membership(scene, budgets, settings.rows, settings.models, settings.pools, rng, progress)
        return _report(attack, scene.experiment, settings, results, scene.dataset.source, shown)


def _report(
    attack: str,
    experiment: Experiment,
    settings: AttackSettings,
    results: list[dict[str, Any]],
    source: str,
    shown: Sequence[ShownRow] = (),
) -> AttackReport:
    return AttackReport(
        attack=attack,
        scheme=experiment.scheme,
        command=_command_line(attack, experiment.scheme, settings),
        settings=_plain(asdict(settings) | {"bits": experiment.bits}),
        results=results,
        source=source,
        custody=experiment.kind.custody.broken_by,
        shown=tuple(shown),
    )


def _command_line(attack: str, scheme: str, settings: AttackSettings) -> str:
    """The command that repeats this attack."""
    words = ["secure-fl", "attack", attack, "--scheme", scheme]
    usual = asdict(AttackSettings.of(attack, {}))
    for name, value in asdict(settings).items():
        if value != usual[name]:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return shlex.join(words)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """As JSON can hold it: no infinity."""
    settings["epsilons"] = ["inf" if np.isinf(epsilon) else epsilon for epsilon in settings["epsilons"]]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


_CANARIES = "canaries, made for the audit; nobody's transactions"
