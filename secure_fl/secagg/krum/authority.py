"""The key authority of Multi-Krum: it opens distances, chooses banks, and opens one sum, that of the chosen ones.

In each attempt it answers one request to choose and, after that, one to open, for exactly the banks that it chose: the
sums of two sets could differ by one bank's update. Attempts count in rising order. It keeps the distances to itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.krum import WEIGHTS_WIDTH, KrumPlan
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, unpack_sum
from secure_fl.secagg.krum.distances import Distances, least_bad, refused
from secure_fl.secagg.krum.selection import Select, Selection
from secure_fl.secagg.krum.wire import SELECT, encode_choice, split_list, split_totals
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector, pack_bits
from secure_fl.secagg.protocol import dropout, reason
from secure_fl.secagg.turns import OneAnswer


@dataclass
class Choices:
    """The authority's memory, which lasts as long as its key: both answers of a turn, and what it chose in it."""

    selections: OneAnswer = field(default_factory=OneAnswer)
    openings: OneAnswer = field(default_factory=OneAnswer)
    made: Choice | None = None


@dataclass(frozen=True)
class Choice:
    """What was chosen in one attempt."""

    cohort: bytes
    """The cohort's digest."""
    chosen: tuple[int, ...]
    """Numbers of banks."""
    ties: tuple[int, ...]
    """Numbers of banks that the rule could not tell apart within the errors."""
    squared_norm: tuple[float, float]
    """Of the sum over the chosen banks, and its largest error, as their distances imply."""


class KrumAuthority:
    """Makes the key pair, gives out the public key, and answers for a rule."""

    def __init__(self, parameters: HeParameters, select: Select) -> None:
        self._secret = SecretContext(parameters)
        self._select = select
        self._choices = Choices()

    def __repr__(self) -> str:
        return "KrumAuthority(...)"

    def public_key(self) -> bytes:
        return self._secret.public_key()

    def decryptor(self, cohort: Cohort[KrumPlan]) -> KrumDecryptor:
        return KrumDecryptor(cohort, self._secret, self._select, self._choices)


class KrumDecryptor:
    """The key authority's part in one attempt."""

    def __init__(self, cohort: Cohort[KrumPlan], secret: SecretContext, select: Select, choices: Choices) -> None:
        self._cohort, self._plan, self._secret = cohort, cohort.plan, secret
        self._select, self._choices = select, choices

    @property
    def ties(self) -> tuple[str, ...]:
        """Banks that the rule could not tell apart within the errors, in this attempt; nobody else is told."""
        made = self._choices.made
        if made is None or made.cohort != self._cohort.digest:
            return ()
        return tuple(self._cohort.banks[number] for number in made.ties)

    def respond(self, request: bytes) -> bytes:
        asked = open_message(self._cohort, request, recipient=KEY_AUTHORITY, sender=AGGREGATOR)
        if asked.stage == SELECT:
            memory, compute = self._choices.selections, self._choose
        elif asked.stage == DECRYPT:
            memory, compute = self._choices.openings, self._open
        else:
            raise ProtocolError(f"the key authority has no stage {asked.stage!r}; make a new attempt")
        answer = memory.answer(self._cohort, "the key authority", asked.payload, lambda: compute(asked.payload))
        return seal(self._cohort, asked.stage, KEY_AUTHORITY, AGGREGATOR, answer)

    def _choose(self, payload: memoryview) -> bytes:
        numbers, rest = split_list(payload, len(self._cohort.banks))
        self._require_threshold(len(numbers), "choose among")
        distances = self.distances(numbers, rest)
        out = refused(self._plan, distances)
        left = [row for row in range(len(numbers)) if row not in out]
        why = {self._cohort.banks[numbers[row]]: text for row, text in out.items()}
        self._require_threshold(len(left), "choose among", why)
        selection = self._selection(distances, left, least_bad(self._plan, distances, out), why)
        chosen = sorted(left[row] for row in selection.chosen)
        self._require_threshold(len(chosen), "open a sum of", why)
        self._choices.made = Choice(
            cohort=self._cohort.digest,
            chosen=tuple(numbers[row] for row in chosen),
            ties=tuple(sorted(numbers[left[row]] for row in selection.ties)),
            squared_norm=distances.squared_norm_of_sum(chosen),
        )
        return encode_choice(self._choices.made.chosen, {numbers[row]: text for row, text in out.items()})

    def distances(self, numbers: tuple[int, ...], rest: memoryview) -> Distances:
        """Opens totals, of which each is one number. They stay with the key authority."""
        parts, squares = split_totals(self._plan.parameters_of_context, rest, len(numbers))
        of_weighed = self._plan.unit / WEIGHTS_WIDTH
        imaginary = [self._secret.open_total(total, imaginary=True) * of_weighed for total in parts]
        opened = [self._secret.open_total(total) * self._plan.unit for total in squares]
        return Distances.measured(self._plan, opened[: len(numbers)], opened[len(numbers) :], imaginary)

    def _selection(self, distances: Distances, left: list[int], bad: int, why: dict[str, str]) -> Selection:
        """What the rule says of those who are left. Raises `DropoutError` where they are too few for it.

        `bad`: how many of the refused are byzantine for certain. Not all must be: two can get an honest one refused.
        """
        try:
            selection = self._select(*distances.among(left), bad)
        except ConfigurationError as error:
            problem = f"the rule cannot choose among {len(left)} banks: {reason(error)}"
            raise dropout(problem, "wait for more banks", why) from None
        if not set(selection.chosen) <= set(range(len(left))) or len(set(selection.chosen)) < len(selection.chosen):
            raise ConfigurationError("the rule chose a bank twice, or one that is none; give another rule")
        return selection

    def _open(self, payload: memoryview) -> bytes:
        made = self._choices.made
        numbers, rest = split_list(payload, len(self._cohort.banks))
        if made is None or made.cohort != self._cohort.digest or numbers != made.chosen:
            raise ProtocolError(
                "the key authority was asked to open another sum than that of the banks it chose; make a new attempt"
            )
        slots = self._secret.decrypt(*unpack_sum(self._plan, rest, len(numbers)))
        total = decode_slots(self._plan, slots, len(numbers))
        self._require_norm(total, np.rint(slots[self._plan.slots :]), made)
        return pack_bits(total, self._plan.field_bits)

    def _require_norm(self, total: IntVector, padding: NDArray[np.float64], made: Choice) -> None:
        """The sum must be as long as the distances between its parts say, and there must be nothing behind it."""
        centred = (total - len(made.chosen) * self._plan.centre).astype(np.float64)
        expected, error = made.squared_norm
        if abs(centred @ centred - expected) > error or padding.any():
            raise ProtocolError(
                "the sum does not fit the distances between the chosen banks: some bank encrypted what is no update, "
                "or another sum was sent; make a new attempt"
            )

    def _require_threshold(self, banks: int, what: str, why: dict[str, str] | None = None) -> None:
        if banks < self._plan.threshold:
            problem = (
                f"the key authority was asked to {what} {banks} banks, and the threshold is {self._plan.threshold}"
            )
            raise dropout(problem, "wait for more banks, or choose more of them", why or {})
