"""The command line. Nothing heavy is imported before a command needs it: torch alone takes over a second.

Errors are one line on stderr, `error: WHAT IS WRONG; WHAT TO DO`. Exit status 2: the request cannot work; 1: it was
tried and failed; 130: it was interrupted; 0: done.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from secure_fl.cli.ledger import ledger_app
from secure_fl.cli.review import review_app
from secure_fl.errors import ConfigurationError, SecureFLError

if TYPE_CHECKING:
    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.settings.experiment import Experiment

app = typer.Typer(
    name="secure-fl",
    help="Run, measure and learn secure aggregation for federated fraud detection. "
    "Add --debug to any command to see where an error comes from.",
    no_args_is_help=True,
    add_completion=False,
)
data_app = typer.Typer(help="Fetch or simulate transactions.", no_args_is_help=True)
bench_app = typer.Typer(invoke_without_command=True)
app.add_typer(bench_app, name="bench")
app.add_typer(data_app, name="data")
app.add_typer(review_app, name="review")
app.add_typer(ledger_app, name="ledger")

_INTERRUPTED = 130
_interrupts: list[int] = []
"""Signals that asked to stop."""
_ATTACKS = "inversion, membership, split-view or audit-epsilon."
_SCHEMES = "plaintext, additive, masked, ckks or bfv."
_TRANSACTIONS, _BANKS, _TRAINING, _SYNTHETIC, _PRIVACY, _SUM = (
    "Transactions",
    "Banks",
    "Training",
    "Synthetic fraud",
    "Differential privacy",
    "Secure sum",
)


@app.command()
def run(
    experiment: Annotated[Path | None, typer.Argument(help="Settings to start from; options change them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TIMESTAMP if not given.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run that was to write this folder, with its own settings.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="simulated, ulb, or a CSV or Parquet file.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    transactions: Annotated[
        int | None, typer.Option(help="How many to simulate.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    fraud_share: Annotated[
        float | None, typer.Option(help="Share of fraud to simulate, from 0.001.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="File: column that is 1 for fraud.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    time: Annotated[str | None, typer.Option(help="File: column of the time.", rich_help_panel=_TRANSACTIONS)] = None,
    amount: Annotated[
        str | None, typer.Option(help="File: column of the amount.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    numeric: Annotated[
        list[str] | None, typer.Option(help="File: a numeric column.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="File: a column of few texts.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    identifiers: Annotated[
        list[str] | None,
        typer.Option(help="File: a column that names customers (first), terminals, ...", rich_help_panel=_TRANSACTIONS),
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(help="Latest share of all rows, for testing.", rich_help_panel=_TRANSACTIONS)
    ] = None,
    banks: Annotated[int | None, typer.Option(help="How many banks.", rich_help_panel=_BANKS)] = None,
    split: Annotated[str | None, typer.Option(help="even, size or pattern.", rich_help_panel=_BANKS)] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Split by pattern: small makes banks differ more.", rich_help_panel=_BANKS)
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="A bank that vanishes: BANK@ROUND:STAGE.", rich_help_panel=_BANKS)
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="How many rounds.", rich_help_panel=_TRAINING)] = None,
    local_epochs: Annotated[int | None, typer.Option(help="Passes a round.", rich_help_panel=_TRAINING)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.", rich_help_panel=_TRAINING)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.", rich_help_panel=_TRAINING)] = None,
    positive_weight: Annotated[
        str | None, typer.Option(help="Factor on the loss of a fraud, or balanced.", rich_help_panel=_TRAINING)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats the experiment.", rich_help_panel=_TRAINING)] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.", rich_help_panel=_TRAINING)] = None,
    synthetic: Annotated[
        str | None, typer.Option(help="none, or approved: fraud patterns to train on.", rich_help_panel=_SYNTHETIC)
    ] = None,
    unreviewed: Annotated[
        bool | None,
        typer.Option("--unreviewed", help="With approved: pending ones too.", rich_help_panel=_SYNTHETIC),
    ] = None,
    synthetic_share: Annotated[
        float | None, typer.Option(help="Synthetic frauds for every real one.", rich_help_panel=_SYNTHETIC)
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="What all rounds together may spend.", rich_help_panel=_PRIVACY)
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Well below 1 / rows, such as 1e-5.", rich_help_panel=_PRIVACY)
    ] = None,
    lifetime_epsilon: Annotated[
        float | None,
        typer.Option(help="What all runs on the same rows may spend together.", rich_help_panel=_PRIVACY),
    ] = None,
    noise_multiplier: Annotated[
        float | None,
        typer.Option(help="The noise, instead of --epsilon, which is then computed.", rich_help_panel=_PRIVACY),
    ] = None,
    mechanism: Annotated[
        str | None,
        typer.Option(
            help="dp-sgd: every bank protects each row; distributed: the sum protects each bank.",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    max_grad_norm: Annotated[
        float | None, typer.Option(help="dp-sgd: clip norm of a row's gradient.", rich_help_panel=_PRIVACY)
    ] = None,
    max_update_norm: Annotated[
        float | None, typer.Option(help="distributed: clip norm of a bank's update.", rich_help_panel=_PRIVACY)
    ] = None,
    scheme: Annotated[str | None, typer.Option(help=_SCHEMES, rich_help_panel=_SUM)] = None,
    bits: Annotated[str | None, typer.Option(help="4 to 24, or float32.", rich_help_panel=_SUM)] = None,
    threshold: Annotated[
        int | None, typer.Option(help="Fewest banks whose sum is opened.", rich_help_panel=_SUM)
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(help="How often a failed sum is attempted; 3.", rich_help_panel=_SUM)
    ] = None,
    error_feedback: Annotated[
        bool | None, typer.Option("--error-feedback", help="Carry over what rounding took.", rich_help_panel=_SUM)
    ] = None,
    downlink: Annotated[
        str | None, typer.Option(help="weights, or sum: the last sum's integers.", rich_help_panel=_SUM)
    ] = None,
) -> None:
    """Train one model across banks with a secure sum in every round, and write a report.

    Without options: 200,000 simulated transactions, 3 banks, 10 rounds, ckks at 16 bits, seed 1.
    """
    given: dict[str, Any] = {k: v for k, v in locals().items() if k != "resume" and v is not None}
    if resume is not None:
        _resume(resume, list(given))
        return
    changes = {name: value for name, value in given.items() if name not in ("experiment", "out")}
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    changes |= {name: _number(changes[name]) for name in ("bits", "positive_weight") if name in changes}

    if changes.pop("unreviewed", False):
        if changes.get("synthetic") != "approved":
            raise ConfigurationError("--unreviewed widens --synthetic approved; add that, or leave it out")
        changes["synthetic"] = "unreviewed"

    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.files import new_run_directory
    from secure_fl.settings.experiment import Experiment

    settings = Experiment(**changes) if experiment is None else Experiment.from_toml(experiment, **changes)
    with ExitStack() as claimed:
        target = out or claimed.enter_context(new_run_directory())
        _run(settings, target, Checkpoint.of_results(target))


def _resume(target: Path, others: list[str]) -> None:
    from secure_fl.federation.checkpoint import Checkpoint

    checkpoint = Checkpoint.of_results(target, resume=True)
    if others:
        raise ConfigurationError(
            f"a run goes on with the settings that its noise was calibrated for; leave out {', '.join(others)}, or "
            "start a new run"
        )
    _run(checkpoint.settings(), target, checkpoint)


def _run(settings: Experiment, target: Path, checkpoint: Checkpoint) -> None:
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_summary
    from secure_fl.federation.run import run_federation
    from secure_fl.files import staged_directory
    from secure_fl.report.outputs import write_run

    with staged_directory(target) as staging, _unfinished(checkpoint, target):
        with show_progress() as progress:
            result = run_federation(settings, _heeding_interrupts(progress), checkpoint)
        write_run(result, staging, checkpoint)
    checkpoint.remove()
    print_summary(result, target)


@contextmanager
def _unfinished(checkpoint: Checkpoint, target: Path) -> Iterator[None]:
    """Keeps what a run has reached, and says how to go on; removes the folder where there is nothing to keep."""
    try:
        yield
    except BaseException:
        if checkpoint.worth_keeping:
            typer.echo(f"what was reached is kept; go on with secure-fl run --resume {target}", err=True)
        else:
            checkpoint.remove()
        raise


@app.command()
def plan(
    scheme: Annotated[str, typer.Option(help=_SCHEMES)] = "ckks",
    banks: Annotated[int, typer.Option(help="How many banks.")] = 3,
    parameters: Annotated[int, typer.Option(help="Length of the vectors to be summed.")] = 10_369,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32.")] = "8",
    threshold: Annotated[int | None, typer.Option(help="Fewest banks whose sum is opened.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a secure sum would cost, or why it cannot work, before anything runs."""
    from secure_fl.cli.summary import print_plan
    from secure_fl.secagg.budget import plan as plan_sum

    planned = plan_sum(scheme, banks, parameters, _number(bits), threshold)
    if as_json:
        typer.echo(json.dumps(planned.derived()))
    else:
        print_plan(planned)


@bench_app.callback()
def bench(
    ctx: typer.Context,
    schemes: Annotated[str | None, typer.Option(help="Names, separated by commas.  [default: all]")] = None,
    banks: Annotated[str | None, typer.Option(help="Numbers of banks, such as 3,10.  [default: 3,10]")] = None,
    parameters: Annotated[str | None, typer.Option(help="Lengths of updates.  [default: 10369,100000]")] = None,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32 (plaintext only).")] = "8",
    repeat: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 5,
    peers: Annotated[bool, typer.Option("--peers", help="Measure TenSEAL, NVFlare and Flower too.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="A file for all figures.")] = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    drop_sweep: Annotated[bool, typer.Option("--drop-sweep", help="Let more and more banks vanish.")] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="3 to 1,000 banks and 10^4 to 10^7 parameters, once each.")
    ] = False,
) -> None:
    """Measure the schemes side by side on the same updates: seconds, bytes and error."""
    if ctx.invoked_subcommand is not None:
        if any(ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE for name in ctx.params):
            raise ConfigurationError(f"bench {ctx.invoked_subcommand} has options of its own; put them behind its name")
        return
    from secure_fl.bench.schemes.command import run_command

    run_command(
        schemes=schemes,
        banks=banks,
        parameters=parameters,
        bits=bits,
        repeat=repeat,
        peers=peers,
        json_file=json_file,
        html_file=html,
        force=force,
        drop_sweep=drop_sweep,
        scale=scale,
    )


@bench_app.command()
def claims(
    seeds: Annotated[int, typer.Option(help="Seeds 1 to N.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes, to try it.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="A file for all figures.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="A file for the page.")] = None,
    svg: Annotated[Path | None, typer.Option(help="A file for the drawing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Measure two claims that are made for federated fraud detection: fewer false positives, faster detection."""
    from importlib.util import find_spec

    if find_spec("river") is None:
        raise ConfigurationError("the package river is not installed; install secure-fl[drift]")
    from secure_fl.bench.claims.command import run_command

    run_command(seeds=seeds, quick=quick, json_file=json_file, markdown_file=markdown, svg_file=svg, force=force)


@app.command()
def attack(
    name: Annotated[str, typer.Argument(metavar="ATTACK", help=_ATTACKS)],
    scheme: Annotated[str, typer.Option(help=_SCHEMES)] = "plaintext",
    dataset: Annotated[str | None, typer.Option(help="ulb or simulated.  [default: ulb]")] = None,
    bits: Annotated[str | None, typer.Option(help="4 to 24, or float32 (plaintext only, its default).")] = None,
    banks: Annotated[int | None, typer.Option(help="How many banks.  [default: 3]")] = None,
    trials: Annotated[int | None, typer.Option(help="How often to attack a batch size.  [default: 20]")] = None,
    batches: Annotated[str | None, typer.Option(help="Rows of the victim's step.  [default: 1,2,4,8,16]")] = None,
    noise_multiplier: Annotated[
        float | None, typer.Option(help="Inversion: differential privacy in the victim's step.")
    ] = None,
    epsilons: Annotated[str | None, typer.Option(help="Membership: budgets.  [default: inf,3,1]")] = None,
    models: Annotated[int | None, typer.Option(help="Membership: federations a pool.  [default: 10]")] = None,
    pools: Annotated[int | None, typer.Option(help="Membership: pools of records.  [default: 6]")] = None,
    rows: Annotated[int | None, typer.Option(help="Membership: training rows of a bank.  [default: 200]")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Audit: the promise to test.  [default: 3]")] = None,
    runs: Annotated[int | None, typer.Option(help="Audit: trainings on canaries.  [default: 12]")] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats the choice of victims.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="A file for all figures.")] = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page, with rebuilt rows.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """See what a curious aggregator reads from a scheme, or a stranger from the final model."""
    from secure_fl.attacks.command import run_command

    run_command(
        name,
        scheme,
        json_file,
        html,
        force=force,
        dataset=dataset,
        bits=None if bits is None else _number(bits),
        banks=banks,
        trials=trials,
        batches=None if batches is None else tuple(_numbers(batches, "--batches")),
        noise_multiplier=noise_multiplier,
        epsilons=None if epsilons is None else tuple(_numbers(epsilons, "--epsilons", float)),
        models=models,
        pools=pools,
        rows=rows,
        epsilon=epsilon,
        runs=runs,
        seed=seed,
    )


@app.command()
def synthesize(
    count: Annotated[int, typer.Option(help="How many fraud patterns.")],
    built_in: Annotated[
        bool, typer.Option("--built-in", help="From the built-in library instead of a language model.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File of the proposals.  [default: proposals.json]")] = None,
    max_tokens_total: Annotated[int | None, typer.Option(help="Stop before more tokens are spent.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop before it costs more; needs the prices.")] = None,
    prompt_price: Annotated[float, typer.Option(help="Per million tokens asked.")] = 0.0,
    completion_price: Annotated[float, typer.Option(help="Per million tokens answered.")] = 0.0,
    batch: Annotated[int | None, typer.Option(help="Patterns a request.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the model.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an answer.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the patterns and their log.")] = None,
) -> None:
    """Have a language model write fraud patterns, and check them; a person decides with `secure-fl review`.

    The endpoint comes from OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL. It is sent the form of a pattern and
    constants of the simulator, never a row.
    """
    from secure_fl.cli.progress import show_progress
    from secure_fl.data.synthetic.command import Spending
    from secure_fl.data.synthetic.proposing import synthesize_into

    spending = Spending(max_tokens_total, max_cost, prompt_price, completion_price)
    with show_progress() as progress:
        lines = synthesize_into(
            count,
            built_in,
            out,
            store,
            spending=spending,
            progress=progress,
            batch=batch,
            temperature=temperature,
            timeout=timeout,
        )
    typer.echo("\n".join(lines))


@data_app.command()
def fetch(dataset: Annotated[str, typer.Argument(help="ulb: real card transactions, 2013.")]) -> None:
    """Download a real data set into the per-user cache, and verify it."""
    from secure_fl.data import ulb

    if dataset != "ulb":
        raise ConfigurationError(f"there is no data set {dataset!r} to fetch; use ulb")
    path = ulb.fetch()
    typer.echo(f"{path}\n{ulb.CITATION}")


@data_app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file.")],
    transactions: Annotated[int, typer.Option(help="How many.")] = 200_000,
    fraud_share: Annotated[float, typer.Option(help="Share of fraud, from 0.001.")] = 0.005,
    days: Annotated[int, typer.Option(help="Length of the period.")] = 183,
    seed: Annotated[int, typer.Option(help="Repeats the simulation.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Simulate customers, terminals and three kinds of fraud (Fraud Detection Handbook)."""
    from secure_fl.data import Simulation, write_simulated
    from secure_fl.data import simulate as simulate_transactions

    rows = simulate_transactions(Simulation(transactions=transactions, fraud_share=fraud_share, days=days, seed=seed))
    write_simulated(rows, out, force=force)
    typer.echo(f"{out}: {len(rows)} transactions, {int(rows.fraud.sum())} of them fraud")


@app.command()
def score(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a run.")],
    transactions: Annotated[Path, typer.Argument(help="CSV or Parquet with the model's columns; no label needed.")],
    out: Annotated[Path, typer.Option(help="CSV file for the scores.")],
    history: Annotated[
        Path | None, typer.Option(help="Earlier transactions with labels, for features that look at the past.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Score transactions with the model of a run."""
    from secure_fl.report.outputs import needs_history, score_file

    if history is None and needs_history(model):
        typer.echo("note: without --history nothing is known of the customers' and terminals' past", err=True)
    typer.echo(f"{out}: {score_file(model, transactions, out, history, force=force)} scores")


def _number(text: str) -> int | float | str:
    """A whole number, else a number, else the text: whether it is allowed is decided where settings are checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _numbers(text: str, option: str, kind: type[Any] = int) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is no list of numbers; separate them by commas") from None


def main() -> None:
    """The `secure-fl` command."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    _interrupts.clear()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, _interrupt)
    try:
        status = app(arguments, standalone_mode=False) or 0
        if status == _INTERRUPTED:  # typer turns Ctrl-C into this status
            raise KeyboardInterrupt
    except click.exceptions.NoArgsIsHelpError:
        status = 2  # the help is on the screen
    except click.UsageError as error:
        status = _fail(f"{error.format_message().rstrip('.')}; see {_command_of(error)} --help", error, debug, 2)
    except SecureFLError as error:
        status = _fail(str(error), error, debug, error.exit_code)
    except KeyboardInterrupt as error:
        status = _fail("interrupted; what was finished before is kept", error, debug, _INTERRUPTED)
    except Exception as error:  # a defect: name its kind only, since its text could hold a transaction
        status = _fail(f"unexpected {type(error).__name__}; run it again with --debug and report it", error, debug, 1)
    sys.exit(status)


def _fail(text: str, error: BaseException, debug: bool, status: int) -> int:
    if debug:
        raise error
    one_line = " ".join(text.split())
    typer.echo(f"error: {one_line}", err=True)
    return status


def _command_of(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx else "secure-fl"


def _interrupt(signum: int, frame: object) -> None:
    _interrupts.append(signum)
    raise KeyboardInterrupt


def _heeding_interrupts(progress: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """Progress that ends the work after a signal whose exception was lost.

    A signal arrives between any two steps of the interpreter. Where these belong to a finalizer or a callback from C,
    Python prints the exception and goes on.
    """

    def show(what: str, done: int, total: int) -> None:
        if _interrupts:
            raise KeyboardInterrupt
        progress(what, done, total)

    return show


if __name__ == "__main__":
    main()
