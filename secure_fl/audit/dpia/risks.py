"""What is left of risk, from custody, privacy, drops and settings of a run. Nothing is ranked: that is for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from secure_fl.audit.dpia.facts import METRICS, TRANSCRIPT, Facts
from secure_fl.audit.dpia.later import AUDIT
from secure_fl.audit.dpia.measures import threshold
from secure_fl.audit.dpia.tree import shown
from secure_fl.report.promise import UNPROTECTED, delta_text, epsilon_text, guesses_text
from secure_fl.report.wording import names_text, out_of_text, plural, score_text, several_classes

Kind: TypeAlias = Literal["design", "access", "modification", "disappearance"]
HEAD = ("Risk", "Source", "Evidence")
FEWEST = 2
"""Banks of a sum, of which each knows the other's update."""
_CUSTODY = f"{METRICS}: custody.broken_by"


@dataclass(frozen=True)
class Risk:
    """One of them: what can happen to people's data or rights, where it comes from, and what shows it."""

    kind: Kind
    says: str
    source: str
    evidence: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.says, self.source, self.evidence)


def risks(facts: Facts) -> tuple[Risk, ...]:
    """All that the run tells of."""
    parts = (_told_by_the_model, _decided, _broken, _opened, _elsewhere, _steered, _lost)
    return tuple(risk for part in parts for risk in part(facts))


def _told_by_the_model(facts: Facts) -> Iterator[Risk]:
    privacy = facts.privacy
    if privacy is None:
        yield Risk("design", UNPROTECTED, "no differential privacy", f"{METRICS}: privacy is null")
        return
    spent = f"epsilon {epsilon_text(privacy.epsilon)} at delta {delta_text(privacy.delta)}"
    says = (
        f"What the model and the sums tell of one {privacy.unit} is limited and not excluded ({spent}): whoever "
        f"guesses whether it took part is {guesses_text(privacy.epsilon, privacy.delta)}."
    )
    yield Risk("design", says, "the budget that was chosen", f"{METRICS}: privacy.epsilon")
    for uncovered in privacy.not_covered:
        yield Risk(
            "design", f"Not covered by epsilon: {uncovered}.", privacy.mechanism, f"{METRICS}: privacy.not_covered"
        )
    for note in privacy.notes:
        yield Risk("design", note, privacy.mechanism, f"{METRICS}: privacy.notes")
    if facts.experiment.lifetime_epsilon is None:
        says = "No limit for life was set: further runs on the same rows spend more, and nothing stops them."
        yield Risk("design", says, "further runs", "experiment.toml: lifetime_epsilon")


def _decided(facts: Facts) -> Iterator[Risk]:
    final, curve = facts.metrics["final"], facts.metrics["curves"]
    flagged = out_of_text(final["false_positives_at_80_recall"], curve["honest"])
    says = (
        f"Honest customers are stopped or asked: to find 80 % of the fraud in the test rows, {flagged} honest ones are "
        "flagged."
        if facts.classes == 2
        else f"Rows are taken for what they are not: to find 80 % of them in their class, {flagged} answers are wrong. "
        f"{several_classes(facts.classes)}"
    )
    yield Risk(
        "design",
        says,
        "scores that decide on payments",
        f"{METRICS}: final.false_positives_at_80_recall",
    )
    guessing = curve["frauds"] / (curve["frauds"] + curve["honest"])
    if final["auprc"] <= guessing:
        yield Risk(
            "design",
            f"The model ranks no better than chance (AUPRC {score_text(final['auprc'])}, chance "
            f"{score_text(guessing)}): processing for it serves no purpose.",
            "training, its noise or its data",
            f"{METRICS}: final.auprc",
        )
    audit = facts.audit
    if audit is None or not audit.columns:
        says = "Groups of people may be flagged more often, or protected less: no audit of groups lies with the run."
        yield Risk("design", says, "no audit of groups", f"{AUDIT} is not there, or compares no groups")
    elif audit.worse:
        says = f"Groups are worse off beyond chance in {plural(audit.worse, 'gap')}, the largest {audit.largest:.3f}."
        yield Risk("design", says, "training data or model", f"{AUDIT}: fairness.worse")


def _broken(facts: Facts) -> Iterator[Risk]:
    source = "collusion or deviation" if facts.hides_updates else "the scheme as it is"
    for way in facts.custody.broken_by:
        yield Risk("access", f"A single bank's update becomes known through {way}.", source, _CUSTODY)
    for line in facts.custody.can_decrypt.get("observer", ()):
        says = f"Whoever overhears all messages reads: {line}."
        yield Risk("access", says, "an unencrypted transport", f"{METRICS}: custody.can_decrypt.observer")
    for line in facts.custody.can_decrypt.get("aggregator", ()):
        if "rows" in line:
            says = f"The aggregator holds {line}."
            yield Risk("access", says, "the rule", f"{METRICS}: custody.can_decrypt.aggregator")


def _opened(facts: Facts) -> Iterator[Risk]:
    """What follows from how few banks there were, and from drops and repetitions."""
    count = len(facts.banks)
    if facts.hides_updates and facts.experiment.robust == "none":
        says = f"Of {count} banks, {count - 1} that pool what they know have the last one's update from a sum over all."
        yield Risk("access", says, "few banks", f"{METRICS}: experiment.banks")
        if (least := threshold(facts)) == FEWEST:
            says = f"A sum over {least} banks is opened where others drop out: each of the two has the other's update."
            yield Risk("access", says, "few banks, and the threshold", "experiment.toml: threshold, banks")
        fewest = min(facts.rounds, key=lambda record: len(record["contributors"]))
        if (left := len(fewest["contributors"])) < count:
            says = (
                f"In round {fewest['round']} the sum was over {left} banks only, so {left - 1} of them have the last "
                "one's update from it."
            )
            yield Risk("access", says, "banks that dropped out", f"{METRICS}: rounds.contributors")
    again = [str(record["round"]) for record in facts.rounds if record["attempts"] > 1]
    if facts.hides_updates and again:
        says = (
            f"In round {names_text(again, 6)} the sum was attempted more than once. Where an earlier attempt's sum was "
            "opened too, the two differ by some banks' updates; whether it was is not recorded."
        )
        yield Risk("access", says, "repeated sums", f"{METRICS}: rounds.attempts")
    whose = "over all banks" if facts.hides_updates else "and the aggregator reads those of each bank"
    if facts.privacy is None or facts.privacy.statistics_noise_multiplier is None:
        says = (
            "The statistics of round 0 (number of training rows, sum and sum of squares of each numeric feature) are "
            f"exact, {whose}: with an outlier in few rows they tell of single rows."
        )
        yield Risk("access", says, "sums without noise", f"{TRANSCRIPT}: round 0")


def _elsewhere(facts: Facts) -> Iterator[Risk]:
    yield Risk(
        "access",
        "One process held all banks' rows, all keys and all updates: whoever controls its machine has all of it.",
        "the sandbox plays all parties",
        "record.jsonl, which only runs in one process have",
    )
    shows = (
        ""
        if facts.privacy is not None and facts.privacy.mechanism == "distributed"
        else (" report.html draws values of the first update of one bank in the clear.")
    )
    yield Risk(
        "access",
        "The folder of the run tells more than the parties of a federation would know of each other: metrics.json "
        f"holds each bank's numbers of rows and frauds, and test scores.{shows}",
        "files that are handed on",
        f"{METRICS}: data.banks",
    )


def _steered(facts: Facts) -> Iterator[Risk]:
    experiment = facts.experiment
    if experiment.attack != "none":
        says = (
            f"{names_text([shown(name) for name in experiment.attackers])} poisoned the model on purpose "
            f"({experiment.attack}), as the settings asked."
        )
        yield Risk("modification", says, "banks that poison", "experiment.toml: attack, byzantine")
    what = (
        "A bank can send any update within its proven range, and a wrong number of rows"
        if experiment.proofs
        else "A bank can send what the rule does not tell from an honest update"
        if experiment.robust != "none"
        else "A bank can send any update within the clip range, and a wrong number of rows"
    )
    says = f"{what}: the model then scores people wrongly, and nobody sees why."
    yield Risk("modification", says, "a bank that lies, or wrong labels", "experiment.toml: robust, proofs")
    says = (
        "The aggregator sends banks another model than it should, or other banks another one: the model changes unseen."
    )
    bound = facts.scheme in ("masked", "additive", "additive-proofs")
    if bound:
        says = "The aggregator applies another mean than the sum gives: banks that train on weights do not check it."
    yield Risk("modification", says, "an aggregator that lies", f"{METRICS}: custody.assumptions")
    all_refused = [name for record in facts.rounds for name in record["refused"]]
    refused = [name for name in all_refused if name in facts.banks]
    if refused:
        says = f"{plural(len(refused), 'time')} a bank was refused for what it sent or did not send."
        yield Risk("modification", says, "messages that cannot be used", f"{METRICS}: rounds.refused")
    holders = [name for name in all_refused if name not in facts.banks]
    if holders:
        who = names_text(list(dict.fromkeys(holders)))
        says = f"{plural(len(holders), 'time')} a sum was opened without a holder that was silent or lied: {who}."
        yield Risk("modification", says, "holders that fail", f"{METRICS}: rounds.refused")


def _lost(facts: Facts) -> Iterator[Risk]:
    dropped = [bank for record in facts.rounds for bank in record["dropped"]]
    if dropped:
        who = names_text([shown(name) for name in dict.fromkeys(dropped)])
        missed = plural(len(dropped), "upload")
        says = f"What {who} had to add is missing in {missed}: the model learned less from these rows."
        yield Risk("disappearance", says, "banks that dropped out", f"{METRICS}: rounds.dropped")
    if facts.trustees:
        committee = facts.experiment.committee
        who = names_text(facts.trustees) if committee is None else f"{committee.quorum} of {committee.members} holders"
        says = f"Without an answer of {who} no sum is opened, and training stops."
        yield Risk("disappearance", says, "a party without which there is no sum", f"{TRANSCRIPT}: recipient")
    if facts.privacy is not None:
        says = "A bank's ledger is lost: what was spent is not known then, and further private runs are refused."
        yield Risk("disappearance", says, "loss of a file", f"{METRICS}: privacy.ledger")
    says = "The model is lost: scoring stops until it is trained again. Rows are not lost with it."
    yield Risk("disappearance", says, "loss of a file", "model.safetensors")
