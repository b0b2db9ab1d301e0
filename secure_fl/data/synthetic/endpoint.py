"""One request to an OpenAI-compatible endpoint, and what its failure means.

Rules:
- Address, model and key come from the environment: OPENAI_BASE_URL (OpenAI's own if unset), OPENAI_MODEL and
  OPENAI_API_KEY. The key is in the Authorization header and nowhere else: no message of the endpoint or of its client
  library is passed on, because both may quote it, and redirects are not followed.
- The key travels over TLS, or to this machine, or it is the word "none" for an endpoint that asks for no key.
- A request ends after `timeout` seconds, also where an endpoint sends byte after byte, and after 4 MB.
- This module tries once. What to do after a failure is decided in asking.py.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from secure_fl.data.synthetic.answers import Answer
from secure_fl.data.synthetic.prompts import Format, Prompt
from secure_fl.errors import ConfigurationError, SyntheticError

ADDRESS, MODEL, KEY = "OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"
"""Environment variables."""
NO_KEY = "none"
"""Value of OPENAI_API_KEY for an endpoint that asks for none."""
_OPENAI = "https://api.openai.com/v1"
_MAX_BYTES = 4_000_000
TokenLimit = Literal["max_completion_tokens", "max_tokens"]
"""Name of the parameter that bounds an answer: the current one, and the one that older servers know."""


class BusyError(SyntheticError):
    """The endpoint may answer the same request later. `retry_after`: seconds that it asks for, if it does."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BrokenError(SyntheticError):
    """The endpoint failed (5xx): a passing fault, or a form of answer that it does not know."""


class SilentError(SyntheticError):
    """No complete answer in time: it may have been produced, and charged for, all the same."""


class UnreadableError(SyntheticError):
    """The endpoint said that all went well (200), and sent an error or no chat completion: it may charge for it."""


class UnsupportedError(SyntheticError):
    """The endpoint refuses this form of request. `about_limit`: it named the parameter that bounds the answer."""

    def __init__(self, message: str, about_limit: bool) -> None:
        super().__init__(message)
        self.about_limit = about_limit


@dataclass(frozen=True)
class Endpoint:
    """Where patterns are asked for. `repr` shows neither key nor address."""

    model: str
    base_url: SecretStr
    """A secret too: some people put credentials into addresses."""
    key: SecretStr

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Raises ConfigurationError that names the variables if something is missing or malformed."""
        environment = os.environ if environment is None else environment
        model, key = environment.get(MODEL, "").strip(), environment.get(KEY, "").strip()
        missing = " and ".join(name for name, value in ((KEY, key), (MODEL, model)) if not value)
        if missing:
            raise ConfigurationError(
                f"the environment lacks {missing}; set {KEY} ({NO_KEY} if the endpoint asks for no key), "
                f"{MODEL} and, unless it is OpenAI, {ADDRESS}; or ask for the built-in library with --built-in"
            )
        if not model.isprintable() or len(model) > 200:
            raise ConfigurationError(f"{MODEL} is not the name of a model; set it to a name that the endpoint lists")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigurationError(f"{KEY} holds blanks or characters that no key has; copy the key again")
        address = environment.get(ADDRESS, "").strip() or _OPENAI
        _require_safe(address, key)
        return cls(model, SecretStr(address), SecretStr(key))


def _require_safe(address: str, key: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"{ADDRESS} is no address of the form https://HOST/v1; correct it")
    if parts.username or parts.password or parts.query:
        raise ConfigurationError(f"{ADDRESS} holds credentials or a query; put the key into {KEY} only")
    if parts.scheme == "http" and key != NO_KEY and not _is_this_machine(host):
        raise ConfigurationError(
            f"{ADDRESS} is not https, so that the key would travel in the clear; use https, or set {KEY} to {NO_KEY} "
            "if the endpoint asks for no key"
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str
    text: str | None = None


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    content: str | list[str | _Part] | None = None
    """Some servers send parts; those that are thoughts have another type than text."""
    refusal: str | None = None

    @property
    def text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        parts = (part if isinstance(part, str) else part.text for part in self.content if _is_text(part))
        return "".join(part or "" for part in parts)

    @property
    def declined(self) -> bool:
        parts = self.content if isinstance(self.content, list) else []
        return bool(self.refusal) or any(isinstance(part, _Part) and part.type == "refusal" for part in parts)


def _is_text(part: str | _Part) -> bool:
    return isinstance(part, str) or part.type in ("text", "output_text")


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    model_config = ConfigDict(extra="ignore")
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Failure(BaseModel):
    model_config = ConfigDict(extra="ignore")
    code: Any = None


class _ErrorBody(BaseModel):
    """What some servers and most gateways send with status 200, although they mean another one."""

    model_config = ConfigDict(extra="ignore")
    error: str | _Failure


class _Completion(BaseModel):
    """The part of a chat completion that is read, whatever else a server adds."""

    model_config = ConfigDict(extra="ignore")
    choices: list[_Choice]
    usage: _Usage | None = None


class Line:
    """An open client of one endpoint; close it, or use it in a `with` statement."""

    def __init__(self, endpoint: Endpoint, timeout: float, temperature: float | None) -> None:
        self.endpoint = endpoint
        self._timeout, self._temperature = timeout, temperature
        self._client = openai.OpenAI(
            api_key=endpoint.key.get_secret_value(),
            base_url=endpoint.base_url.get_secret_value(),
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, prompt: Prompt, form: Format, max_tokens: int, limit: TokenLimit) -> Answer:
        """Ask once.

        Raises BusyError, BrokenError, SilentError, UnreadableError or UnsupportedError, or a plain SyntheticError where
        asking again is useless.
        """
        body: dict[str, Any] = {"model": self.endpoint.model, "messages": prompt.messages(form), limit: max_tokens}
        if self._temperature is not None:
            body["temperature"] = self._temperature
        if form == "json_schema":
            schema = {"name": "fraud_patterns", "strict": True, "schema": prompt.schema}
            body["response_format"] = {"type": form, "json_schema": schema}
        elif form == "json_object":
            body["response_format"] = {"type": form}
        failure: SyntheticError
        try:
            return _understood(self._exchange(body), form)
        except openai.APIStatusError as error:
            failure = _meaning(error.status_code, error.response.headers, error.body)
        except (openai.APITimeoutError, httpx2.TimeoutException):
            failure = SilentError(
                f"the endpoint did not answer within {self._timeout:g} s; try later or raise the time-out"
            )
        except openai.APIConnectionError:
            failure = BusyError(f"the endpoint cannot be reached; check {ADDRESS} and the connection")
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL):
            failure = SilentError("the connection to the endpoint broke off; try again later")
        raise failure

    def _exchange(self, body: dict[str, Any]) -> bytes:
        """The body of the answer, read against the clock."""
        deadline, received = time.monotonic() + self._timeout, bytearray()
        with self._client.chat.completions.with_streaming_response.create(**body) as response:
            for part in response.iter_bytes():
                received += part
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("too slow")
                if len(received) > _MAX_BYTES:
                    raise SyntheticError("the endpoint answered with more than 4 MB; check that it is the right one")
        return bytes(received)


def _understood(body: bytes, form: Format) -> Answer:
    with suppress(ValidationError, IndexError):
        completion = _Completion.model_validate_json(body)
        choice, usage = completion.choices[0], completion.usage or _Usage()
        return Answer(
            text=choice.message.text,
            finish_reason=choice.finish_reason or "",
            refused=choice.message.declined,
            form=form,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )
    with suppress(ValidationError):
        raise _meant(_ErrorBody.model_validate_json(body).error, body)
    raise UnreadableError(
        f"the endpoint's answer is no chat completion; check that {ADDRESS} ends where the API begins (/v1)"
    )


def _meant(said: str | _Failure, body: bytes) -> SyntheticError:
    """What an error that came with status 200 means: as its own status says, or else that it may be charged for."""
    code = "" if isinstance(said, str) else str(said.code)
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else None
    if status is not None:
        meaning = _meaning(status, {}, body.decode("utf-8", "replace"))
        if not isinstance(meaning, BusyError | BrokenError):
            return meaning
    number = "" if status is None else f" ({status})"
    return UnreadableError(f"the endpoint answered with an error{number} under status 200; check {MODEL}, or try later")


def _meaning(status: int, headers: Mapping[str, str], body: object) -> SyntheticError:
    """The error for an HTTP status. Of the body only known words are looked for; none of it is passed on."""
    said = str(body).lower()
    if status in (401, 403):
        return SyntheticError(f"the endpoint does not accept the key ({status}); check {KEY}")
    if status == 404:
        return SyntheticError(f"the endpoint knows no such model or path (404); check {MODEL} and {ADDRESS}")
    if status == 402 or (status == 429 and "insufficient_quota" in said):
        return SyntheticError(f"the account at the endpoint has no credit left ({status}); top it up, then repeat")
    if status == 429:
        return BusyError("the endpoint asks for fewer requests (429); try again later", _retry_after(headers))
    if status in (408, 409, 503):
        return BusyError(f"the endpoint is busy ({status}); try again later", _retry_after(headers))
    if status in (400, 415, 422, 501):
        about_limit = "max_completion_tokens" in said or "max_tokens" in said
        return UnsupportedError(
            f"the endpoint refuses the request in every form ({status}); check {MODEL}", about_limit
        )
    if status >= 500:
        return BrokenError(f"the endpoint failed ({status}) again and again; try again later")
    return SyntheticError(f"the endpoint answered with status {status}; check {ADDRESS}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait, from a number or a date; None if it does not say."""
    text = headers.get("retry-after", "")
    with suppress(ValueError):
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None
