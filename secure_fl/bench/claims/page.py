"""The claims as a page of Markdown, and the curve of detection as a picture.

Rules: every figure and every verdict on the page is computed from the measurement; the template holds definitions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from importlib import resources
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from secure_fl.bench.claims import delays as claims_delays
from secure_fl.bench.claims.intervals import ERROR, Reduction, seeds_needed
from secure_fl.bench.claims.measuring import CLAIMED_DETECTION, CLAIMED_POSITIVES, COMPARISONS, Claims
from secure_fl.bench.claims.stream import LEARNING, WAYS, Detection, Way
from secure_fl.data import DELAY_DAYS

_SYNTHETIC = {"none": "", "unrelated": " + unrelated synthetic", "similar": " + similar synthetic"}
_COLORS = {"none": "#666666", "unrelated": "#1f77b4", "similar": "#d2691e"}
_STYLE: dict[Any, Any] = {"svg.hashsalt": "secure-fl", "svg.fonttype": "none", "font.size": 10}


def render(claims: Claims, picture: str | None) -> str:
    """The page; `picture` is the file name of the curve, beside the page."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701  Markdown, of our own figures
    template = resources.files("secure_fl.bench").joinpath("claims.md.j2").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        claims=claims,
        stream=claims.stream,
        picture=picture,
        seeds=_seeds_text(claims.seeds),
        needed=seeds_needed(claims.comparisons),
        error=f"{100 * ERROR:.0f} %",
        confidence=f"{100 * (1 - ERROR):.0f} %",
        each=f"{100 * (1 - ERROR / claims.comparisons):.2f} %",
        claimed_positives=f"{100 * CLAIMED_POSITIVES:.0f} %",
        claimed_detection=f"{100 * CLAIMED_DETECTION:.0f} %",
        positives=[_positives_row(claims, case.dataset, case.split) for case in claims.cases],
        ways=[_way_row(claims, way) for way in WAYS],
        comparisons=[_comparison_row(claims, *pair) for pair in COMPARISONS],
        verdict=_verdict(claims),
        patterns=_patterns(claims),
        alarms=[_alarm_row(claims, learning) for learning in LEARNING],
        warned=any(record.days_to_alarm is not None for record in claims.noticed),
        window=claims_delays.WINDOW_DAYS,
        least=claims_delays.LEAST,
        delay_days=DELAY_DAYS,
        fraud_share=f"{100 * max(claims.fraud_shares):.2f} %",
    )
    return text.rstrip() + "\n"


def draw(claims: Claims) -> str:
    """An SVG file: the share of (pattern, bank) pairs that are detected, by days since the first fraud at the bank."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 4.0), layout="constrained", facecolor="white")
        first, later = figure.subplots(1, 2, sharey=True)
        for axes, is_first, title in (
            (first, True, "the bank it hits first"),
            (later, False, "the banks it hits later"),
        ):
            for way in WAYS:
                records = [record for record in claims.of(way) if (record.lag_days == 0) == is_first]
                days, shares = _curve(records, 7 * claims.stream.weeks)
                dash = "-" if way[0] == "federated" else ":"
                axes.step(days, shares, dash, where="post", color=_COLORS[way[1]], label=way_text(way))
            axes.set(title=title, xlabel="days since its first fraud there", ylim=(0, 1))
        first.set_ylabel("share of patterns detected")
        figure.legend(*later.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def way_text(way: Way) -> str:
    """A way to learn, in words."""
    return way[0] + _SYNTHETIC[way[1]]


def percent(found: Reduction) -> str:
    """-12 % [-20, 3]: how much lower, with its interval if there is one; or a dash."""
    if not found.defined:
        return "-"
    if not found.bounded:
        return f"{100 * found.share:.0f} % [no interval]"
    low, high = (f"{100 * end:.0f}" if math.isfinite(end) else "-" for end in (found.low, found.high))
    return f"{100 * found.share:.0f} % [{low}, {high}]"


def _seeds_text(seeds: Sequence[int]) -> str:
    """1, 2, 3: "1 to 3"; with gaps, each of them."""
    if seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _curve(records: Sequence[Detection], last: int) -> tuple[list[int], list[float]]:
    days = list(range(last + 1))
    return days, [sum(r.detected and r.days_here <= day for r in records) / len(records) for day in days]


def _positives_row(claims: Claims, dataset: str, split: str) -> dict[str, str]:
    rows = [row for row in claims.positives if (row.dataset, row.split) == (dataset, split)]
    case = next(case for case in claims.cases if (case.dataset, case.split) == (dataset, split))
    local, pooled = claims.fewer_positives(case)
    return {
        "dataset": dataset,
        "split": split,
        "federated": f"{np.mean([row.federated for row in rows]):.0f}",
        "local": f"{np.mean([row.local_mean for row in rows]):.0f}",
        "pooled": f"{np.mean([row.pooled for row in rows]):.0f}",
        "against_local": percent(local),
        "verdict": {"less": "fewer", "more": "more"}.get(local.verdict, local.verdict),
        "beside": local.beside(CLAIMED_POSITIVES),
        "against_pooled": percent(pooled),
        "size": f"{rows[0].test_rows:,} / {rows[0].test_frauds}",
    }


def _way_row(claims: Claims, way: Way) -> dict[str, str]:
    records = claims.of(way)
    first = [r for r in records if r.lag_days == 0]
    later = [r for r in records if r.lag_days > 0]
    return {
        "name": way_text(way),
        "all_banks": f"{np.mean([r.days for r in records]):.1f}",
        "first_bank": f"{np.mean([r.days for r in first]):.1f}",
        "other_banks": f"{np.mean([r.days_here for r in later]):.1f}",
        "first_detected": f"{sum(r.detected for r in first)} of {len(first)}",
        "later_detected": f"{sum(r.detected for r in later)} of {len(later)}",
        "recall": f"{100 * sum(r.flagged for r in records) / sum(r.frauds for r in records):.0f} %",
    }


def _comparison_row(claims: Claims, way: Way, other: Way) -> dict[str, str]:
    found = claims.faster(way, other)
    return {
        "name": f"{way_text(way)} against {way_text(other)}",
        "all_banks": percent(found.all_banks),
        "first_bank": percent(found.first_bank),
        "other_banks": percent(found.other_banks),
        "beside": found.all_banks.beside(CLAIMED_DETECTION),
    }


def _verdict(claims: Claims) -> dict[str, str]:
    """Federated against local, both without synthetic data, in words."""
    found = claims.faster(("federated", "none"), ("local", "none"))
    return {
        name: {
            "less": "sooner than that bank alone",
            "more": "later than that bank alone",
        }.get(each.verdict, "neither sooner nor later, as far as these seeds show")
        + f" ({percent(each)} fewer days)"
        for name, each in (("all", found.all_banks), ("first", found.first_bank), ("later", found.other_banks))
    }


def _patterns(claims: Claims) -> list[dict[str, str]]:
    """For each new pattern: how often it was drawn, and its mean days since its first fraud at a bank."""
    rows = []
    for name in sorted({record.pattern for record in claims.detections}):
        row = {"name": name, "seeds": str(len({r.seed for r in claims.detections if r.pattern == name}))}
        for way in WAYS:
            days = [record.days_here for record in claims.of(way) if record.pattern == name]
            row["_".join(way)] = f"{np.mean(days):.0f}"
        rows.append(row)
    return rows


def _alarm_row(claims: Claims, learning: str) -> dict[str, str]:
    records = [record for record in claims.noticed if record.learning == learning]
    days = [record.days_to_alarm for record in records if record.days_to_alarm is not None]
    return {
        "learning": learning,
        "noticed": f"{len(days)} of {len(records)}",
        "days": f"{median(days):.0f}" if days else "-",
        "false": f"{sum(record.false_alarms > 0 for record in records)} of {len(records)}",
    }
