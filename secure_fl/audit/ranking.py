"""From sums of SHAP values to a ranking of features, and how much of it is chance.

Everything here is computed from opened sums: whoever reads the report could do it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.explaining import REPLICATES, FeatureSums
from secure_fl.audit.floors import LEAST_ROWS

TOP = 10
"""Features whose place at the top is looked at in each replicate."""
LEVEL = 0.95
_NO_EARLIER = "The run kept no model of earlier rounds, so the change between rounds is not known."
_ONE_ROUND = "The run has one round, so nothing changed between rounds."


def shap_document(summed: FeatureSums) -> dict[str, Any]:
    """The figures as plain JSON values, features by falling mean |SHAP|."""
    order = np.argsort(-summed.absolute, kind="stable")
    rows = max(summed.rows, 1)
    low, high = _ends(summed.replicates / rows)
    places = _ranks(summed.replicates)
    first, last = np.quantile(places, (0.025, 0.975), axis=0, method="nearest")
    return {
        "rows": summed.rows,
        "unit": "log-odds of fraud",
        "features": [summed.features[place] for place in order],
        "mean_abs": (summed.absolute / rows)[order].tolist(),
        "mean": (summed.signed / rows)[order].tolist(),
        "interval": [[float(low[place]), float(high[place])] for place in order],
        "rank_interval": [[int(first[place]), int(last[place])] for place in order],
        "stability": _stability(summed.absolute, summed.replicates),
        "groups": {
            column: {name: _group(summed, cell, order) for name, cell in cells.items()}
            for column, cells in summed.groups.items()
        },
    }


def rounds_document(summed: FeatureSums, earlier: Sequence[int], rounds: int) -> dict[str, Any]:
    """What the model of a few rounds before the last went by; features in the order of the last."""
    order = np.argsort(-summed.absolute, kind="stable")
    top = _top(summed.absolute)
    correlations, kept = _agreement(summed.absolute, summed.earlier, top) if top > 1 else ([], [])
    return {
        "earlier_models": len(earlier),
        "note": None if earlier else _ONE_ROUND if rounds == 1 else _NO_EARLIER,
        "last": rounds,
        "top": top,
        "earlier": [
            {
                "round": number,
                "mean_abs": (sums / max(summed.rows, 1))[order].tolist(),
                "spearman": correlations[place] if correlations else None,
                "kept": kept[place] if kept else None,
            }
            for place, (number, sums) in enumerate(zip(earlier, summed.earlier, strict=True))
        ],
    }


def _group(
    summed: FeatureSums, cell: tuple[int, NDArray[np.float64], NDArray[np.float64]], order: NDArray[np.int64]
) -> dict[str, Any]:
    rows, absolute, signed = cell
    if rows < LEAST_ROWS:
        return {"suppressed": f"fewer than {LEAST_ROWS} explained rows"}
    return {"rows": rows, "mean_abs": (absolute / rows)[order].tolist(), "mean": (signed / rows)[order].tolist()}


def _top(absolute: NDArray[np.float64]) -> int:
    """So many first features are looked at."""
    return min(TOP, int((absolute > 0).sum()))


def _stability(absolute: NDArray[np.float64], replicates: NDArray[np.float64]) -> dict[str, Any]:
    """How far the ranking moves when rows are drawn again."""
    top = _top(absolute)
    if top < 2:
        return {"replicates": REPLICATES, "level": LEVEL, "top": top, "spearman": None, "kept": None}
    correlations, kept = _agreement(absolute, replicates, top)
    return {
        "replicates": REPLICATES,
        "level": LEVEL,
        "top": top,
        "spearman": {"median": float(np.median(correlations)), "least": float(np.min(correlations))},
        "kept": {"mean": float(np.mean(kept)), "least": float(np.min(kept))},
    }


def _agreement(absolute: NDArray[np.float64], others: NDArray[np.float64], top: int) -> tuple[list[float], list[float]]:
    """Of each other ranking, [n, features], with this one: Spearman's correlation, and the share of the first features
    that are among its first too. Features that move no score are left out.
    """
    varying = absolute > 0
    own, ranks = _ranks(absolute[np.newaxis, varying])[0], _ranks(others[:, varying])
    correlations = [float(np.corrcoef(own, each)[0, 1]) for each in ranks]
    best = set(np.argsort(-absolute, kind="stable")[:top].tolist())
    kept = [len(best & set(np.argsort(-each, kind="stable")[:top].tolist())) / top for each in others]
    return correlations, kept


def _ends(replicates: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(replicates, (tail, 1 - tail), axis=0)
    return low, high


def _ranks(replicates: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each feature in each replicate, from 1."""
    order = np.argsort(-replicates, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, order.shape[1] + 1)[np.newaxis, :], axis=1)
    return ranks
