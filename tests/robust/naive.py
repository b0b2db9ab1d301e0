"""The rules as their papers write them, with loops and Python floats: what the vectorized ones are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = list[float]
Rows = Sequence[Vector]


def middle(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def squared_distance(a: Vector, b: Vector) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def length(a: Vector) -> float:
    return math.sqrt(sum(x * x for x in a))


def mean(rows: Rows) -> Vector:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def median(rows: Rows, f: int) -> Vector:
    return [middle(column) for column in zip(*rows, strict=True)]


def trimmed_mean(rows: Rows, f: int) -> Vector:
    return [sum(sorted(column)[f : len(rows) - f]) / (len(rows) - 2 * f) for column in zip(*rows, strict=True)]


def norm_clip(rows: Rows, f: int) -> Vector:
    most = middle([length(row) for row in rows])
    return mean([[x * min(1.0, most / length(row)) if length(row) else x for x in row] for row in rows])


def krum_scores(rows: Rows, closest: int) -> list[float]:
    scores = []
    for i, row in enumerate(rows):
        distances = sorted(squared_distance(row, other) for j, other in enumerate(rows) if j != i)
        scores.append(sum(distances[:closest]))
    return scores


def krum_order(rows: Rows, closest: int) -> list[int]:
    scores = krum_scores(rows, closest)
    return sorted(range(len(rows)), key=lambda i: scores[i])


def krum(rows: Rows, f: int) -> Vector:
    return rows[krum_order(rows, len(rows) - f - 2)[0]]


def multi_krum(rows: Rows, f: int) -> Vector:
    return mean([rows[i] for i in krum_order(rows, len(rows) - f - 2)[: len(rows) - f]])


def bulyan(rows: Rows, f: int) -> Vector:
    among_all = krum_scores(rows, len(rows) - f - 2)
    left = list(range(len(rows)))
    picked: list[Vector] = []
    while len(picked) < len(rows) - 2 * f:
        scores = krum_scores([rows[i] for i in left], max(1, len(left) - f - 2))
        _, _, best = min((score, among_all[i], i) for score, i in zip(scores, left, strict=True))
        left.remove(best)
        picked.append(rows[best])
    found = []
    for column in zip(*picked, strict=True):
        centre = middle(column)
        near = sorted(column, key=lambda x: (abs(x - centre), x))[: len(picked) - 2 * f]
        found.append(sum(near) / len(near))
    return found


def centred_clip(rows: Rows, f: int) -> Vector:
    centre = median(rows, f)
    for _ in range(3):
        away = [[x - c for x, c in zip(row, centre, strict=True)] for row in rows]
        radius = middle([length(a) for a in away])
        step = mean([[x * min(1.0, radius / length(a)) if length(a) else x for x in a] for a in away])
        centre = [c + s for c, s in zip(centre, step, strict=True)]
    return centre


def fltrust(rows: Rows, root: Vector) -> Vector:
    total, trust = [0.0] * len(root), 0.0
    for row in rows:
        inner = sum(x * y for x, y in zip(row, root, strict=True))
        trusted = max(0.0, inner / (length(row) * length(root))) if length(row) and length(root) else 0.0
        trust += trusted
        for place, x in enumerate(row):
            total[place] += trusted * (length(root) / length(row)) * x if trusted else 0.0
    return [x / trust for x in total] if trust else total


def sum_of_distances(rows: Rows, point: Vector) -> float:
    """What the geometric median makes least."""
    return sum(math.sqrt(squared_distance(row, point)) for row in rows)
