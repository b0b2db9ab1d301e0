"""The file of proposals: what was written, by whom, and what was rejected and why.

Rules: written whole or not at all; a file that exists is added to, never emptied, because what it holds may have cost
money. A proposal is known by the digest of its pattern. Whatever reads the file checks every pattern again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from secure_fl.data.synthetic.answers import Rejection
from secure_fl.data.synthetic.patterns import Proposal, faults
from secure_fl.errors import DataError
from secure_fl.files import make_folder, output_file

DEFAULT_FILE = Path("proposals.json")


class Proposals(BaseModel):
    """Content of the file, version 1."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1] = 1
    proposals: tuple[Proposal, ...] = ()
    rejected: tuple[Rejection, ...] = ()

    def with_more(self, proposals: Iterable[Proposal], rejected: Iterable[Rejection]) -> Proposals:
        """These and the new ones; what is here already is not repeated."""
        merged = {proposal.digest: proposal for proposal in (*proposals, *self.proposals)}
        known = {proposal.digest: None for proposal in (*self.proposals, *proposals)}
        return Proposals(
            proposals=tuple(merged[digest] for digest in known),
            rejected=tuple(dict.fromkeys((*self.rejected, *rejected))),
        )


def read_proposals(path: Path) -> Proposals:
    """Raises DataError if the file cannot be read or one of its patterns is not valid."""
    reason = ""
    try:
        return Proposals.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = error.strerror or "input/output error"
    except ValidationError as error:
        reason = faults(error)
    raise DataError(f"{path} is no file of proposals ({reason}); name a file that secure-fl synthesize wrote")


def add_proposals(path: Path, proposals: Iterable[Proposal], rejected: Iterable[Rejection] = ()) -> Proposals:
    """Add to the file, which is created if need be. Raises DataError if it holds something else."""
    make_folder(path.parent)
    with output_file(path, force=True) as staging:
        before = read_proposals(path) if path.exists() else Proposals()
        after = before.with_more(tuple(proposals), tuple(rejected))
        staging.write_text(after.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return after
