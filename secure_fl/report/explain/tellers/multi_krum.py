"""Multi-Krum on ciphertexts, step by step: distances of updates that nobody reads, and the sum of those chosen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from secure_fl.report.explain.pools import Updates
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Work, shown
from secure_fl.report.explain.tellers.homomorphic import HomomorphicTeller
from secure_fl.report.explain.tellers.teller import Told, listed
from secure_fl.robust.krum import krum_scores
from secure_fl.secagg.he.secret_keys import SecretKey
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.krum.authority import KrumDecryptor
from secure_fl.secagg.krum.distances import Distances
from secure_fl.secagg.krum.wire import SELECT, decode_choice, split_list
from secure_fl.secagg.messages import AGGREGATOR


class KrumTeller(HomomorphicTeller):
    """Knows the key authority's key, and how many banks its rule takes for byzantine."""

    failing = (
        "No sum was opened; distances were, if it came to that. The key stays; in a new attempt banks encrypt anew."
    )

    def __init__(
        self, recording: Recording, updates: Updates, secret: SecretKey, authority: KrumDecryptor, byzantine: int
    ) -> None:
        """`authority`: asked for nothing but what it opens of the totals."""
        super().__init__(recording, updates, secret)
        self.authority, self.byzantine = authority, byzantine

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        if stage == SELECT:
            text = (
                "For each pair it subtracts one ciphertext from the other and squares what is left, without a key. Of "
                "each square it sends one coefficient, in which all slots are added up: one number a pair, and never a "
                "vector. It sends the length of each update too, and a check for imaginary parts."
            )
            return Told("The aggregator sends encrypted distances", text)
        if stage == DECRYPT:
            text = "It has added the ciphertexts of the chosen banks, and of nobody else."
            return Told("The aggregator sends the sum of the chosen", text)
        return super().ask(stage, recipients)

    def answer(self, stage: str, sender: str) -> Told:
        if stage == SELECT:
            text = (
                "It opens distances and chooses the banks that lie closest to the others. Distances stay with it; what "
                "it learns by them is in the table of who can read what."
            )
            return Told("The key authority chooses", text, (self._choosing(),))
        if stage == DECRYPT:
            text = (
                "It opens one sum in an attempt: that of the banks it chose. The sum must be as long as their "
                "distances say, so another one is found out."
            )
            return Told("The key authority opens the sum of the chosen", text, (self._opening(),))
        return super().answer(stage, sender)

    def fields(self, sent: Sent) -> Iterator[Field]:
        payload = self.recording.payload(sent)
        if sent.stage == UPLOAD:
            yield from super().fields(sent)
        elif sent.sender == AGGREGATOR:
            numbers, rest = split_list(payload, len(self.banks))
            yield Field("banks", bytes(payload[: len(payload) - len(rest)]), self._names(numbers))
            if sent.stage == SELECT:
                yield Field("totals of squares", bytes(rest), self._distances_text(), (KEY_AUTHORITY,))
            else:
                yield from self.sum_fields(rest)
        elif sent.stage == SELECT:
            chosen, _ = decode_choice(payload, len(self.banks))
            yield Field("the choice", bytes(payload), self._names(chosen))
        elif sent.stage == DECRYPT:
            yield Field("the sum", bytes(payload), " ".join(shown(self._integers(payload))))

    @property
    def summed(self) -> memoryview:
        return split_list(self._asked(), len(self.banks))[1]

    @cached_property
    def contributors(self) -> int:
        return len(split_list(self._asked(), len(self.banks))[0])

    @cached_property
    def distances(self) -> tuple[tuple[int, ...], Distances] | None:
        """Numbers of the banks, and what the key authority opens; None where it was never asked."""
        found = self.recording.round(SELECT)
        if found is None:
            return None
        numbers, rest = split_list(self.recording.payload(found.requests[0]), len(self.banks))
        return numbers, self.authority.distances(numbers, rest)

    def hint(self, members: frozenset[str], bank: str) -> str:
        if self.distances is None or KEY_AUTHORITY not in members:
            return super().hint(members, bank)
        numbers, distances = self.distances
        if self.banks.index(bank) not in numbers:
            return ""
        row = numbers.index(self.banks.index(bank))
        others = [place for place in range(len(numbers)) if place != row]
        squared = np.rint(distances.squared[row, [*others, -1]]).astype(int)
        names = listed([self.banks[numbers[place]] for place in others])
        return (
            f"How far it is from {names} and how long it is, squared: {', '.join(map(str, squared))}; beside that, "
            "what the sum tells. With few numbers a bank that would be all of them."
        )

    def _distances_text(self) -> str:
        assert self.distances is not None
        numbers, _ = self.distances
        return f"squared distances of {len(numbers) * (len(numbers) - 1) // 2} pairs, and the length of each update"

    def _choosing(self) -> Work:
        assert self.distances is not None
        numbers, distances = self.distances
        squared, errors = distances.among(list(range(len(numbers))))
        closest = len(numbers) - self.byzantine - 2
        scores = krum_scores(squared, closest)
        lines = [
            Line(
                "", f"squared distances of {self.banks[number]}", shown(np.rint(squared[row]).astype(int), len(numbers))
            )
            for row, number in enumerate(numbers)
        ]
        answer = self.recording.answer(SELECT, KEY_AUTHORITY)
        assert answer is not None
        chosen, _ = decode_choice(answer, len(self.banks))
        bound = f"Distances are off by at most {errors.max():.3f}, and the rule allows for that."
        score = Line(
            "", f"scores: sums over the {closest} closest others", shown(np.rint(scores).astype(int), len(numbers))
        )
        return Work(KEY_AUTHORITY, "compares", (*lines, score), f"{bound} It chooses {self._names(chosen)}.")

    def _names(self, numbers: tuple[int, ...]) -> str:
        return listed([self.banks[number] for number in numbers])
