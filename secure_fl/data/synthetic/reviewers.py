"""Who may approve: the reviewer's own key, and the list of keys that this reader trusts.

Rules:
- One name, one key. A decision counts if its signature holds and this list has its key under the name that it gives.
- One's own key is trusted on first use, under the name of that use. Everybody else's is added by hand, after the
  whole key was compared with its owner (`secure-fl review trust NAME KEY`).
- The list lies apart from the store, in a file that nobody else may write.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs
from pydantic import TypeAdapter, ValidationError

from secure_fl.chain.links import Digest
from secure_fl.data.synthetic.review_line import Entry, require_name
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import ConfigurationError
from secure_fl.files import make_folder, only_one_in, staged_file

REVIEW_VARIABLE = "SECURE_FL_REVIEW"
"""Environment variable that overrides where the reviewer's key, the list and the last heads lie: one folder for all."""
_KEYS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, Digest])
_WRITABLE = f"make it writable for yourself alone, or set {REVIEW_VARIABLE} to a folder that you own"


@dataclass(frozen=True)
class Trusted:
    """The keys that count, by the name of who holds them."""

    keys: Mapping[str, str]

    def counts(self, entry: Entry) -> bool:
        """Whether the line was signed by one of them, under its own name."""
        return entry.key is not None and self.keys.get(entry.reviewer) == entry.key

    def name_of(self, key: str) -> str | None:
        return next((name for name, known in self.keys.items() if known == key), None)


@dataclass(frozen=True)
class ReviewerFiles:
    """Where a reviewer's own things lie, apart from any store."""

    key: Path
    trusted: Path
    heads: Path
    """Folder of what was last seen of each log."""

    @classmethod
    def of_user(cls) -> Self:
        """In the folder that SECURE_FL_REVIEW names if it is set, else among the user's configuration and state."""
        override = os.environ.get(REVIEW_VARIABLE)
        if override:
            return cls.in_folder(Path(override))
        config = platformdirs.user_config_path("secure-fl") / "review"
        return cls(
            config / "reviewer.key", config / "trusted.json", platformdirs.user_state_path("secure-fl") / "heads"
        )

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        return cls(folder / "reviewer.key", folder / "trusted.json", folder / "heads")

    def signer(self, name: str) -> ReviewerKey:
        """The reviewer's own key, created and trusted under this name where there is none yet.

        Raises ConfigurationError if the key stands for another name, or the name for another key.
        """
        require_name(name)
        key = ReviewerKey.load_or_create(self.key)
        own = self.read_trusted().name_of(key.public)
        if own is None:
            self.trust(name, key.public)
        elif own != name:
            raise ConfigurationError(
                f"the key {self.key} signs as {own}, not as {name}; decide in that name, or set {REVIEW_VARIABLE} to a "
                "folder of your own"
            )
        return key

    def read_trusted(self) -> Trusted:
        """The list; empty if there is no file. Raises ConfigurationError if others may write it or it is malformed."""
        try:
            if os.name == "posix" and stat.S_IMODE(self.trusted.stat().st_mode) & 0o022:
                raise ConfigurationError(
                    f"the list of trusted keys {self.trusted} can be written by others; look through it and run: "
                    f"chmod 600 {self.trusted}"
                )
            keys = _KEYS.validate_json(self.trusted.read_bytes(), strict=True)
        except FileNotFoundError:
            return Trusted({})
        except OSError as error:
            fault = f"cannot be read ({error.strerror or 'input/output error'}); make it readable"
        except ValidationError:
            fault = "is malformed; restore it from a copy, or move it away and trust the keys again"
        else:
            return Trusted(keys)
        raise ConfigurationError(f"the list of trusted keys {self.trusted} {fault}")

    def trust(self, name: str, key: str) -> None:
        """Count decisions that this key signs in this name from now on, and those that it signed before."""
        require_name(name)
        try:
            _KEYS.validate_python({name: key}, strict=True)
        except ValidationError:
            raise ConfigurationError("a public key has 64 hexadecimal digits; see secure-fl review key") from None

        def add(keys: dict[str, str]) -> None:
            if keys.get(name, key) != key or (name not in keys and key in keys.values()):
                raise ConfigurationError(
                    f"{name} is trusted with another key, or this key under another name; see secure-fl review trust, "
                    "and take back the old one with secure-fl review distrust NAME"
                )
            keys[name] = key

        self._change(add)

    def distrust(self, name: str) -> None:
        """Count nothing that this reviewer signed any more. Raises ConfigurationError if the list has no such name."""

        def remove(keys: dict[str, str]) -> None:
            if keys.pop(name, None) is None:
                raise ConfigurationError(f"nobody is trusted as {name!r}; see secure-fl review trust")

        self._change(remove)

    def _change(self, change: Callable[[dict[str, str]], None]) -> None:
        failure = ""
        try:
            make_folder(self.trusted.parent, mode=0o700)
            with only_one_in(self.trusted.parent):
                keys = dict(self.read_trusted().keys)
                change(keys)
                with staged_file(self.trusted, _WRITABLE) as staging:
                    staging.write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
                    staging.chmod(0o600)
        except OSError as error:
            failure = error.strerror or "input/output error"
        if failure:
            raise ConfigurationError(f"{self.trusted} cannot be written ({failure}); {_WRITABLE}")
