"""`uyan ablate`: what each part of the training brings, as one table over several seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.run import OnOption, RecipeArgument, SetOption, say_voices

if TYPE_CHECKING:
    from uyan.evaluation.comparison import Difference
    from uyan.pipeline.ablation_table import Comparison, Figures

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, metavar="N", help="Runs at a time, a process each; one a core by default."),
]


def register(app: typer.Typer) -> None:
    """Add `ablate` to the command line."""
    app.command(
        "ablate",
        help="Run the recipe as it is and without rooms, SpecAugment and background, some seeds each, and compare.\n\n"
        "Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan ablate recipes/jarvis.yaml --seeds 3 --jobs 2 --out runs/jarvis-ablate",
    )(ablate)


def ablate(
    recipe: RecipeArgument,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each row; 3 or more for intervals.")] = 3,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the runs and the table go; runs/NAME-ablate.")
    ] = None,
    jobs: JobsOption = None,
    on: OnOption = None,
) -> None:
    """Run what is not finished yet and show the table."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.ablate import ablate as run_ablation

    folder = out or Path("runs") / f"{recipe.stem}-ablate"
    with terminal() as shown, engine(on):
        comparison = run_ablation(recipe, overrides or [], folder, seeds, jobs, shown.progress, shown.tell)
    show_comparison(comparison)
    typer.echo(f"table {folder / 'ablate.csv'}, figures {folder / 'ablate.json'}, picture {folder / 'ablate.png'}")


def show_comparison(comparison: "Comparison") -> None:
    """A column a test condition, three lines a row; then what the reader must know."""
    from uyan.cli.console import print_table
    from uyan.pipeline.ablation_table import AT_FAH, MAX_FAH

    say_voices(comparison.judged)
    first = next(iter(comparison.rows.values()))
    rows = [
        (
            row.replace("-", " ") + "\n  against the baseline\n  area",
            *(_cell(figures) for figures in by_condition.values()),
        )
        for row, by_condition in comparison.rows.items()
    ]
    seeds = ", ".join(map(str, comparison.seeds))
    title = f"“{comparison.keyword}”: miss rate at {AT_FAH} FAH, mean of seed(s) {seeds}; {comparison.hours:.2f} h"
    print_table(title, ("", *first), rows)
    typer.echo("second line: percentage points more missed than the baseline, with the 95 % interval over seeds")
    typer.echo(f"third line: mean miss rate from 0 to {MAX_FAH:g} FAH, and the same of it; * leaves zero out")
    typer.echo("each run's threshold is chosen on the test split itself: they compare recipes, they promise nothing")
    for note in comparison.notes:
        typer.echo(f"note: {note}")


def _cell(figures: "Figures") -> str:
    misses, positives = figures.pooled
    missed, area = _points(figures.miss_difference), _points(figures.area_difference)
    return f"{figures.miss_rate:.1%} {misses}/{positives}\n{missed or '–'}\n{figures.area:.1%} {area}"


def _points(difference: "Difference | None") -> str:
    """In percentage points; nothing for the baseline itself."""
    if difference is None:
        return ""
    text = f"{100 * difference.mean:+z.1f}"
    if difference.interval is not None:
        text += f" [{100 * difference.interval.low:+z.1f}, {100 * difference.interval.high:+z.1f}]"
    return text + ("*" if difference.real else "")
