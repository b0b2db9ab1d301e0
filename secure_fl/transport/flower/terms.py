"""What all parties of a Flower round work out alike: the plan, the cohort, and how arrays become integers.

A bank sends `trained - global` of each array of floats, clipped, times its weight, and arrays of integers as they are.
The server adds the mean to the global arrays. So one clip range suits all floats, and integers keep their exact mean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.averaging.arrays import ArrayType, array_type, like
from secure_fl.averaging.encoding import Mean, MeanCodec, Weight, relative_weights
from secure_fl.averaging.updates import Updates
from secure_fl.codec.quantization import require_clip
from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.settings import Experiment
from secure_fl.transport.orders import About, cohort_of

Arrays = Mapping[str, NDArray[Any]]
INTEGER_BITS = 40
"""Integers of a model, such as batch norm's counters, lie within +-2**40."""


@dataclass(frozen=True)
class Terms:
    """The server says them, and every party checks them against what it accepts."""

    scheme: str
    bits: int
    threshold: int | None
    banks: tuple[str, ...]
    clip: float
    most_examples: int | None
    """A public number that no bank's examples exceed: what weights are relative to. None: all banks count the same."""
    weighted_by: str
    """What apps call the number of examples among their metrics."""

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ConfigurationError(f"there is no scheme {self.scheme!r}; choose one of {', '.join(sorted(SCHEMES))}")
        require_clip(self.clip)
        if self.most_examples is not None and not 1 <= self.most_examples < 1 << 53:
            raise ConfigurationError(f"{self.most_examples} examples cannot be the most; give a number from 1 on")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Terms:
        """Those in an order. Raises `MessageError`."""
        try:
            said = dict(facts["terms"])
            if said.keys() != {each.name for each in fields(cls)}:
                raise KeyError
            most, threshold = said["most_examples"], said["threshold"]
            return cls(
                scheme=str(said["scheme"]),
                bits=int(said["bits"]),
                threshold=None if threshold is None else int(threshold),
                banks=tuple(map(str, said["banks"])),
                clip=float(said["clip"]),
                most_examples=None if most is None else int(most),
                weighted_by=str(said["weighted_by"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, ConfigurationError):
            raise MessageError("an order has no terms that can be; look whether both have one version") from None

    @property
    def facts(self) -> dict[str, Any]:
        return {"terms": asdict(self)}

    @property
    def kind(self) -> Scheme:
        return SCHEMES[self.scheme]

    def require_those_of(self, settings: Experiment) -> None:
        """Raises `ConfigurationError` unless they are what a signed roster says."""
        asked = {
            "privacy": settings.private,
            "proofs": settings.proofs,
            "a robust rule": settings.robust != "none",
            "holders": settings.holders is not None,
            "witnesses": settings.witnesses > 0,
            "fresh keys": settings.fresh_keys is not None,
        }
        if any(asked.values()):
            what = ", ".join(name for name, is_asked in asked.items() if is_asked)
            raise ConfigurationError(
                f"the roster asks for what Flower apps do not do here ({what}); make another one, or use parties of "
                "secure-fl"
            )
        signed = (settings.scheme, settings.bits, settings.threshold, settings.bank_names)
        for what, said, agreed in zip(
            ("scheme", "bits", "threshold", "banks"),
            (self.scheme, self.bits, self.threshold, self.banks),
            signed,
            strict=True,
        ):
            if said != agreed:
                raise ConfigurationError(
                    f"the server says {what} = {said} and the roster {agreed}; start the server with the roster's"
                )

    def plan(self, length: int) -> Plan:
        """Raises `PlanError`."""
        return plan_for(self.kind, len(self.banks), length, self.bits, self.threshold)

    def cohort(self, session: bytes, round_: int, length: int, context: bytes) -> Cohort[Any]:
        return self.kind.cohort(self.plan(length), round_, self.banks, context, session)

    def cohort_of(self, about: About | None) -> Cohort[Any]:
        """The cohort of an order. Raises `MessageError` for one that cannot be."""
        return cohort_of(about, self.cohort)

    def weight(self, examples: object) -> Weight | None:
        """A bank's, from what its app says. Raises `ConfigurationError` for what is no number of examples; its text
        goes to the server, which chose name and most, so it does not hold the number.
        """
        most = self.most_examples
        if isinstance(examples, bool) or not isinstance(examples, (int, float)):
            raise ConfigurationError(
                f"the app's metrics have no single number {self.weighted_by!r}; let the train function return it"
            )
        if not examples >= 1 or examples != int(min(examples, 2**60)):
            raise ConfigurationError(f"{self.weighted_by} is no number of examples; give whole ones, from 1 on")
        if most is None:
            return None
        if examples > most:
            raise ConfigurationError(
                f"{self.weighted_by} is beyond {most}, the most that this federation takes; raise most_examples on "
                "the server"
            )
        return relative_weights(np.array([examples, most], dtype=np.float64))[0]

    def context(self, arrays: Arrays, told: bytes) -> bytes:
        """What banks agree on before they sum: these terms, the model that they were sent, and what else their apps
        are told (`records.told`): where all but one were told to learn nothing, the sum would be that one's update.
        """
        digest = hashlib.sha256(json.dumps([self.facts, told.hex()], sort_keys=True).encode())
        for name, array in arrays.items():
            digest.update(f"{name!r} {array_type(array, name)} ".encode())
            little = array.dtype.newbyteorder("<")  # the same bytes are other numbers in the other order
            digest.update(np.ascontiguousarray(array, little).tobytes())
        return digest.digest()


class Model:
    """The global arrays of a round, and how banks' arrays travel relative to them."""

    def __init__(self, terms: Terms, arrays: Arrays) -> None:
        """Raises `ConfigurationError` where there is nothing to average."""
        self._terms, self._arrays = terms, dict(arrays)
        self.types = types_of(arrays)
        self._zeros = Updates([{name: np.zeros_like(array, self._travels(name)) for name, array in arrays.items()}])
        self.codec = self._codec(self._zeros)

    def encode(self, trained: Arrays, weight: Weight | None, rng: np.random.Generator) -> NDArray[np.int64]:
        """One bank's vector. Raises `ConfigurationError` for arrays of another form, and for NaN and infinity."""
        self._require_form(trained)
        update = Updates([{name: self._difference(name, trained[name]) for name in self._arrays}])
        try:
            self._codec(update)
        except ConfigurationError as error:  # something is not finite
            raise ConfigurationError(str(error).replace("updates[0]", "the update")) from None
        for name in self._arrays:
            if self.types[name].integer and not _within(trained[name]):
                raise ConfigurationError(
                    f"{name} holds integers beyond +-2**{INTEGER_BITS}; keep such out of the model"
                )
        return self.codec.encode(update.floats(0), update.integers(0), weight, rng)

    def decode(self, total: NDArray[np.int64], contributors: int) -> tuple[dict[str, NDArray[Any]], float, int]:
        """The new arrays, how far their floats can be from the exact mean before they are rounded to their types, and
        how many values were clipped. Raises `MessageError` where no honest banks have such a mean.
        """
        mean: Mean = self.codec.decode(total, contributors)
        self._require_possible(mean)
        changes, _, _ = self._zeros.rebuilt(mean)
        new = {name: self._moved(name, change) for name, change in changes.items()}
        return new, max(mean.float_bounds), mean.clipped

    def _require_possible(self, mean: Mean) -> None:
        """A weight that does not go with its values puts the mean where no values are, or beyond its type."""
        kinds = [kind for name, kind in self.types.items() if kind.integer and self._arrays[name].size]
        possible = all(
            np.abs(floats).max() <= self._terms.clip + bound
            for floats, bound in zip(mean.floats, mean.float_bounds, strict=True)
        ) and all(
            low <= integers.min() and integers.max() <= high
            for integers, (low, high) in zip(mean.integers, map(_range, kinds), strict=True)
        )
        if not possible:
            raise MessageError("the mean lies where no bank's values can; a bank sent what is none, so leave it out")

    def _moved(self, name: str, change: NDArray[Any]) -> NDArray[Any]:
        kind, old = self.types[name], self._arrays[name]
        moved: NDArray[Any] = (
            change if kind.integer else like(old, kind, old.astype(np.float64).ravel() + change.ravel())
        )
        return moved

    def _codec(self, updates: Updates) -> MeanCodec:
        one = [relative_weights(np.ones(1))[0]]
        codec = updates.codec(self._terms.bits, self._terms.clip, None if self._terms.most_examples is None else one)
        return replace(codec, integer_bits=(INTEGER_BITS,) * len(codec.integer_bits))

    def _travels(self, name: str) -> Any:
        return self._arrays[name].dtype if self.types[name].integer else np.float64

    def _difference(self, name: str, trained: NDArray[Any]) -> NDArray[Any]:
        if self.types[name].integer:
            return trained
        with np.errstate(invalid="ignore"):
            difference: NDArray[Any] = trained.astype(np.float64) - self._arrays[name].astype(np.float64)
        return difference

    def _require_form(self, trained: Arrays) -> None:
        for lacking, what, said in ((self._arrays, trained, "lack"), (trained, self._arrays, "have")):
            other = [name for name in lacking if name not in what]
            if other:
                raise ConfigurationError(
                    f"the trained arrays {said} {', '.join(other[:3])}, unlike the model; return all and no others"
                )
        for name, kind in types_of(trained).items():
            if kind != self.types[name]:
                raise ConfigurationError(
                    f"{name} is {kind} after training and {self.types[name]} in the model; return arrays of one form"
                )


def types_of(arrays: Arrays) -> dict[str, ArrayType]:
    """Raises `ConfigurationError`."""
    return {name: array_type(array, name) for name, array in arrays.items()}


def _range(kind: ArrayType) -> tuple[int, int]:
    """The least and the largest integer of a model's array."""
    if kind.dtype == "bool":
        return 0, 1
    limits = np.iinfo(kind.dtype)
    return max(int(limits.min), -(1 << INTEGER_BITS)), min(int(limits.max), 1 << INTEGER_BITS)


def _within(integers: NDArray[Any]) -> bool:
    return not integers.size or max(abs(int(integers.min())), abs(int(integers.max()))) <= 1 << INTEGER_BITS
