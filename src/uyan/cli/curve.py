"""`uyan curve`: the miss rate against the number of recordings and speakers, and what more of them would buy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uyan.cli.ablate import JobsOption
from uyan.cli.numbers import whole_numbers
from uyan.cli.run import OnOption, RecipeArgument, SetOption, say_voices

if TYPE_CHECKING:
    from uyan.pipeline.curve import LearningCurve


def register(app: typer.Typer) -> None:
    """Add `curve` to the command line."""
    app.command(
        "curve",
        help="Train on fewer recordings of the keyword and say what more would buy. The test stays the same.\n\n"
        "By default the recordings double from 30 up to all there are, with speakers in proportion.\n\n"
        "Example: uyan curve recipes/jarvis.yaml --positives 30,100,270 --jobs 2 --out runs/jarvis-curve",
    )(curve)


def curve(
    recipe: RecipeArgument,
    positives: Annotated[
        str, typer.Option(metavar="N,N,…", help="Recordings of the keyword to train on, a point each.")
    ] = "",
    speakers: Annotated[
        str, typer.Option(metavar="N,N,…", help="Speakers at these points; alone, with all of their recordings.")
    ] = "",
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the runs and the curve go; runs/NAME-curve.")
    ] = None,
    jobs: JobsOption = None,
    on: OnOption = None,
) -> None:
    """Run what is not finished yet and show the curve."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.curve import measure_curve

    counts, voices = whole_numbers("--positives", positives), whole_numbers("--speakers", speakers)
    folder = out or Path("runs") / f"{recipe.stem}-curve"
    with terminal() as shown, engine(on):
        measured = measure_curve(recipe, overrides or [], folder, counts, voices, jobs, shown.progress, shown.tell)
    show_curve(measured)
    typer.echo(f"figures {folder / 'curve.json'}, picture {folder / 'curve.png'}")


def show_curve(curve: "LearningCurve") -> None:
    """Whose voices judge where that needs saying, a row a point, then the forecast."""
    from uyan.cli.console import print_table
    from uyan.pipeline.ablation_table import AT_FAH

    conditions = list(curve.points[0].conditions)
    say_voices(curve.judged)
    rows = [
        (f"{point.positives:,} of {point.speakers:,}", *(_cell(point.at_fah(name)) for name in conditions))
        for point in curve.points
    ]
    title = f"“{curve.keyword}”: miss rate at {AT_FAH} FAH, 95 % intervals"
    print_table(title, ("recordings, speakers", *conditions), rows)
    typer.echo("each point's threshold is chosen on the test split itself: they compare points, they promise nothing")
    typer.echo("the intervals take recordings as independent; voices add to them, see as_shipped in curve.json")
    typer.echo(curve.forecast)


def _cell(at_fah: dict[str, Any]) -> str:
    interval = at_fah["miss_interval"]
    share = f"{at_fah['miss_rate']:.1%} {at_fah['misses']}/{at_fah['positives']}"
    return f"{share}\n{interval['low']:.1%} – {interval['high']:.1%}"
