"""Every error that secure_fl raises on purpose.

A message has two halves, "what is wrong; what to do", because the command line prints it as the one line
`error: ...` that a person sees. No message ever holds a key, a transaction's value or a payload.
"""

from __future__ import annotations

from collections.abc import Mapping


class DataWarning(UserWarning):
    """What a person should look at in the data before believing a result."""


class DamageWarning(UserWarning):
    """A stored file is damaged, and the work goes on without it. The command line shows it as one line, `note: ...`."""


class SecureFLError(Exception):
    """Something was tried and failed. The command line ends with `exit_code`."""

    exit_code = 1


class RequestError(SecureFLError):
    """The request cannot work as it stands: a setting, an argument or an input file must change."""

    exit_code = 2


class ConfigurationError(RequestError):
    """A setting is unknown, out of range or contradicts another."""


class PlanError(RequestError):
    """The planner proved that a sum, a score or a training with these numbers cannot be exact, or cannot be secure."""


class ScoringError(RequestError):
    """A model cannot be computed on ciphertexts as it is: its kind, its depth or its weights."""


class DataError(RequestError):
    """Transactions are missing, malformed or unusable. Says where (file, line, column), never a value."""


class PrivacyError(RequestError):
    """A privacy budget would be exceeded, or what was spent of it is not known."""


class LedgerStorageError(PrivacyError):
    """A release could not be entered, since the disk is full or broken: it was not made."""

    exit_code = 1


class StorageError(SecureFLError):
    """The disk is full or broken, or a quota is reached: something could not be written, and is absent."""


class FetchError(SecureFLError):
    """A dataset could not be downloaded, verified or stored."""


class SyntheticError(SecureFLError):
    """Synthetic fraud could not be obtained, or what is stored of it was tampered with."""


class TrainingError(SecureFLError):
    """Local training failed, for instance because the weights are no longer finite."""


class RecordError(SecureFLError):
    """The record of a run, or a file that it names, is not what was recorded, or not signed by whom it should be."""

    def __init__(self, message: str, *, line: int | None = None, file: str | None = None) -> None:
        """`line` of the record, from 1, or `file` of the run: where it was noticed."""
        super().__init__(message)
        self.line, self.file = line, file


class AuditError(SecureFLError):
    """An audit was made, and the model did not pass it; or its figures contradict each other."""


class LessonError(SecureFLError):
    """A lesson's notebook did not run to its end."""


class ProtocolError(SecureFLError):
    """A secure sum, or the scoring of encrypted rows, could not be completed."""

    def __init__(self, message: str, refused: Mapping[str, str] | None = None) -> None:
        """`refused`: the banks that are to blame, each with the reason; a new attempt goes without them."""
        super().__init__(message)
        self.refused = dict(refused or {})
        self.absent: dict[str, str] = {}
        """Banks that refused to answer or could not be reached; they are asked again in a new attempt."""
        self.quarrels: dict[str, dict[str, str]] = {}
        """Who blames which other banks for what; `refused` then holds whom to leave out for it."""
        self.lacking = 0
        """Where too few trustees answered: how many more had to."""


class MessageError(ProtocolError):
    """A message was truncated, altered, or belongs to another round, cohort, stage or sender."""


class DropoutError(ProtocolError):
    """Fewer banks than the threshold answered, or a party without which the sum cannot end is silent."""


class SecretExposureError(ProtocolError):
    """Secret key material turned up where only public material may be."""
