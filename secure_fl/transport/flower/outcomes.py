"""What came of a Flower app's rounds: who was in each sum, who sent how many bytes to whom, who could read what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from secure_fl.files import staged_file
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Deliveries

BY_ROSTER = (
    "Banks and key holders know each other's public keys by a roster that the federation's authority signed and that "
    "lies on every node: a SuperLink or ServerApp that swaps one is refused."
)
BY_SUPERLINK = (
    "Public keys came through the SuperLink, which is believed. One that lies, or a ServerApp that does, puts its own "
    "keys in the place of the key authority's, the share-holders' or the banks', and reads every update. Give nodes a "
    "signed roster (secure-fl certificates); or, under ckks, bfv and rlwe, let them take part in that scheme alone, "
    "and compare the fingerprints that they log by another way."
)
FLOWER = (
    "Nodes run the ClientApp that the SuperLink hands out. Whoever can change it there reads updates before they are "
    "protected, under every scheme, unless SuperNodes accept apps of trusted signers alone (--trusted-entities).",
    "The configuration of a run (context.run_config) comes from the SuperLink, which could give each node another one, "
    "and make a sum of tasks of which all but one change nothing; what an order holds is the same for all.",
    "What a node keeps between two stages lies in the memory of its SuperNode. Where a ClientApp's process is killed "
    "between its answer and the end of its process, that state is older than the answer; a node with a folder writes "
    "down its attempts on disk before it takes part in them, and without one an attempt could be begun again.",
    "Metrics that the app declared safe, and evaluation that does not go through the mod, are seen of each bank.",
)
_ANOTHER_WAY = "by a way that the aggregator does not control"


def custody_of(scheme: Scheme, *, roster: bool) -> Custody:
    """The scheme's statement, with Flower's part in it and the way that keys took."""
    own = scheme.custody
    rest = tuple(text for text in own.assumptions if _ANOTHER_WAY not in text)
    broken = () if roster or scheme.name == "plaintext" else ("a SuperLink, or a ServerApp, that swaps public keys",)
    return replace(
        own, broken_by=(*broken, *own.broken_by), assumptions=(BY_ROSTER if roster else BY_SUPERLINK, *FLOWER, *rest)
    )


@dataclass(frozen=True)
class RoundOutcome:
    """One round: its sum, or why there is none."""

    round: int
    contributors: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Banks that did not train, sent something wrong or vanished, each with the reason."""
    attempts: int = 0
    values: int = 0
    """Floats in one bank's update."""
    clipped: int = 0
    """Values beyond the clip range, over all contributors; they count as its edge."""
    error_bound: float = 0.0
    """How far any float of the mean can be from the exact mean of the clipped updates, before it is rounded to the
    type of its array. Integers have their exact mean, rounded."""
    failure: str = ""


def write_outcomes(
    folder: Path, custody: Custody, rounds: tuple[RoundOutcome, ...], transcript: Deliveries, facts: Mapping[str, str]
) -> None:
    """custody.json, rounds.json and transcript.jsonl. Raises `StorageError` or `ConfigurationError`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"bytes" if key == "nbytes" else key: value for key, value in asdict(d).items()}) for d in transcript
    ]
    texts = {
        "custody.json": json.dumps({**asdict(custody), **facts}, indent=1),
        "rounds.json": json.dumps([asdict(each) for each in rounds], indent=1),
        "transcript.jsonl": "\n".join(lines),
    }
    for name, text in texts.items():
        with staged_file(folder / name, "name another folder for the outcomes") as path:
            path.write_text(text + "\n", encoding="utf-8")
