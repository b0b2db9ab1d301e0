"""Notes on acts that belong to no single part of an assessment, and a notice of California drafted from the run."""

from __future__ import annotations

from secure_fl.audit.dpia.facts import Facts
from secure_fl.audit.dpia.law import law
from secure_fl.audit.dpia.tree import Blank, Block, Section, Table, Text, shown


def notes(facts: Facts) -> Section:
    """Chapter B."""
    titled: dict[str, tuple[Block, ...]] = {
        "Automated decisions": (
            law("gdpr-22"),
            Text(
                "The run gives scores and decides nothing. Whether a score alone decides on a payment is asked above."
            ),
        ),
        "Assessing together": (law("psr-83"), law("gdpr-draft")),
        "AI Act: detection of fraud": (
            law("ai-act"),
            law("ai-act-dates"),
            Blank("Is the score used for anything but detecting financial fraud, such as credit?"),
        ),
        "DORA: encryption in use, and keys": (
            law("dora-6"),
            law("dora-7"),
            Text('What this run has of both stands under "Security of processing" and "Keys and their life cycle".'),
        ),
        "California: notice at collection, and risk assessment": (
            law("ccpa-100"),
            law("ccpa-145"),
            law("ccpa-7150"),
            *_notice(facts),
        ),
    }
    sections = tuple(Section(f"B.{n}", title, blocks) for n, (title, blocks) in enumerate(titled.items(), 1))
    return Section("B", "Notes on the law", (), sections)


def _notice(facts: Facts) -> tuple[Block, ...]:
    """What a notice at collection has to tell, as far as the run tells it."""
    columns = [shown(name) for name in facts.metrics["data"]["columns"]["used"]]
    rows = (
        ("Categories collected", ", ".join(columns) or "the columns that were handed over"),
        ("Purpose", "training a model that scores payments for fraud; further purposes: the blank below"),
        ("Sold or shared", "no message of the run carries a row; updates and sums go to the parties named above"),
        ("Kept for", "the run sets no period: the blank below"),
    )
    return (
        Table("Draft of a notice at collection", ("What a notice tells", "As far as the run knows"), rows),
        Blank(
            "Are rows of California residents among these? Then: categories in the words of the act, purposes, sale or "
            "sharing, and retention?"
        ),
    )
