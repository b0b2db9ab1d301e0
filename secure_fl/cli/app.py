"""The command line. Nothing heavy is imported before a command needs it: torch alone takes over a second.

Errors are one line on stderr, `error: WHAT IS WRONG; WHAT TO DO`. Exit status 2: the request cannot work; 1: it was
tried and failed; 130: it was interrupted; 0: done. Whoever closes a pipe has seen enough: that is no failure.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from secure_fl import __version__
from secure_fl.cli import progress
from secure_fl.cli.attack import attack
from secure_fl.cli.audit import audit
from secure_fl.cli.bench import bench_app
from secure_fl.cli.compare import compare
from secure_fl.cli.data import data_app
from secure_fl.cli.explain import explain
from secure_fl.cli.interrupts import forget_interrupts, heed_signals, was_interrupted
from secure_fl.cli.lab import lab_app
from secure_fl.cli.ledger import ledger_app
from secure_fl.cli.lesson import lesson_app
from secure_fl.cli.network import bank, certificates, gateway, key_authority, revoke, serve_scores
from secure_fl.cli.plan import plan
from secure_fl.cli.review import review_app
from secure_fl.cli.run import EXAMPLE as RUN
from secure_fl.cli.run import run
from secure_fl.cli.score import score
from secure_fl.cli.streams import until_closed
from secure_fl.cli.synthesize import synthesize
from secure_fl.cli.words import example, plain
from secure_fl.errors import DamageWarning, DataWarning, SecureFLError
from secure_fl.files import disk_failed, reason
from secure_fl.progress import visible

_HELP = {"-h", "--help"}


class Commands(TyperGroup):
    """Makes the options of `run` only when it runs: they come from the settings, which take a while to import."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name == "run" and not ctx.resilient_parsing and not _HELP.intersection(rest):
            progress.say_start()
        return name, _run_with_options() if name == "run" else command, rest


app = typer.Typer(
    cls=Commands,
    name="secure-fl",
    help="Run, measure and learn secure aggregation for federated fraud detection.",
    epilog="Any command takes --debug, to see where an error comes from, and --quiet, to hear of no progress.\n\n\n\n"
    + example(RUN),
    context_settings={"help_option_names": sorted(_HELP)},
    no_args_is_help=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"secure-fl {__version__}")
        raise typer.Exit


@app.callback()
def secure_fl(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What all commands have in common."""


@app.command("run", help=run.__doc__)
def _listed() -> None:
    """Stands for `run` in the list of commands."""


for command, line in (
    (compare, "secure-fl compare runs/masked runs/ckks --html compared.html"),
    (plan, "secure-fl plan --scheme bfv --banks 10 --bits 16"),
    (attack, "secure-fl attack inversion --dataset simulated --quick"),
    (explain, "secure-fl explain --scheme masked --drop bank-2@masked_input"),
    (synthesize, "secure-fl synthesize --count 16 --built-in"),
    (certificates, "secure-fl certificates experiment.toml --out certificates"),
    (revoke, "secure-fl revoke bank-2 --certificates certificates"),
    (gateway, "secure-fl gateway --config gateway.toml"),
    (bank, "secure-fl bank --config bank-1.toml"),
    (key_authority, "secure-fl key-authority --config key-authority.toml"),
    (serve_scores, "secure-fl serve-scores --config scores.toml"),
    (audit, "secure-fl audit runs/masked --group bank --max-gap 0.05"),
    (score, "secure-fl score runs/ckks/model.safetensors new.csv --out scores.csv"),
):
    app.command(epilog=example(line))(command)
for name, group in (
    ("bench", bench_app),
    ("data", data_app),
    ("review", review_app),
    ("ledger", ledger_app),
    ("lab", lab_app),
    ("lesson", lesson_app),
):
    app.add_typer(group, name=name)


def _run_with_options() -> click.Command:
    from secure_fl.cli.options import with_settings

    alone = typer.Typer(add_completion=False)
    alone.command("run", epilog=example(RUN))(with_settings(run))
    return _as_declared(typer.main.get_command(alone))


def _as_declared(command: click.Command) -> click.Command:
    """Shows every help text as it was declared: brackets are no markup, and arguments keep what click 8.5 drops."""
    for each in vars(command).get("commands", {}).values():
        _as_declared(each)
    declared = inspect.signature(command.callback, eval_str=True).parameters if command.callback else {}
    for parameter in command.params:
        if parameter.name in declared:
            (mark,) = declared[parameter.name].annotation.__metadata__
            vars(parameter)["help"] = plain(mark.help or "")
    command.help = plain(command.help) if command.help else None
    command.epilog = plain(command.epilog) if command.epilog else None
    return command


_TOLD: dict[type[Warning], str] = {DamageWarning: "note", DataWarning: "warning"}
"""Warnings for whoever runs a command, each with what stands before it."""
_INTERRUPTED = 130
_INTERRUPTION = "interrupted; what was finished before is kept"


def main() -> None:
    """The `secure-fl` command."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--debug", "--quiet")]
    progress.quiet = "--quiet" in sys.argv[1:]
    heed_signals()
    with warnings.catch_warnings():
        for told in _TOLD:
            warnings.simplefilter("always", told)
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        status = _status(arguments, debug="--debug" in sys.argv[1:])
    forget_interrupts()
    sys.exit(status)


def _status(arguments: list[str], debug: bool) -> int:
    """Do what is asked for; the exit status."""
    try:
        with until_closed():
            status = _as_declared(typer.main.get_command(app)).main(arguments, standalone_mode=False) or 0
        if status == _INTERRUPTED:  # typer turns Ctrl-C into this status
            raise KeyboardInterrupt
        return int(status)
    except click.exceptions.NoArgsIsHelpError:
        return 2  # the help is on the screen
    except click.UsageError as error:
        return _fail(f"{error.format_message().rstrip('.')}; see {_command_of(error)} --help", error, debug, 2)
    except SecureFLError as error:
        return _fail(str(error), error, debug, error.exit_code)
    except KeyboardInterrupt as error:
        return _fail(_INTERRUPTION, error, debug, _INTERRUPTED)
    except Exception as error:  # a defect: name its kind only, since its text could hold a transaction
        if was_interrupted():  # raised in the middle of an import, say, which made another error of it
            return _fail(_INTERRUPTION, error, debug, _INTERRUPTED)
        if isinstance(error, OSError) and disk_failed(error):
            return _fail(
                f"nothing more can be written ({reason(error)}); make room, or write elsewhere", error, debug, 1
            )
        return _fail(f"unexpected {type(error).__name__}; run it again with --debug and report it", error, debug, 1)


def _fail(text: str, error: BaseException, debug: bool, status: int) -> int:
    if debug:
        raise error
    with suppress(OSError), until_closed():  # nobody can be told
        _say(f"error: {text}")
    return status


def _say(text: str) -> None:
    """In one line."""
    typer.echo(visible(" ".join(text.split())), err=True)


def _show_warning(others: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any) -> None:
    word = next((word for told, word in _TOLD.items() if issubclass(category, told)), None)
    if word is None:
        others(message, category, *where)
    else:
        _say(f"{word}: {message}")


def _command_of(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx else "secure-fl"


if __name__ == "__main__":
    main()
