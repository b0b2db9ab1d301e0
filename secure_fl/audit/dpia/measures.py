"""Which measures were in effect in a run. What is promised is read from the run, and never computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from secure_fl.audit.dpia.evidence import Measure, Status
from secure_fl.audit.dpia.facts import METRICS, TRANSCRIPT, Facts
from secure_fl.audit.dpia.later import AUDIT, Attack
from secure_fl.audit.dpia.tree import shown
from secure_fl.report.promise import delta_text, epsilon_text, guesses_text
from secure_fl.report.record import RECORD
from secure_fl.report.wording import names_text, plural, score_text
from secure_fl.secagg.he.words import KEY_AUTHORITY

NONE = "none"


def measures(facts: Facts) -> tuple[Measure, ...]:
    """All of them, those that are missing too."""
    made: tuple[Callable[[Facts], Iterator[Measure]], ...] = (
        _principles,
        _rows,
        _sums,
        _shared,
        _privacy,
        _pseudonyms,
        _minimised,
        _security,
        _attacked,
        _robust,
    )
    return tuple(measure for make in made for measure in make(facts))


def threshold(facts: Facts) -> int:
    """The fewest banks whose sum is opened, where sums are not of groups."""
    experiment = facts.experiment
    return experiment.threshold or experiment.kind.default_threshold(len(facts.banks))


def _principles(facts: Facts) -> Iterator[Measure]:
    audit = facts.audit
    fairness, drivers = "Fairness: groups compared", "Transparency: what drives scores"
    if audit is None or not audit.columns:
        yield Measure("principles", fairness, "not measured in this run", "No audit of groups lies with the run.", NONE)
    else:
        by = names_text([shown(name) for name in audit.columns])
        worse = (
            f"groups worse off, beyond chance, in {plural(audit.worse, 'gap')}, the largest {audit.largest:.3f}"
            if audit.worse
            else "no group found worse off"
        )
        allowed = "no largest gap was set" if audit.max_gap is None else f"a gap of {audit.max_gap:g} was allowed"
        says = f"Compared by {by} on {plural(audit.rows, 'test row')}: {worse}; {allowed}."
        yield Measure("principles", fairness, "in effect", says, f"{AUDIT}: fairness.worse")
    if audit is None:
        yield Measure("principles", drivers, "not measured in this run", "No audit lies with the run.", NONE)
    else:
        says = f"SHAP values over all banks; first: {names_text([shown(name) for name in audit.features], 5)}."
        yield Measure("principles", drivers, "in effect", says, f"{AUDIT}: shap.features")
    auprc, area = (score_text(facts.metrics["final"][name]) for name in ("auprc", "roc_auc"))
    yield Measure(
        "principles",
        "Accuracy: the model measured on test rows",
        "in effect",
        f"AUPRC {auprc}, ROC AUC {area}, on rows that it was not trained on; one run, one split.",
        f"{METRICS}: final",
    )
    yield Measure(
        "principles",
        "Accountability: a signed record",
        "in effect",
        "The record and the files that it names are what was signed. It is the signer's statement, no proof that what "
        "it says happened; only a head that was noted elsewhere tells it from another record under the same key.",
        f"{RECORD}: signature",
    )


def _rows(facts: Facts) -> Iterator[Measure]:
    given = ""
    if facts.experiment.robust == "fltrust":
        given = " Here the aggregator also held clean training rows of the banks, which the rule needs."
    yield Measure(
        "design",
        "Rows stay with their bank; updates leave it",
        "in part",
        "No stage of the protocol carries a row. But one process played all banks, held all rows, and trained a model "
        f"on all rows pooled to compare with; a federation of separate parties has neither.{given}",
        f"{TRANSCRIPT}: stage; {METRICS}: baselines.central",
    )


def _sums(facts: Facts) -> Iterator[Measure]:
    name, evidence = "Secure sum: single updates are hidden", f"{METRICS}: custody"
    if not facts.hides_updates:
        yield Measure("design", name, "not in this run", facts.custody.summary, evidence)
        return
    yield Measure(
        "design", name, "in effect", f"{facts.custody.summary} What breaks it stands among the risks.", evidence
    )
    if facts.experiment.group_size is not None:
        says = "Sums are opened of groups of banks, which are smaller than the whole."
        yield Measure("design", "Few banks: no sum of too few is opened", "in part", says, f"{METRICS}: custody")
        return
    least, word = threshold(facts), ""
    if KEY_AUTHORITY in facts.trustees:
        word = " The key authority takes the aggregator's word for how many a sum is of."
    if facts.scheme.endswith(("-committee", "-witnessed")):
        who = "Witnesses see" if facts.experiment.witnesses else "Key holders see"
        word = f" {who} the banks' signatures of what a sum is of."
    yield Measure(
        "design",
        "Few banks: no sum of too few is opened",
        "in effect",
        f"A sum is opened over at least {least} of {len(facts.banks)} banks.{word}",
        "experiment.toml: threshold" if facts.experiment.threshold else "experiment.toml: banks, the default threshold",
    )


def _shared(facts: Facts) -> Iterator[Measure]:
    committee = facts.experiment.committee
    if committee is None:
        return
    common = plural(2 * committee.quorum - committee.members, "holder")
    says = (
        f"The aggregator opens a sum with any {committee.quorum} of {committee.members} holders, and nothing with "
        f"fewer; {committee.may_be_silent} may be silent. Any two quorums have at least {common} in common: as many "
        "must lie with the aggregator before it has two sums of an attempt opened, whose difference could be one "
        "bank's update."
    )
    yield Measure("design", "What opens a sum is shared", "in effect", says, "experiment.toml: holders, quorum")


def _privacy(facts: Facts) -> Iterator[Measure]:
    privacy, name = facts.privacy, "Differential privacy"
    if privacy is None:
        says = "Nothing limits what sums and model tell of single transactions."
        yield Measure("design", name, "not in this run", says, f"{METRICS}: privacy is null")
        return
    spent = f"epsilon {epsilon_text(privacy.epsilon)} at delta {delta_text(privacy.delta)}"
    yield Measure(
        "design",
        name,
        "in effect",
        f"By {privacy.mechanism}: {spent} over all rounds, for one {privacy.unit} ({privacy.neighbours}). Whoever "
        f"guesses whether it took part is {guesses_text(privacy.epsilon, privacy.delta)}. What is not covered stands "
        "among the risks.",
        f"{METRICS}: privacy.epsilon, privacy.delta",
    )
    limit, life = facts.experiment.lifetime_epsilon, privacy.lifetime_epsilon
    known = (
        f"the most that a bank's rows have spent is {epsilon_text(max(life.values()))}" if life else "nothing is known"
    )
    status: Status = "in part" if limit is None else "in effect"
    set_ = "no limit for life was set" if limit is None else f"the limit for life is {limit:g}"
    yield Measure(
        "design",
        "Ledgers for life add up all runs on the same rows",
        status if life else "not in this run",
        f"As far as the banks' ledgers know of them, {known}; {set_}.",
        f"{METRICS}: privacy.lifetime_epsilon; experiment.toml: lifetime_epsilon",
    )


def _pseudonyms(facts: Facts) -> Iterator[Measure]:
    name, evidence = "Pseudonyms take the place of texts", f"{METRICS}: data.columns.used"
    columns = names_text([shown(column) for column in facts.pseudonymized], 6)
    if not columns:
        yield Measure("design", name, "not in this run", "No column of texts was read.", evidence)
    elif facts.own_rows:
        says = (
            f"Texts of {columns} become keyed hashes before they are features. All banks have the key, and the "
            "aggregator does not; whoever has it can compute the pseudonym of any text."
        )
        yield Measure("design", name, "in effect", says, evidence)
    else:
        says = (
            f"Texts of {columns} become keyed hashes before they are features; but the key follows from the public "
            "seed, so here they protect nothing."
        )
        yield Measure("design", name, "in part", says, evidence)


def _minimised(facts: Facts) -> Iterator[Measure]:
    columns = facts.metrics["data"]["columns"]
    says = (
        f"{plural(len(columns['used']), 'column')} read, {len(columns['ignored'])} not read. What a bank adds in a "
        "round has as many numbers as the model has weights, whatever its number of rows."
    )
    yield Measure("design", "Minimisation", "in effect", says, f"{METRICS}: data.columns")


def _security(facts: Facts) -> Iterator[Measure]:
    yield Measure(
        "security",
        "Encryption of the transport",
        "not measured in this run",
        "One process played all parties, and no message travelled over a network.",
        NONE,
    )
    yield Measure(
        "security",
        "Search of the aggregator's memory for keys and updates",
        "not measured in this run",
        "The software's tests make such a search in a gateway process of its own; this run had none.",
        NONE,
    )
    yield _repeated(facts)


def _repeated(facts: Facts) -> Measure:
    name, most = "Availability: a round that failed is repeated", facts.experiment.attempts
    if most == 1:
        says = "A round is attempted once; one that fails ends the run."
        return Measure("security", name, "not in this run", says, "experiment.toml: attempts")
    again = sum(record["attempts"] > 1 for record in facts.rounds)
    says = (
        f"A round is attempted up to {most} times, each time with new messages; "
        f"{plural(again, 'round')} of {len(facts.rounds)} took more than one."
    )
    return Measure("security", name, "in effect", says, f"{METRICS}: rounds")


def _attacked(facts: Facts) -> Iterator[Measure]:
    tried = (
        ("inversion", "Tested: are rows rebuilt from uploads?"),
        ("split-view", "Tested: an aggregator that shows banks different models"),
        ("membership", "Tested: is membership of a row told?"),
        ("audit-epsilon", "Tested: is epsilon kept?"),
    )
    for kind, name in tried if facts.privacy is not None else tried[:-1]:
        found = [attack for attack in facts.attacks if attack.kind == kind and attack.scheme == facts.experiment.scheme]
        for attack in found:
            yield Measure("security", name, "in effect", _finding(attack), f"{attack.file}: results")
        if not found:
            says = "No result of this attack on this scheme lies with the run."
            yield Measure("security", name, "not measured in this run", says, NONE)


def _finding(attack: Attack) -> str:
    rows = "canaries made for the audit" if attack.kind == "audit-epsilon" else f"rows of {shown(attack.dataset)}"
    return f"On a federation of its own with this scheme, on {rows}, not on this run: {attack.finding}."


def _robust(facts: Facts) -> Iterator[Measure]:
    experiment, name = facts.experiment, "Against banks that poison"
    if experiment.proofs:
        says = "Each bank proves that its values lie in range; within it, it can send what it likes."
        yield Measure("security", name, "in part", says, "experiment.toml: proofs")
    elif experiment.robust != "none":
        says = (
            f"{experiment.robust} stands in for the mean, and expects {plural(experiment.byzantine, 'byzantine bank')}."
        )
        yield Measure("security", name, "in effect", says, "experiment.toml: robust, byzantine")
    else:
        says = "Banks are believed: one can steer the mean within the clip range."
        yield Measure("security", name, "not in this run", says, "experiment.toml: robust, proofs")
