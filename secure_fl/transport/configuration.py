"""What a party's TOML file says: where its files are, and where the gateway is. Paths are relative to that file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secure_fl.errors import ConfigurationError
from secure_fl.scoring.ways import Way
from secure_fl.transport.rates import REQUESTS

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _File(BaseModel):
    """Frozen, and nothing that is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    certificates: Path
    """The party's folder, as `secure-fl certificates` made it."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `ConfigurationError`, which names the file and the setting."""
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
            if any("\0" in value for value in settings.values() if isinstance(value, str)):
                raise ConfigurationError(f"{path}: a setting holds a zero byte; correct it")
            read = cls(**settings)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read ({error.strerror}); name the party's file") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path} is not valid TOML ({error}); correct it") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigurationError(f"{path}: {where}: {first['msg']}; correct it") from None
        return read.model_copy(
            update={
                name: path.parent / value for name in cls.model_fields if isinstance(value := getattr(read, name), Path)
            }
        )


class GatewayFile(_File):
    """Of a gateway."""

    state: Path
    """Folder for what it must not lose."""
    host: str = "127.0.0.1"
    """Where it listens."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8443
    """0: any that is free, which the log names."""
    status_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Where, on 127.0.0.1 alone, the status page is served to whoever uses this machine, over plain HTTP; none: not."""
    stage_seconds: Seconds = 60.0
    """How long it waits for answers in one stage of a sum."""
    train_seconds: Seconds = 600.0
    """How long banks may train."""
    linger_seconds: Seconds = 600.0
    """How long it stays after the last round for parties that have not heard of it."""
    absent_seconds: Annotated[float, Field(ge=5, le=86_400)] = 45.0
    """After how long without a sign of it a party is not waited for; parties give one every 1.5 s."""
    requests_per_second: Annotated[float, Field(ge=10, le=1_000_000)] = REQUESTS
    """Of one party, saved up for four seconds; beyond that it is answered 429. Each 64 KiB of a body count as one."""


class PartyFile(_File):
    """Of a bank or a key holder."""

    gateway: Annotated[str, Field(pattern=r"^https://")]
    """Its address, https://HOST:PORT."""
    memory: Path
    """Folder for what the party must not forget."""


class BankFile(PartyFile):
    """Of a bank."""

    transactions: Path | None = None
    """CSV or Parquet with its own rows; where nothing is said, its share of the experiment's dataset, as in a run."""
    out: Path
    """Folder for the model, when the federation is over."""


class ScoresFile(_File):
    """Of a service of scores."""

    model: Path
    """model.safetensors of a run, or of a bank."""
    state: Path
    """Folder for what it must not lose: how many answers each customer got. Another model gets another folder."""
    training: Path | None = None
    """Transactions of the model's owner, for the range of ReLU units."""
    way: Way = "batched"
    """How rows are scored: batched; single answers soonest; hidden drowns what answers tell of the weights."""
    answers: Annotated[int, Field(gt=0)] | None = None
    """Batches that one customer gets answered, in all sessions; where the model is hidden 1,024 if nothing is said."""
    sessions: Annotated[int, Field(gt=0, le=4096)] = 16
    """Keys of customers in memory at one time; the one that was used least recently is given up for another."""
    host: str = "127.0.0.1"
    """Where it listens."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8444
    """0: any that is free, which the log names."""
