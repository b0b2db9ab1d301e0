"""The parts of a draft that describe: parties, data, purposes, flows, means, quality."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.audit.dpia.facts import METRICS, TRANSCRIPT, Facts
from secure_fl.audit.dpia.flows import HEAD as FLOWS
from secure_fl.audit.dpia.flows import joint_flows
from secure_fl.audit.dpia.law import law
from secure_fl.audit.dpia.tree import Blank, Block, Part, Table, Text, shown
from secure_fl.report.wording import count_text, names_text, plural, score_text
from secure_fl.secagg.schemes import called

ULB = (
    "The rows are the public ULB transactions: card payments of two days in September 2013 by European cardholders, "
    "published by the Machine Learning Group of the Universite Libre de Bruxelles, all features but time and amount "
    "turned into principal components by the publisher. They are of real people; whether anybody can still be "
    "identified was not examined here."
)
SIMULATED = "The rows were simulated: no row of a real person was involved in this run."
AS_IF = "The assessment is drafted as if they were the banks' own rows."
UNEQUAL = "The other models were trained without differential privacy. "
OWN = "The rows were the user's own. Whose they are, and how they were collected, the run does not know."


def described(facts: Facts) -> Mapping[str, Part]:
    """By name."""
    return {
        "controllers": _controllers(facts),
        "processors": _processors(facts),
        "name": Part(
            "Name of the processing", (_NAME, Blank("What is this processing called in the record of processing?"))
        ),
        "planning": Part("Planning", (Blank("When does the processing start, and when or how does it end?"),)),
        "sheet": _sheet(facts),
        "data": _data(facts),
        "purposes": Part("Purposes", (law("gdpr-35-7-a"), _PURPOSE, *_PURPOSES)),
        "secondary": Part(
            "Secondary uses", (Blank("Is model or data used for anything else, and is that compatible?"),)
        ),
        "scope": _scope(facts),
        "flows": _flows(facts),
        "assets": _assets(facts),
        "codes": Part("Codes of conduct", (Blank("Which approved codes of conduct apply?"),)),
        "quality": _quality(facts),
    }


def rows_text(facts: Facts) -> str:
    """Whose rows these are."""
    return {"simulated": SIMULATED, "ulb": ULB}.get(facts.experiment.dataset, OWN)


_NAME = Text("Federated training of a model that scores card payments for fraud, on the rows of several banks.")
_PURPOSE = Text("What the run did: it trained one model, over all banks, that gives a transaction a score of fraud.")
_PURPOSES = (
    Blank("For which specific, explicit purposes are the scores used, and by whom?"),
    Blank("Which legitimate interest does each controller pursue, if it relies on one?"),
)


def _controllers(facts: Facts) -> Part:
    banks = names_text([shown(name) for name in facts.banks], 12)
    text = f"{plural(len(facts.banks), 'bank')} took part ({banks}). Who of them is a controller is for them to say."
    return Part(
        "Controllers",
        (
            Text(text),
            law("gdpr-26"),
            Blank("Who are the controllers, with contact and data protection officer of each?"),
            Blank("What does the arrangement between joint controllers say, and where is its essence published?"),
        ),
    )


def _processors(facts: Facts) -> Part:
    parties = names_text(["aggregator", *facts.trustees])
    text = f"Parties beside the banks, which somebody has to run: {parties}. In this run one process played them all."
    return Part(
        "Processors and sub-processors",
        (
            Text(text),
            law("gdpr-28"),
            Blank("Who runs each of these parties, as controller or as processor, and under which contract?"),
        ),
    )


def _sheet(facts: Facts) -> Part:
    sums = ", with a secure sum" if facts.hides_updates else ""
    rows = (
        ("Evaluation or scoring", "yes: each transaction gets a score"),
        ("Automated decisions with legal or similar effect", "open: it depends on what a score does to a payment"),
        ("Systematic monitoring", "open: it depends on whether all payments are scored"),
        ("Sensitive or highly personal data", "open: payments can tell of habits, health or beliefs"),
        ("Large scale", "open: the run's numbers of rows are below"),
        ("Matching or combining data sets", "in part: rows stay apart, and one model is made of all of them"),
        ("Vulnerable data subjects", "open"),
        ("Innovative technology", f"yes: federated learning{sums}"),
        ("Keeps people from a right, a service or a contract", "open: a payment can be refused"),
    )
    return Part(
        "Technical sheet: why this assessment is made",
        (
            law("gdpr-35-1"),
            law("gdpr-35-3"),
            law("wp248"),
            Table("Criteria of WP 248 rev.01", ("Criterion", "What this run says to it"), rows),
            law("psr-83"),
            Blank("Who made this assessment, in which version, and when was it completed and approved?"),
            Blank("Does a national list require or exempt it?"),
        ),
    )


def _data(facts: Facts) -> Part:
    columns = facts.metrics["data"]["columns"]
    rows = [(shown(name), shown(use)) for name, use in columns["used"].items()]
    rows += [(shown(name), "not read") for name in columns["ignored"]]
    blocks: list[Block] = [Text(rows_text(facts))]
    if rows:
        blocks.append(Table("Columns", ("Column", "Used as"), tuple(rows)))
    if facts.experiment.identifiers or facts.experiment.dataset == "simulated":
        blocks.append(
            Text(
                "Features of a row also look back at earlier rows of the same customer, and of each further identifier."
            )
        )
    if facts.metrics["synthetic"] is not None:
        patterns = plural(len(facts.metrics["synthetic"]["patterns"]), "pattern")
        blocks.append(Text(f"Synthetic fraud of {patterns} was added to training rows ({METRICS}: synthetic)."))
    blocks += [
        Text(
            "An update of a bank is computed from its training rows, and can tell of single ones unless something "
            "limits that."
        ),
        law("gdpr-4-5"),
        Blank("Which categories of people and of data do these columns hold, and are special categories among them?"),
    ]
    return Part("Personal data", tuple(blocks))


def _scope(facts: Facts) -> Part:
    data, parameters = facts.metrics["data"], facts.metrics["parameters"]
    rows = (
        ("Rows", count_text(data["rows"])),
        ("Frauds among them", count_text(data["frauds"])),
        ("Banks", count_text(len(facts.banks))),
        ("Rounds", count_text(len(facts.rounds))),
        ("Weights of the model", count_text(parameters)),
        ("Scheme of the sums", called(facts.scheme)),
        ("Trained under differential privacy", "no" if facts.privacy is None else f"yes, {facts.privacy.mechanism}"),
    )
    return Part(
        "Nature, scope and context",
        (
            Table("The run in figures", ("What", "In this run"), rows),
            Blank("How many people are affected, where, and how often?"),
            Blank("In which context are payments scored, and what do people expect?"),
            Blank("Is the processing cross-border, and are data transferred to third countries?"),
        ),
    )


def _flows(facts: Facts) -> Part:
    rounds = f"in round 0, which agrees on statistics, and in {plural(len(facts.rounds), 'round')} of training"
    return Part(
        "Functional description: what was sent to whom",
        (
            Text(
                "In a federation each bank collects and stores its rows before, and outside of training. In this run "
                f"each bank trained on its own rows, and what follows was sent {rounds}, by the transcript, summed "
                "over all of them."
            ),
            Table("Flows", FLOWS, tuple(flow.cells for flow in joint_flows(facts))),
            Text(
                "Protection is the scheme's own. The transport's comes on top where there is one; this run had none, "
                "since no message left the process."
            ),
            Blank("How are rows collected, from whom, and what are people told?"),
            Blank("Who outside of these parties receives model, scores or rows?"),
        ),
    )


def _assets(facts: Facts) -> Part:
    read = [(shown(party), "; ".join(lines) or "nothing") for party, lines in facts.custody.can_decrypt.items()]
    software = [(name, str(version)) for name, version in facts.opening["software"].items() if version is not None]
    return Part(
        "Means of processing and assets",
        (
            Table("What each party can read in the clear", ("Party", "Can read"), tuple(read)),
            Table("Software, as the record names it", ("Package", "Version"), tuple(software)),
            Blank("On which machines, at which sites and by which people is each party run?"),
        ),
    )


def _quality(facts: Facts) -> Part:
    central = facts.metrics["baselines"]["central"]["auprc"]
    alone = [bank["auprc"] for bank in facts.metrics["baselines"]["local"]]
    private = "" if facts.privacy is None else UNEQUAL
    rows = [
        ("The federated model", score_text(facts.metrics["final"]["auprc"])),
        *((f"Banks alone, {which}", score_text(value)) for which, value in _ends(alone)),
        ("One model on all rows pooled", score_text(central)),
    ]
    return Part(
        "Data quality and accuracy",
        (
            Table("AUPRC on the test rows", ("Model", "AUPRC"), tuple(rows)),
            Text(
                f"One run on one split, without intervals ({METRICS}: final, baselines). {private}Labels are taken as "
                f"they are: whether fraud was labelled rightly, neither {TRANSCRIPT} nor {METRICS} can tell."
            ),
            Blank("Which quality of data is required, how is it checked, and who corrects labels?"),
        ),
    )


def _ends(values: list[float]) -> list[tuple[str, float]]:
    return [("lowest", min(values)), ("highest", max(values))] if values else []
