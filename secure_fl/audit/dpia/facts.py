"""What a run recorded, read once and believed only as far as the signed record says.

The record is verified first, as by `secure-fl audit --verify`; then each file is read once, and what was read is
compared with the record, so that nothing can change in between. Audits and attacks came later and are in no record:
what is taken from them is numbers and names of columns.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secure_fl.audit.dpia.later import Attack, GroupAudit, read_attacks, read_group_audit
from secure_fl.chain.links import read_links
from secure_fl.errors import ConfigurationError, RecordError
from secure_fl.privacy.spent import BankPrivacy, Privacy
from secure_fl.report.record import RECORD, Line
from secure_fl.report.record_check import Verified, verify_record
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.transcript import Delivery
from secure_fl.settings import BUILT_IN, Experiment

EXPERIMENT, METRICS, TRANSCRIPT = "experiment.toml", "metrics.json", "transcript.jsonl"
READ = (EXPERIMENT, METRICS, TRANSCRIPT)


@dataclass(frozen=True)
class Facts:
    """One run, as its files tell of it."""

    record: Verified
    opening: Mapping[str, Any]
    """What the record's first line says."""
    files: Mapping[str, str]
    """SHA-256 of each file that was read and is in the record."""
    experiment: Experiment
    metrics: Mapping[str, Any] = field(repr=False)
    custody: Custody
    privacy: Privacy | None
    deliveries: tuple[Delivery, ...] = field(repr=False)
    audit: GroupAudit | None
    attacks: tuple[Attack, ...]

    @property
    def banks(self) -> tuple[str, ...]:
        return tuple(self.opening["banks"])

    @property
    def rounds(self) -> list[Mapping[str, Any]]:
        return list(self.metrics["rounds"])

    @property
    def scheme(self) -> str:
        """The name by which the scheme calls itself, which is another one under a rule on ciphertexts or proofs."""
        return self.custody.scheme

    @property
    def hides_updates(self) -> bool:
        return self.scheme != "plaintext"

    @property
    def trustees(self) -> tuple[str, ...]:
        """Parties beside the banks and the aggregator, in the order in which they send or receive first."""
        names = dict.fromkeys(name for d in self.deliveries for name in (d.sender, d.recipient))
        return tuple(name for name in names if name not in (*self.banks, AGGREGATOR))

    @property
    def test_rows(self) -> tuple[int, int]:
        """Honest ones and frauds."""
        data = self.metrics["data"]
        banks = data["banks"].values()
        frauds = data["frauds"] - sum(bank["train_frauds"] for bank in banks)
        return data["rows"] - sum(bank["train_rows"] for bank in banks) - frauds, frauds

    @property
    def classes(self) -> int:
        """How many the model tells apart: where there are more than two, each test row is asked about each of them."""
        curves = self.metrics["curves"]
        answers = int(curves["honest"] + curves["frauds"])
        return max(2, answers // sum(self.test_rows))

    @property
    def own_rows(self) -> bool:
        """Whether the rows are neither simulated nor the public ones of ULB."""
        return self.experiment.dataset not in BUILT_IN

    @property
    def pseudonymized(self) -> tuple[str, ...]:
        """Columns of texts, which a key makes pseudonyms of."""
        used = self.metrics["data"]["columns"]["used"]
        return tuple(name for name, use in used.items() if use == "category" or use.startswith("identifier"))


def read_facts(run: Path, *, key: str | None = None, head: str | None = None) -> Facts:
    """The facts of a run's folder.

    `key` and `head`: as in `verify_record`. Raises `RecordError` where anything is not as it was recorded,
    `ConfigurationError` where there is no record, or files are of another version.
    """
    verified = verify_record(run, key=key, head=head)
    lines = list(read_links((run / RECORD).read_bytes(), Line))
    if lines[-1].hash != verified.head:
        raise RecordError(f"{run / RECORD} changed while it was read; let nobody write to it, and try again")
    recorded = {name: str(told) for line in lines if line.kind == "files" for name, told in line.says.items()}
    contents = {name: _content(run, name, recorded) for name in READ}
    try:
        return _facts(run, verified, lines[0].says, contents, {name: recorded[name] for name in READ})
    except (KeyError, TypeError, ValueError) as error:
        fault = f"{run} holds what this version does not know ({type(error).__name__})"
    raise ConfigurationError(f"{fault}; draft with the version that ran it")


def _content(run: Path, name: str, recorded: Mapping[str, str]) -> bytes:
    """A file as it was recorded. Raises `RecordError`."""
    try:
        content = (run / name).read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != recorded.get(name):
        raise RecordError(f"{run / name} is not what the record says; ask for an unchanged copy", file=name)
    return content


def _facts(
    run: Path, verified: Verified, opening: Mapping[str, Any], contents: Mapping[str, bytes], files: Mapping[str, str]
) -> Facts:
    metrics = json.loads(contents[METRICS])
    experiment = Experiment(**tomllib.loads(contents[EXPERIMENT].decode()))
    spent = metrics["privacy"]
    return Facts(
        record=verified,
        opening=opening,
        files=files,
        experiment=experiment,
        metrics=metrics,
        custody=Custody(**metrics["custody"]),
        privacy=None
        if spent is None
        else Privacy(**spent | {"banks": tuple(BankPrivacy(**b) for b in spent["banks"])}),
        deliveries=tuple(_delivery(line) for line in contents[TRANSCRIPT].splitlines()),
        audit=read_group_audit(run, tuple(opening["banks"]), experiment.scheme, metrics["rounds"][-1]["model_sha256"]),
        attacks=read_attacks(run),
    )


def _delivery(line: bytes) -> Delivery:
    said = json.loads(line)
    return Delivery(nbytes=said.pop("bytes"), **said)
