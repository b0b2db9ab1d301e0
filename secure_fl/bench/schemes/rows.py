"""The rows of the benchmark: what `bench --json` writes, and what the table and the page show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from secure_fl.bench.measured import Measured
from secure_fl.bench.peers import PEERS
from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.links import round_seconds_at
from secure_fl.secagg.schemes import called

Status = Literal["measured", "refused", "not installed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scheme or peer at one size. Figures are None unless `status` is "measured"."""

    scheme: str
    peer: bool
    banks: int
    parameters: int
    bits: int | str
    repeat: int
    status: Status
    note: str | None = None
    """Why nothing was measured, or what is particular about a peer."""
    client_seconds: float | None = None
    server_seconds: float | None = None
    decode_seconds: float | None = None
    upload_bytes: int | None = None
    download_bytes: int | None = None
    setup_bytes: int | None = None
    stages: int | None = None
    max_abs_error: float | None = None
    peak_rss_bytes: int | None = None
    """The largest resident memory of the process that held all parties of this row, libraries included."""
    round_seconds_at: Mapping[str, float] | None = None

    @classmethod
    def of(cls, case: Case, status: Status, note: str | None = None, **figures: Any) -> Row:
        fields = {name: value for name, value in case.to_dict().items() if name != "seed"}
        return cls(**fields, status=status, note=note, **figures)

    @property
    def measured(self) -> bool:
        return self.status == "measured"

    @property
    def title(self) -> str:
        """The row's name for people: a peer's name, or the scheme with its bits."""
        if self.peer:
            return PEERS[self.scheme].title
        name = called(self.scheme)
        return f"{name} {self.bits}-bit" if isinstance(self.bits, int) else f"{name} {self.bits}"

    @property
    def size(self) -> tuple[int, int]:
        return self.banks, self.parameters

    @property
    def bytes_per_parameter(self) -> float:
        return (self.upload_bytes or 0) / self.parameters

    @property
    def floor_bytes(self) -> float | None:
        """As many bits as the sum has: what hides a sum of any values sends no less. None where nothing is hidden."""
        if self.scheme == "plaintext" or not isinstance(self.bits, int):
            return None
        largest = self.banks * ((1 << self.bits) - 1)
        return self.parameters * math.log2(largest + 1) / 8

    @property
    def times_floor(self) -> float | None:
        """Bits sent for each bit of the sum."""
        return None if self.floor_bytes is None else (self.upload_bytes or 0) / self.floor_bytes

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"installed": self.status != "not installed"}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Row:
        return cls(**{name: value for name, value in fields.items() if name != "installed"})


def measured_row(case: Case, measured: Measured, peak_rss_bytes: int) -> Row:
    """The row of a case that was measured."""
    return Row.of(
        case,
        "measured",
        note=PEERS[case.scheme].note if case.peer else None,
        client_seconds=measured.client_seconds,
        server_seconds=measured.server_seconds,
        decode_seconds=measured.decode_seconds,
        upload_bytes=measured.upload_bytes,
        download_bytes=measured.download_bytes,
        setup_bytes=measured.setup_bytes,
        stages=len(measured.stage_bytes),
        max_abs_error=measured.max_abs_error,
        peak_rss_bytes=peak_rss_bytes,
        round_seconds_at=round_seconds_at(measured),
    )
