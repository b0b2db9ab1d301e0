"""Answers that were paid for once, so that a repeated run asks for none of them again.

An answer is found by its prompt, model, form, largest size and the version of the patterns' schema. It is written as
soon as it has arrived, whole or not at all; keys and addresses are never part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs
from pydantic import ValidationError

from secure_fl.data.synthetic.answers import Answer
from secure_fl.data.synthetic.patterns import SCHEMA_VERSION
from secure_fl.data.synthetic.prompts import Format, Prompt
from secure_fl.data.ulb import CACHE_VARIABLE
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.files import staged_file


@dataclass(frozen=True)
class AnswerCache:
    """A folder of answers."""

    folder: Path

    @classmethod
    def of_user(cls) -> Self:
        """In the user's cache folder; SECURE_FL_CACHE overrides it."""
        override = os.environ.get(CACHE_VARIABLE)
        return cls((Path(override) if override else platformdirs.user_cache_path("secure-fl")) / "synthetic")

    def find(self, prompt: Prompt, model: str, form: Format, max_tokens: int) -> Answer | None:
        """The stored answer; None if there is none, or its file is damaged."""
        try:
            return Answer.model_validate_json(self._path(prompt, model, form, max_tokens).read_bytes())
        except (OSError, ValidationError):
            return None

    def store(self, prompt: Prompt, model: str, max_tokens: int, answer: Answer) -> None:
        """Raises SyntheticError if the folder cannot be written."""
        path, failed = self._path(prompt, model, answer.form, max_tokens), False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with staged_file(path) as staging:
                staging.write_text(answer.model_dump_json() + "\n", encoding="utf-8")
        except (OSError, ConfigurationError):
            failed = True
        if failed:
            raise SyntheticError(
                f"the cache {self.folder} cannot be written, and answers that cost money would be lost; set "
                f"{CACHE_VARIABLE} to another folder"
            )

    def _path(self, prompt: Prompt, model: str, form: Format, max_tokens: int) -> Path:
        parts = [SCHEMA_VERSION, model, form, max_tokens, prompt.digest(form), prompt.schema]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()
        return self.folder / f"{key}.json"
