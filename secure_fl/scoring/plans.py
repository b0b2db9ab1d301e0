"""Plans of encrypted scoring: what both parties must agree on before anything is encrypted.

`ScoringPlan` is public and travels to the data owner; its digest stands in every message. `PlannedModel` is the model
owner's, with weights. What a plan tells the data owner of the model: which features it takes, how many squares follow
each other (the primes), the scales of rows and of the result, the largest logit and the bounds of its error; where the
model is hidden the width of the noise that does it, and the former rounded up to powers of two. The widths of layers
are not told in a batch; with single rows they are, up to powers of two, by the layout.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args, get_origin, get_type_hints

from secure_fl.errors import MessageError, PlanError
from secure_fl.scoring.error_bound import Scales
from secure_fl.scoring.flooding import HIDING_BITS
from secure_fl.scoring.network import SquareNetwork
from secure_fl.scoring.noise import FAILURE_BITS
from secure_fl.scoring.parameters import CkksParameters

VERSION = 2
RELATIVE_TOLERANCE = 0.01
"""Of the largest logit: fewer than two digits of a score are refused, unless a tolerance is given."""
# Serialized size of a ciphertext of two polynomials by the bits of its one prime, measured and rounded up: 64-bit words
# under zstd, which gains little on random coefficients. Off by less than 2 %.
_CIPHERTEXT_BYTES = {
    40: 49_400, 41: 51_200, 42: 52_600, 43: 53_800, 44: 54_700, 45: 55_300, 46: 55_700,
    47: 55_900, 48: 56_300, 49: 57_900, 50: 59_000, 51: 60_100, 52: 60_900, 53: 61_400,
    54: 61_800, 55: 61_900, 56: 62_000, 57: 63_000, 58: 63_800, 59: 64_500, 60: 65_700,
}  # fmt: skip
_WORDS_OF_TABLE = 8192
_BYTES_PER_SMALL_BIT = 0.158
"""Of a word under a prime of 24 to 30 bits, measured."""
_ENCODING_BITS = 3
"""Above the largest number that is encoded, in bits of the modulus."""


@dataclass(frozen=True)
class ScoringPlan:
    """Public."""

    layout: Literal["batched", "single"]
    """A slot is a row and a ciphertext a feature, or two; or all slots are one row's."""
    parameters: CkksParameters
    features: int
    """Of a row as the data owner has it."""
    positions: tuple[int, ...]
    """Those that are sent."""
    must_be_zero: tuple[int, ...]
    """Those that no training row reached: a row with something there is refused."""
    clip: float
    """No feature may exceed it in absolute value."""
    input_scale_bits: int
    result_scale: float
    squares: int
    """One after the other."""
    largest_logit: float
    """Over all rows of the clip range; where the model is hidden up to a power of two, as both bounds are."""
    error_bound: float
    """On |encrypted logit - plain logit|, over all rows of the clip range, but for 2**-FAILURE_BITS a batch."""
    usual_error_bound: float
    """The same over rows that take no neuron further than the training rows did."""
    block: int = 1
    """Slots that a feature takes: 1, or for single rows the width of the first layer, up to a power of two."""
    paired: bool = False
    """Whether two features share a slot (`pairs`): of a logistic regression, which squares nothing."""
    divisions: int = 1
    """Primes that are divided away after each square."""
    rotations: tuple[int, ...] = ()
    """Steps that Galois keys are made for."""
    flooding_bits: int = 0
    """Width of the noise that hides the weights (`flooding`); 0: they are not hidden."""

    @property
    def rows_per_batch(self) -> int:
        return self.parameters.slots if self.layout == "batched" else 1

    @property
    def ciphertexts(self) -> int:
        """Sent for a batch."""
        if self.layout == "batched":
            return math.ceil(len(self.positions) / (2 if self.paired else 1))
        return math.ceil(len(self.positions) * self.block / self.parameters.slots)

    @property
    def hides_model(self) -> bool:
        return self.flooding_bits > 0

    def hiding_distance(self, batches: int = 1) -> float:
        """How far what a data owner sees of so many batches can be from what scores alone would give; 1: not hidden.

        Statistical distance, on top of the ring-LWE assumption; scores are those of rows as they were encoded.
        """
        return min(1.0, batches * 2.0**-HIDING_BITS) if self.hides_model else 1.0

    @property
    def key_parts(self) -> int:
        """Of the message with keys: for squares, for rotations, and to encrypt with."""
        return bool(self.squares) + bool(self.rotations) + self.hides_model

    @property
    def answer_primes(self) -> int:
        """That an answer keeps: all that squares leave where noise needs the room."""
        return len(self.parameters.data_bits) - self.squares * self.divisions if self.hides_model else 1

    @cached_property
    def upload_bytes(self) -> int:
        """Of a batch, about."""
        return self.ciphertexts * _bytes(self.parameters.degree, self.parameters.data_bits)

    @property
    def key_bytes(self) -> int:
        """Keys to compute and to encrypt with, sent once, about."""
        one = _bytes(self.parameters.degree, self.parameters.coeff_mod_bit_sizes)
        switching = bool(self.squares) + len(self.rotations)
        return (switching * len(self.parameters.data_bits) + 2 * self.hides_model) * one

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        return hashlib.sha256(self.to_json()).digest()

    def to_json(self) -> bytes:
        """As it travels."""
        return json.dumps(asdict(self) | {"version": VERSION}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ScoringPlan:
        """Inverse of `to_json`. Raises `MessageError`, or `PlanError` for parameters that are not secure."""
        try:
            document = json.loads(data)
            if document.pop("version") != VERSION:
                raise ValueError
            given = document.pop("parameters")
            parameters = CkksParameters(given["degree"], tuple(given["data_bits"]), given["special_bits"])
            lists = {name: tuple(value) for name, value in document.items() if isinstance(value, list)}
            plan = cls(parameters=parameters, **document | lists)
            _check(plan)
            if plan.to_json() != bytes(data):  # so that people who look at it see what is meant
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise MessageError("a plan for scoring cannot be read; ask the model owner for it again") from None
        return plan

    def derived(self) -> dict[str, Any]:
        """For people and scripts."""
        return {
            "layout": self.layout,
            "poly_modulus_degree": self.parameters.degree,
            "coeff_mod_bit_sizes": list(self.parameters.coeff_mod_bit_sizes),
            "security": self.parameters.security,
            "squares": self.squares,
            "features_sent": len(self.positions),
            "rows_per_batch": self.rows_per_batch,
            "upload_bytes_per_row": self.upload_bytes / self.rows_per_batch,
            "key_bytes": self.key_bytes,
            "rotations": list(self.rotations),
            "largest_logit": self.largest_logit,
            "error_bound": self.error_bound,
            "usual_error_bound": self.usual_error_bound,
            "batch_failure_probability": f"2^-{FAILURE_BITS}",
        } | ({"batch_hiding_distance": f"2^-{HIDING_BITS}"} if self.hides_model else {})


@dataclass(frozen=True, eq=False)
class PlannedModel:
    """A network with its scales: the model owner's secret half of a plan."""

    plan: ScoringPlan
    network: SquareNetwork = field(repr=False)
    scales: Scales


def _bytes(degree: int, bits: Sequence[int]) -> int:
    """One polynomial under primes of these sizes, compressed: the size of a ciphertext with a seed."""
    words = (_CIPHERTEXT_BYTES.get(size, _BYTES_PER_SMALL_BIT * size * _WORDS_OF_TABLE) for size in bits)
    return sum(round(entry * degree / _WORDS_OF_TABLE) for entry in words)


def check_tolerance(plan: ScoringPlan, tolerance: float | None) -> ScoringPlan:
    """The plan, where its bound is small enough; None: a share of the largest logit. Raises `PlanError`."""
    allowed = RELATIVE_TOLERANCE * plan.largest_logit if tolerance is None else tolerance
    if not plan.error_bound <= allowed:
        raise PlanError(
            f"a logit could be off by {plan.error_bound:.3g}, and {allowed:.3g} is allowed; allow more, narrow the "
            f"clip range (now {plan.clip:g}), or train with more weight decay"
        )
    return plan


def _check(plan: ScoringPlan) -> None:
    """A plan that passes can be carried out: keys made, rows of the clip range encrypted, an answer opened.

    Types are exact, since JSON's true is 1 for Python and a list of them chooses columns for numpy. Rotations are
    powers of two, as the layout has them, so that no plan makes the data owner draw thousands of keys. Raises
    `ValueError` where a field is of another type, not finite, or contradicts the others.
    """
    for name, kind in get_type_hints(type(plan)).items():
        if not _is(getattr(plan, name), kind):
            raise ValueError(name)
    if not (_places_fit(plan) and _numbers_fit(plan) and _layout_fits(plan)):
        raise ValueError


def _is(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON has the type of a field."""
    if kind is CkksParameters:
        return isinstance(value, CkksParameters)
    if get_origin(kind) is tuple:
        return type(value) is tuple and all(_is(each, get_args(kind)[0]) for each in value)
    if kind is float:
        return type(value) is float and math.isfinite(value)
    return type(value) is kind if isinstance(kind, type) else type(value) is str and value in get_args(kind)


def _places_fit(plan: ScoringPlan) -> bool:
    places = (*plan.positions, *plan.must_be_zero)
    return bool(plan.positions) and len(set(places)) == len(places) and all(0 <= at < plan.features for at in places)


def _numbers_fit(plan: ScoringPlan) -> bool:
    """Rows within the clip range can be encoded, and what is said of logits can be so."""
    if not 0 < plan.clip < 2**20 or not 0 < plan.input_scale_bits < 128 or plan.result_scale <= 0:
        return False
    if math.log2(plan.result_scale) >= sum(plan.parameters.data_bits):
        return False
    needed = plan.input_scale_bits + math.log2(max(plan.clip, 1.0)) + _ENCODING_BITS
    told = (plan.largest_logit, plan.error_bound, plan.usual_error_bound)
    return needed <= sum(plan.parameters.data_bits) and all(number >= 0 for number in told)


def _layout_fits(plan: ScoringPlan) -> bool:
    """Keys can be switched where they must be, and rotations are those of single rows."""
    steps, slots, primes = plan.rotations, plan.parameters.slots, plan.parameters.data_bits
    if plan.squares < 0 or plan.divisions < 1 or plan.squares * plan.divisions >= len(primes):
        return False
    if plan.parameters.special_bits is None and (len(primes) > 1 or steps):
        return False
    if not 0 <= plan.flooding_bits < sum(primes[: plan.answer_primes]) or not 0 < plan.block <= slots:
        return False
    if plan.layout == "batched":
        return plan.block == 1 and not steps and not (plan.paired and (plan.squares or plan.hides_model))
    if plan.paired or plan.hides_model:
        return False
    powers = all(0 < step < slots and step & (step - 1) == 0 for step in steps)
    return plan.block & (plan.block - 1) == 0 and powers and len(set(steps)) == len(steps)
