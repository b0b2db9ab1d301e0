"""Measuring the claims seed by seed, so that it can be stopped and go on, and writing what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from secure_fl.bench.claims.measuring import CASES, QUICK_CASES, QUICK_STREAM, SEEDS, Claims, measure_seed, steps_of
from secure_fl.bench.claims.scene import StreamSettings
from secure_fl.bench.claims.store import code_digest, describe_environment, load_claims, require_same, save_claims
from secure_fl.errors import ConfigurationError
from secure_fl.files import STDOUT, output_files, place_of_output
from secure_fl.progress import Progress, unseen


def run_claims(
    seeds: int = SEEDS,
    *,
    quick: bool = False,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
    svg_file: Path | None = None,
    force: bool = False,
    progress: Progress = unseen,
) -> Claims:
    """Measure both claims with seeds 1 to `seeds`, and write what is asked for.

    json_file: written after each seed; seeds that it holds already are not measured again, nor left out.
    force: a page and a drawing that exist are replaced.
    quick: tiny sizes and no ULB, to try the machinery; its figures mean nothing. Raises ConfigurationError, before
    anything is measured, for fewer than two seeds, files that cannot be written, and a `json_file` of other settings or
    code.
    """
    if seeds < 2:
        raise ConfigurationError(f"{seeds} seeds give no interval; use at least 2, better {SEEDS} or more")
    if json_file == STDOUT:
        raise ConfigurationError("figures are added to their file seed by seed; name a file behind --json")
    cases, stream = (QUICK_CASES, QUICK_STREAM) if quick else (CASES, StreamSettings())
    before = Claims("", cases, stream, (), describe_environment(), code_digest())
    if json_file is not None and place_of_output(json_file, force=True).exists():
        stored = load_claims(json_file)
        require_same(stored, before, json_file)
        before = replace(before, runs=stored.runs)
    with output_files(None, markdown_file, svg_file, force=force, inputs=[json_file]) as (_, markdown, svg):
        claims = _measure(before, range(1, seeds + 1), quick, json_file, progress)
        if markdown or svg:
            _write_page(claims, markdown, svg, svg_file.name if svg_file else None)
    return claims


def _measure(claims: Claims, seeds: Sequence[int], quick: bool, json_file: Path | None, progress: Progress) -> Claims:
    """With the seeds that are missing; the file is written at first too, to find out whether it can be."""
    missing = [seed for seed in seeds if seed not in claims.seeds]
    advance = _counter(progress, "seeds x steps", len(missing) * steps_of(claims.cases, claims.stream))
    claims = _named(claims, quick)
    if json_file is not None:
        save_claims(claims, json_file)
    for seed in missing:
        run = measure_seed(seed, claims.cases, claims.stream, advance)
        claims = _named(replace(claims, runs=tuple(sorted((*claims.runs, run), key=lambda r: r.seed))), quick)
        if json_file is not None:
            save_claims(claims, json_file)
    return claims


def _named(claims: Claims, quick: bool) -> Claims:
    """With the command that gives these figures."""
    seeds = len(claims.runs)
    command = "secure-fl bench claims" + f" --seeds {seeds}" * (seeds != SEEDS) + " --quick" * quick
    return replace(claims, command=command)


def _counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    """A function that reports one step more at every call."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(what, done, total)

    return advance


def _write_page(claims: Claims, markdown: Path | None, svg: Path | None, picture: str | None) -> None:
    from secure_fl.bench.claims.page import draw, render  # matplotlib is slow to import, so only when needed

    if markdown:
        markdown.write_text(render(claims, picture), encoding="utf-8")
    if svg:
        svg.write_text(draw(claims), encoding="utf-8")
