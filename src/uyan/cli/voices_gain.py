"""`uyan voices gain`: what synthetic voices bring beside few and many real ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.ablate import JobsOption
from uyan.cli.run import OnOption, RecipeArgument, SetOption, say_voices
from uyan.errors import ConfigError

if TYPE_CHECKING:
    from uyan.pipeline.gain_table import GainPoint, VoicesGain


def register(app: typer.Typer) -> None:
    """Add `gain` to the commands of `uyan voices`."""
    app.command(
        "gain",
        help="Measure what synthetic voices bring: a K-fold of the recipe with and without them, for growing numbers "
        "of real voices, judged on the same recordings. Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan voices gain recipes/jarvis_voices.yaml --folds 3 --out runs/jarvis-gain",
    )(gain)


def gain(
    recipe: RecipeArgument,
    speakers: Annotated[
        str, typer.Option(metavar="N,N,…", help="Real voices to train on, a point each; all there are comes last.")
    ] = "0,5,10,20",
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the runs and the table go; runs/NAME-gain.")
    ] = None,
    folds: Annotated[int, typer.Option(metavar="K", help="Speakers are dealt into this many tests.")] = 5,
    jobs: JobsOption = None,
    on: OnOption = None,
) -> None:
    """Run what is not finished yet and show the tables."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.voices_gain import measure_gain

    counts = _counts(speakers)
    folder = out or Path("runs") / f"{recipe.stem}-gain"
    with terminal() as shown, engine(on):
        measured = measure_gain(recipe, overrides or [], folder, counts, folds, jobs, shown.progress, shown.tell)
    show_gain(measured)
    typer.echo(f"table {folder / 'gain.csv'}, figures {folder / 'gain.json'}, picture {folder / 'gain.png'}")


def show_gain(gain: "VoicesGain") -> None:
    """A table at a common threshold and one as shipped; then what the reader must know."""
    from uyan.cli.console import print_table
    from uyan.evaluation.claims import fah_claim
    from uyan.pipeline.gain_table import COMMON, SHIPPED, voices_text

    say_voices(gain.judged)
    for at in (COMMON, SHIPPED):
        rows = [
            (voices_text(point.voices), condition, *_cells(point, condition, at))
            for point in gain.points
            for condition in gain.conditions
        ]
        columns = ("real voices", "", "real alone", "and synthetic", "change, points")
        print_table(f"“{gain.keyword}”: misses {'at ' if at == COMMON else ''}{at}", columns, rows)
    for point in gain.points:
        for mix, report in point.reports.items():
            alarms = report["false_alarms"]
            name = f"{voices_text(point.voices)} real voices, {'with' if mix == 'both' else 'without'} synthetic ones"
            typer.echo(f"as shipped, {name}: {fah_claim(alarms['events'], alarms['hours'])}")
    typer.echo(
        f"at {COMMON}: one threshold for all folds, chosen on these very tests: it compares, it promises nothing"
    )
    typer.echo("95 % intervals over speakers; * leaves zero out. Another training seed adds to them and is not in them")


def _cells(point: "GainPoint", condition: str, at: str) -> tuple[str, str, str]:
    """What was missed without and with synthetic voices, and the change; a dash where there is none."""
    from uyan.pipeline.gain_table import relative

    cells = {}
    for mix in point.reports:
        found = point.missed(mix, condition, at)
        bounds = f"{found.interval.low:.1%} – {found.interval.high:.1%}" if found.met else "not met"
        cells[mix] = f"{found.misses}/{found.positives} {found.miss_rate:.1%}\n{bounds}"
    change = point.change(condition, at)
    if change is None or change.interval is None:
        return "–", cells["both"], "–"
    share = relative(change, point.missed("real", condition, at))
    said = f"{100 * change.mean:+z.1f}" + (f" ({share:+.0%})" if share is not None else "")
    bounds = f"{100 * change.interval.low:+z.1f}, {100 * change.interval.high:+z.1f}"
    return cells["real"], cells["both"], f"{said}\n[{bounds}]{'*' if change.real else ''}"


def _counts(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise ConfigError(f"--speakers {text!r}: write whole numbers with commas between them, 0,5,20") from None
