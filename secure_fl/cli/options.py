"""Options of commands: one for every setting, made of its declaration."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from secure_fl.cli.words import number
from secure_fl.settings import PRIVATE_TRAINING, Experiment
from secure_fl.settings.catalogue import declared, help_text, is_filled_in, title
from secure_fl.settings.section import Section


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with `**settings` an option for each; settings that nobody gave are not passed on."""

    def given(**arguments: Any) -> None:
        own = {name: arguments.pop(name) for name in signature.parameters if name != "settings"}
        command(**own, **{name: _value(name, value) for name, value in arguments.items() if value is not None})

    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "settings"]
    made = [_parameter(name, field, panel) for panel, name, field in options()]
    vars(given)["__signature__"] = inspect.Signature([*own, *made])  # what typer looks at
    given.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *made)}
    given.__name__, given.__doc__ = command.__name__, command.__doc__
    return given


def options() -> Iterator[tuple[type[Section], str, FieldInfo]]:
    """Every setting that can be given, with its section."""
    return ((section, name, field) for section, name, field in declared() if not is_filled_in(field))


def default_text(name: str, field: FieldInfo) -> str:
    """A setting's default as a user reads it; empty where there is none."""
    if field.default is None or field.default == ():
        return ""
    text = f"{field.default:,}" if type(field.default) is int and name != "seed" else str(field.default)
    return text + (f"; {PRIVATE_TRAINING[name]:,} under dp-sgd" if name in PRIVATE_TRAINING else "")


def bounds_text(field: FieldInfo) -> str:
    """The values that a setting can have, as a user reads them."""
    return " or ".join(dict.fromkeys(_values(field.annotation, field.metadata)))


def _parameter(name: str, field: FieldInfo, section: type[Section]) -> inspect.Parameter:
    kinds = set(_kinds(field.annotation))
    default = default_text(name, field)
    shown = help_text(field) + (f"  [default: {default}]" if default and kinds != {bool} else "")
    flag = name.replace("_", "-")
    declared = (f"--{flag}" + (f"/--no-{flag}" if field.default else ""),) if kinds == {bool} else ()
    option = typer.Option(*declared, help=shown, rich_help_panel=title(section), show_default=False)
    kind: Any = list[str] if tuple in kinds else kinds.pop() if len(kinds) == 1 else str
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _kinds(annotation: Any) -> Iterator[type]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin is Literal:
        yield str
    elif annotation is not type(None):
        yield origin or annotation


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value) or None
    mixed = len(set(_kinds(Experiment.model_fields[name].annotation))) > 1
    return number(value) if mixed else value


def _values(annotation: Any, marks: Sequence[Any] = ()) -> Iterator[str]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        for part in parts:
            yield from _values(part)
    elif origin is Annotated:
        yield from _values(parts[0], [each for mark in parts[1:] for each in getattr(mark, "metadata", (mark,))])
    elif origin is Literal:
        yield from parts
    elif annotation is not type(None):
        yield _NAMES[origin or annotation] + "".join(_bound(mark) for mark in marks)


def _bound(mark: Any) -> str:
    signs = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
    said = [f"{words} {getattr(mark, name):,}" for name, words in signs if getattr(mark, name, None) is not None]
    return "".join(f", {each}" for each in said)


_NAMES: Mapping[type, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "yes or no",
    tuple: "texts",
}
