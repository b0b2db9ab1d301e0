"""Encrypted scoring as one self-contained page: what it took, how far it is off, and what each party saw.

No transaction is on it: the exhibit is of a message, as the model's owner received it.
"""

from __future__ import annotations

from secure_fl.report import frame, wording
from secure_fl.report.scoring_outcome import ScoringOutcome, auprc_text, time_shares
from secure_fl.scoring.custody import custody_of

CONTENTS = {
    "curves": "Encrypted and plain, as curves",
    "error": "How far logits are off",
    "time": "Where the time went",
    "traffic": "Bytes on the wire",
    "custody": "Who could see what",
    "exhibit": "What the model's owner saw",
    "plan": "The plan",
    "words": "Words on this page",
}


def render(page: ScoringOutcome) -> str:
    """The whole page as text. The same findings give the same text."""
    from secure_fl.report import exhibit, scoring_figures  # matplotlib is slow to import, so only when needed

    values = {
        "page": page,
        "figures": page.figures,
        "layout": "One row at a time" if page.plan.layout == "single" else "In batches",
        "verdict": verdict(page),
        "parts": time_shares(page),
        "curve_key": scoring_figures.curve_key(page),
        "pictures": scoring_figures.draw(page),
        "custody_of_scoring": custody_of(page.plan),
        "cells": exhibit.byte_grid(page.request, "Grid of the first bytes of a message with encrypted rows"),
        "dump": exhibit.hex_dump(page.request),
        "planned": {
            name.replace("_", " "): "none" if value is None else str(value)
            for name, value in page.plan.derived().items()
        },
    }
    contents = {name: title for name, title in CONTENTS.items() if name != "curves" or page.fraud is not None}
    return frame.fill("scoring.html.j2", contents, values)


def verdict(page: ScoringOutcome) -> str:
    """One or two sentences, derived from the figures alone."""
    rows = wording.plural(page.rows, "transaction")
    found = f"{rows} scored without showing them: {wording.seconds_text(page.seconds_per_row)} for each."
    auprc = auprc_text(page)
    if auprc is None:
        return f"{found} No logit is off by more than {wording.small_text(page.figures['max_abs_error'])}."
    return f"{found} AUPRC {auprc}."
