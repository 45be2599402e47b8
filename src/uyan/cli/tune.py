"""`uyan tune`: which values of a recipe's searched fields miss least on the validation split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.ablate import JobsOption
from uyan.cli.run import OnOption, RecipeArgument, SetOption

if TYPE_CHECKING:
    from uyan.pipeline.trials import Trial
    from uyan.pipeline.tune_report import TuneReport


def register(app: typer.Typer) -> None:
    """Add `tune` to the command line."""
    app.command(
        "tune",
        help="Search the fields that a recipe marks (its section `search`) for the fewest misses on validation.\n\n"
        "Interrupted, the same command goes on where it stopped; --set search.trials=40 makes it longer.\n\n"
        "Example: uyan tune recipes/jarvis.yaml --jobs 2 --out runs/jarvis-tune",
    )(tune)


def tune(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the trials and the table go; runs/NAME-tune.")
    ] = None,
    jobs: JobsOption = None,
    on: OnOption = None,
) -> None:
    """Run the trials that are not over yet and show the table."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.tune import tune as search

    folder = out or Path("runs") / f"{recipe.stem}-tune"
    with terminal() as shown, engine(on):
        report = search(recipe, overrides or [], folder, jobs, shown.progress, shown.tell)
    show_report(report, folder)


def show_report(report: "TuneReport", out: Path) -> None:
    """A row a trial, the best first, then those that were not judged; then what the reader must know."""
    from uyan.cli.console import print_table
    from uyan.pipeline.trials import RESULTS
    from uyan.pipeline.tune_report import BEST, PICTURE, TABLE, judged_of, judging

    judged, fields = judged_of(report.best), list(report.best.values)
    costs = ("parameters", "kB", "µs")
    headings = [field.replace(".", ".\n") for field in fields]
    print_table(
        f"“{report.recipe.keyword}”: misses at {report.recipe.calibration.target_fah:g} FAH on the validation split, "
        f"{judged.positives} positives of {len(judged.by_speaker)} speakers, {judged.hours:.2f} h of negatives",
        ("trial", "miss rate", "95 % interval", *judged.conditions, *costs, *headings),
        [_row(trial, report, len(judged.conditions)) for trial in (*report.ranked, *report.others)],
    )
    typer.echo(
        "* on the front: no other misses as few at as low a cost; kB of the network; µs a window, one thread here"
    )
    if len(judged.conditions) > 1:
        typer.echo(f"the interval of the mean of {len(judged.conditions)} conditions, the same positives in each")
    for trial in report.others:
        typer.echo(f"trial {trial.number} {trial.state}: {trial.reason}")
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"judge {report.best.name} on the test split, with the weights it has: {judging(report.best, out)}")
    typer.echo(f"table {out / TABLE}, figures {out / RESULTS}, picture {out / PICTURE}, recipe {out / BEST}")


def _row(trial: "Trial", report: "TuneReport", conditions: int) -> list[str]:
    name = f"{trial.number}{'*' * (trial.number in report.front)}{' as it is' * (trial.number == report.own)}"
    cost = trial.footprint
    costs = [f"{cost.parameters:,}", f"{cost.model_bytes / 1000:.0f}", f"{cost.window_us:.0f}"] if cost else ["–"] * 3
    values = [str(value) for value in trial.values.values()]
    if trial.judged is None:
        return [name, trial.state, *["–"] * (conditions + 1), *costs, *values]
    interval = trial.judged.interval
    missed = [
        f"{found['misses']}/{found['positives']}{'' if found['met'] else ' not met'}"
        for found in trial.judged.conditions.values()
    ]
    return [
        name,
        f"{trial.judged.miss_rate:.1%}",
        f"{interval.low:.1%} – {interval.high:.1%}",
        *missed,
        *costs,
        *values,
    ]
