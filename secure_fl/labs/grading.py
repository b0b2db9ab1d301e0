"""Grades an answer: `recover(seen)` in a file of the student's, against fresh random instances.

It is given what an eavesdropper sees and nothing else. What is hidden cannot be found by reading memory or files, also
not by root's answer: the process that drew it has ended, and the grader holds a commitment (`labs.sealing`), which is
searched no faster than by trying all numbers. Assumed: a lab draws from the operating system's randomness, and memory
of ended processes is read by nobody (root can, of the whole machine: /proc/kcore, swap).

An answer is no prisoner: it runs with the rights of whoever grades it. It can change files, so the labs and this
package, and reach the network; root's can write the grader's memory, and so the grade. Grade answers of strangers as a
user of their own, in a container. Limits of time, memory and output (`labs.running`) are for mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from secure_fl.errors import ConfigurationError
from secure_fl.labs.lab import Instance
from secure_fl.labs.running import run_answer
from secure_fl.labs.sealing import sealed_instances

INSTANCES = 20
SECONDS = 60.0
"""For all instances together."""
_NUMBERS = re.compile(rb"-?[0-9]{1,40}(?: -?[0-9]{1,40})*")


@dataclass(frozen=True)
class Grade:
    """What came of an answer."""

    right: int
    """Instances that were solved."""
    instances: int
    trouble: str | None
    """Why it stopped, or what was wrong with its form; None where it ran to its end."""

    @property
    def full(self) -> bool:
        return self.right == self.instances


def check(make: Callable[[], Instance], answer: Path, instances: int = INSTANCES, seconds: float = SECONDS) -> Grade:
    """Grade an answer on fresh instances. Raises `ConfigurationError` where there is no such file."""
    if not answer.is_file():
        raise ConfigurationError(f"{answer} is no file; write one with a function recover(seen)")
    sealed = sealed_instances(make, instances)
    lines, trouble = run_answer(answer, [each.seen for each in sealed], seconds)
    right = 0
    for each, line in zip(sealed, lines, strict=False):
        numbers = _numbers(line)
        if len(numbers) != each.places:
            trouble = trouble or f"an answer is not a list of {each.places} whole numbers"
        right += each.opens_with(numbers)
    return Grade(right, instances, trouble)


def _numbers(line: bytes) -> list[int]:
    """Empty where it is anything else; an answer can write to where its numbers go as it likes."""
    return [int(number) for number in line.split(b" ")] if _NUMBERS.fullmatch(line) else []
