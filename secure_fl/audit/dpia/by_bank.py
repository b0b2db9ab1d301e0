"""One section for each bank: its rows, what it spent, what it sent and received, and what only it can decide."""

from __future__ import annotations

from collections.abc import Iterator

from secure_fl.audit.dpia.facts import METRICS, Facts
from secure_fl.audit.dpia.flows import HEAD, flows_of
from secure_fl.audit.dpia.tree import Blank, Block, Part, Table, Text, shown
from secure_fl.report.promise import epsilon_text
from secure_fl.report.wording import count_text, plural, share_text

TOLD = Text(
    "Numbers of rows and frauds stand side by side here because the sandbox played all banks. In a federation of "
    "separate parties each bank fills in its own section, and need not show it to the others."
)


def section_of(facts: Facts, bank: str) -> Part:
    """A bank's part."""
    blocks: list[Block] = [Table("Figures", ("What", "In this run"), tuple(_figures(facts, bank)))]
    blocks.append(Table("What it sent and received", HEAD, tuple(flow.cells for flow in flows_of(facts, bank))))
    blocks += [
        Blank(f"{shown(bank)}: contact, data protection officer and advice?"),
        Blank(f"{shown(bank)}: whose rows are these, on which legal basis, and how long are they kept?"),
        Blank(f"{shown(bank)}: which national law applies, and who decides?"),
    ]
    return Part(shown(bank), tuple(blocks))


def _figures(facts: Facts, bank: str) -> Iterator[tuple[str, str]]:
    data = facts.metrics["data"]["banks"]
    own, all_rows = data[bank], sum(each["train_rows"] for each in data.values())
    yield "Training rows", count_text(own["train_rows"])
    yield "Frauds among them", count_text(own["train_frauds"])
    yield "Share of all training rows", share_text(own["train_rows"] / all_rows)
    yield "Test rows", count_text(own["test_rows"])
    yield "Frauds among them", count_text(own["test_frauds"])
    rounds = facts.rounds
    in_sum = sum(bank in record["contributors"] and bank not in record["excluded"] for record in rounds)
    yield "Rounds that its update is part of", f"{in_sum} of {len(rounds)}"
    for name, what in (("dropped", "Rounds without it"), ("excluded", "Rounds in which the rule left it out")):
        if missed := [str(record["round"]) for record in rounds if bank in record[name]]:
            yield what, ", ".join(missed)
    refused = sum(bank in record["refused"] for record in rounds)
    if refused:
        yield "Refused", f"in {plural(refused, 'round')}; reasons are in {METRICS}: rounds.refused"
    yield from _spent(facts, bank)


def _spent(facts: Facts, bank: str) -> Iterator[tuple[str, str]]:
    if facts.privacy is None:
        yield "Privacy spent", "not counted: the run had no differential privacy"
        return
    for spent in facts.privacy.banks:
        if spent.bank == bank:
            yield "Epsilon of this run", epsilon_text(spent.epsilon)
            yield (
                "Noise multiplier, sample rate, steps",
                f"{spent.noise_multiplier:.4g}, {spent.sample_rate:.4g}, {spent.steps}",
            )
    life = facts.privacy.lifetime_epsilon
    yield "Epsilon of all runs on its rows", epsilon_text(life[bank]) if bank in life else "not known"
