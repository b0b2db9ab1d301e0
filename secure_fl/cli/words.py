"""What commands say and read alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import click
import typer

from secure_fl.errors import ConfigurationError

Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Json = Annotated[
    Path | None, typer.Option("--json", help="A file for all figures; - prints them in place of the table.")
]
SCHEMES = "plaintext, additive, masked, ckks, bfv or rlwe (experimental)."


def number(text: str) -> int | float | str:
    """A whole number, else a number, else the text: whether it is allowed is decided where settings are checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def numbers(text: str | None, option: str, kind: type[Any] = int) -> tuple[Any, ...] | None:
    """Numbers between commas. Raises `ConfigurationError`."""
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is no list of numbers; separate them by commas") from None


def typed(ctx: typer.Context) -> set[str]:
    """The parameters of a command that stand on its line."""
    source = click.core.ParameterSource.COMMANDLINE
    return {name for name in ctx.params if ctx.get_parameter_source(name) is source}


def plain(text: str) -> str:
    """Help with brackets in it, which would be read as markup."""
    return text.replace("[", r"\[")


def example(line: str) -> str:
    """The end of a command's help: a line that can be copied; short enough to stay one at 80 columns."""
    return f"Example: {line}"
