"""Options come from the settings; help says what was declared; options that say nothing to a command are refused."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer
from click.testing import CliRunner
from rich.console import Console

from secure_fl import Experiment, __version__, secure_mean
from secure_fl.cli import progress
from secure_fl.cli.app import _as_declared, _run_with_options, app
from secure_fl.cli.attack import ATTACKS, OPTIONS, QUICK, require_options
from secure_fl.cli.options import bounds_text, default_text, options
from secure_fl.errors import ConfigurationError
from secure_fl.secagg import SCHEMES
from secure_fl.settings import FilledIn


def every_command(
    command: click.Command | None = None, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    command = command or _as_declared(typer.main.get_command(app))
    groups = vars(command).get("commands", {})
    yield words, command
    for name, each in groups.items():
        yield from every_command(_run_with_options() if name == "run" else each, (*words, name))


COMMANDS = dict(every_command())


def help_of(*words: str) -> str:
    done = CliRunner().invoke(COMMANDS[words], ["--help"], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_holds_the_text_of_every_argument_and_option(words: tuple[str, ...]) -> None:
    shown = help_of(*words)
    for parameter in COMMANDS[words].params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        declared = (getattr(parameter, "help", None) or "").replace(r"\[", "[")
        assert declared, f"{words}: {parameter.name} has no text"
        assert " ".join(declared.split()) in shown, f"{words}: the text of {parameter.name} is lost"


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "secure-fl")
def test_help_ends_with_an_example_that_fits_and_can_be_parsed(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(COMMANDS[words], ["--help"], env={"COLUMNS": "80"}).output
    last = shown.rstrip().splitlines()[-1]
    assert max(map(len, shown.splitlines())) <= 80
    assert last.startswith(" Example: secure-fl "), "it is one line, and the last"
    path, values = parsed(shlex.split(last)[2:])
    assert path[: len(words)] == words, "it shows this command, or one of this group"
    assert path == words or vars(COMMANDS[words]).get("commands")
    if path == ("run",):
        Experiment(**{name: value for name, value in values.items() if name in Experiment.model_fields and value})
    if path == ("attack",):
        require_options(values["name"], [name for name in OPTIONS if values[name] is not None])


def parsed(arguments: list[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Which command they call, and with what; nothing is run. Raises click's UsageError."""
    command: click.Command = COMMANDS[()]
    words: tuple[str, ...] = ()
    while True:
        context = command.make_context(" ".join(words), arguments)
        rest = [*context._protected_args, *context.args]
        if not rest:
            return words, context.params
        name, command, arguments = command.resolve_command(context, rest)  # type: ignore[attr-defined]
        words = (*words, name)


def test_what_an_example_may_not_be_is_noticed() -> None:
    for wrong in (
        "plan --bank 3",
        "score model.safetensors",
        "review aprove 3f9a",
        "data simulate --out a.csv --days x",
    ):
        with pytest.raises(click.UsageError):
            parsed(shlex.split(wrong))


def test_every_setting_but_those_that_a_run_fills_in_is_an_option_of_run() -> None:
    filled = {n for n, f in Experiment.model_fields.items() if any(isinstance(m, FilledIn) for m in f.metadata)}
    assert filled == {"key_check", "names", "retrained_from", "synthetic_patterns", "without"}
    offered = {parameter.name for parameter in COMMANDS["run",].params}
    assert set(Experiment.model_fields) - filled <= offered


def test_schemes_that_can_have_a_committee_are_named_wherever_it_is_asked_for() -> None:
    able = ", ".join(name for name, scheme in SCHEMES.items() if scheme.with_committee is not None)
    for text in (help_of("run"), help_of("plan"), " ".join(str(secure_mean.__doc__).split())):
        assert len(re.findall(rf"what opens (?:a|the) sum(?: \(|: ){able}[.)]", text)) == 1


def test_defaults_and_bounds_are_those_that_are_declared() -> None:
    shown = help_of("run")
    told = {name: (default_text(name, field), bounds_text(field)) for _, name, field in options()}
    assert told["rounds"] == ("10; 5 under dp-sgd", "whole number, at least 1, at most 10,000")
    assert told["seed"][0] == "1"
    assert told["threshold"][0] == ""
    assert told["bits"] == ("16", "whole number, at least 4, at most 24 or float32")
    for name, (default, _) in told.items():
        if default and Experiment.model_fields[name].annotation is not bool:
            assert f"[default: {default}]" in shown


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--rounds", "3", "--bits", "8", "--positive-weight", "balanced"], {"rounds": 3, "bits": 8}),
        (["--bits", "float32", "--error-feedback"], {"bits": "float32", "error_feedback": True}),
        (["--drop", "a@1:b", "--drop", "c@2:d"], {"drop": ("a@1:b", "c@2:d")}),
        (["--learning-rate", "1e-3", "--epsilon", "3"], {"learning_rate": 1e-3, "epsilon": 3.0}),
        (["--positive-weight", "2"], {"positive_weight": 2}),
        (["--no-keep-models"], {"keep_models": False}),
        (["--keep-models"], {"keep_models": True}),
        ([], {}),
    ],
)
def test_what_is_given_reaches_the_command_and_nothing_else(arguments: list[str], settings: dict[str, Any]) -> None:
    from secure_fl.cli.options import with_settings

    seen: dict[str, Any] = {}

    def command(**settings: Any) -> None:
        seen.update(settings)

    alone = typer.Typer()
    alone.command()(with_settings(command))
    assert CliRunner().invoke(typer.main.get_command(alone), arguments).exit_code == 0
    if "balanced" in arguments:
        assert seen.pop("positive_weight") == "balanced"
    assert seen == settings


def test_version_and_the_short_form_of_help() -> None:
    assert CliRunner().invoke(COMMANDS[()], ["--version"]).output.strip() == f"secure-fl {__version__}"
    for words in ((), ("plan",), ("review", "list")):
        assert "Usage" in CliRunner().invoke(COMMANDS[()], [*words, "-h"]).output


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_options_of_another_attack_are_refused_by_name(attack: str) -> None:
    for option, attacks in OPTIONS.items():
        if attack in attacks:
            require_options(attack, [option])
        else:
            with pytest.raises(ConfigurationError, match=f"--{option.replace('_', '-')} says nothing to {attack}; "):
                require_options(attack, [option])
    require_options(attack, QUICK[attack])


def test_an_attack_that_does_not_exist_is_refused_before_torch_is_imported() -> None:
    code = (
        "import sys; from secure_fl.cli.app import main\n"
        "sys.argv = ['secure-fl', 'attack', 'inversion', '--runs', '3']\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code == 2\n"
        "assert not {'torch', 'tenseal', 'opacus'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "error: --runs says nothing to inversion; leave it out, or choose another attack\n"


def test_on_a_pipe_progress_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    say = progress.lines(Console(stderr=True, width=80), clock=lambda: now[0])
    for step in range(101):
        now[0] = 0.1 * step
        say("rounds", step, 100)
    said = capsys.readouterr().err.splitlines()
    assert said == ["rounds 0/100", *(f"rounds {n}/100" for n in (20, 40, 60, 80, 100))]


def test_quiet_shows_no_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "quiet", True)
    with progress.show_progress() as advance:
        advance("rounds", 1, 2)
    assert capsys.readouterr() == ("", "")


STARTING = [
    ("run", "--scheme", "caesar"),
    ("attack", "inversion", "--scheme", "caesar"),
    ("bench", "--schemes", "caesar"),
]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", STARTING, ids=lambda given: given[0])
def test_a_command_says_that_it_starts_before_it_imports_what_takes_long(arguments: tuple[str, ...]) -> None:
    """Each import of a large library writes a line, too."""
    code = (
        "import sys\n"
        "class Telling:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('numpy', 'pydantic', 'torch', 'tenseal', 'scipy', 'sklearn', 'pyarrow'):\n"
        "            sys.stderr.write(f'importing {name}\\n')\n"
        "sys.meta_path.insert(0, Telling())\n"
        "from secure_fl.cli.app import main\n"
        f"sys.argv = ['secure-fl', *{arguments!r}, *sys.argv[1:]]\n"
        "main()\n"
    )

    def said(*more: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", code, *more], capture_output=True, check=False, text=True)
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()

    lines = said()
    assert lines[0] == "starting"
    assert lines.count("starting") == 1
    assert any(line.startswith("importing ") for line in lines)
    assert "starting" not in said("--quiet")
    assert "starting" not in said("--help")
