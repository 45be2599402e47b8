"""`uyan voices compare`: what synthetic voices bring beside few and many real ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.ablate import JobsOption
from uyan.cli.numbers import whole_numbers
from uyan.cli.run import OnOption, RecipeArgument, SetOption, say_voices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uyan.pipeline.voices_table import Point, VoicesTable


def register(app: typer.Typer) -> None:
    """Add `compare` to the commands of `uyan voices`."""
    app.command(
        "compare",
        help="Measure what synthetic voices bring: a K-fold of the recipe with and without them, for growing numbers "
        "of real voices, judged on the same recordings. Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan voices compare recipes/jarvis_voices.yaml --folds 3 --out runs/jarvis-voices",
    )(compare)


def compare(
    recipe: RecipeArgument,
    speakers: Annotated[
        str,
        typer.Option(
            metavar="N,N,…",
            help="Real voices to train on, a point each; all there are come last; '' for that point only.",
        ),
    ] = "0,5,10,20",
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the runs and the table go; runs/NAME-compare.")
    ] = None,
    folds: Annotated[int, typer.Option(metavar="K", help="Speakers are dealt into this many tests.")] = 5,
    jobs: JobsOption = None,
    on: OnOption = None,
) -> None:
    """Run what is not finished yet and show the tables."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.voices_comparison import compare_voices

    counts = whole_numbers("--speakers", speakers)
    folder = out or Path("runs") / f"{recipe.stem}-compare"
    with terminal() as shown, engine(on):
        table = compare_voices(recipe, overrides or [], folder, counts, folds, jobs, shown.progress, shown.tell)
    show_table(table)
    typer.echo(f"table {folder / 'compare.csv'}, figures {folder / 'compare.json'}, picture {folder / 'compare.png'}")


def show_table(table: "VoicesTable") -> None:
    """Misses at a common threshold, at one a fold, then as shipped, then what the reader must know."""
    from uyan.cli.console import print_table
    from uyan.pipeline.ablation_table import AT_FAH
    from uyan.pipeline.voices_table import BOTH, COMMON, EACH, REAL, SHIPPED

    say_voices(table.judged)
    pairs = [(point, condition) for point in table.points for condition in table.conditions]
    first = table.reports[0]["conditions"][table.conditions[0]]["at_fah"][AT_FAH]
    events = f"≤ {first['events_allowed']} alarms in {table.reports[0]['hours']:.2f} h"
    columns = ("real voices", "", "real alone", "real and synthetic", "more (+), fewer (−), % points")
    titles = {
        COMMON: f"misses {COMMON} ({events}), one threshold for all folds",
        EACH: f"misses, each fold at its own test's threshold for {AT_FAH} FAH ({_granted(table)})",
    }
    for at, title in titles.items():
        rows = [
            (_voices(p), name, *(_missed(p, side, name, at) for side in (REAL, BOTH)), _change(p, name, at))
            for p, name in pairs
        ]
        print_table(f"“{table.keyword}”: {title}", columns, rows)
    near = any(report["near_words"] for report in table.reports)
    shipped = [row for point in table.points for row in _shipped(point, table.conditions, near)]
    print_table(f"“{table.keyword}”: {SHIPPED}, each fold at its own threshold", columns[:4], shipped)
    if not first["supported"]:
        typer.echo(f"so few hours of negatives cannot support {AT_FAH} FAH: do not claim these figures")
    for line in _notes(table):
        typer.echo(line)


def _granted(table: "VoicesTable") -> str:
    """How many alarms each fold may have."""
    from uyan.pipeline.ablation_table import AT_FAH

    each = table.reports[0]["conditions"][table.conditions[0]]["each_fold_at_fah"][AT_FAH]["events_allowed"]
    return f"≤ {', '.join(map(str, each))} alarms"


def _notes(table: "VoicesTable") -> list[str]:
    from uyan.pipeline.voices_table import COMMON

    return [
        "95 % intervals over speakers, of miss rates over recordings where that is wider; * leaves zero out, as one "
        "change in twenty would without any: another seed, or other negatives, can move it further; both tables judge "
        "the same recordings; no * where the hours are few",
        f"thresholds {COMMON} are chosen on these very tests, by the few alarms they allow: they compare, they promise "
        "nothing; one for all folds pays for scores on different scales, one for each has fewer alarms in all: compare "
        "columns, not tables",
        "one training seed; validation keeps its real voices at every point; without synthetic voices means without "
        "their negatives, too",
        *(f"warning: {warning}" for warning in table.warnings),
    ]


def _shipped(point: "Point", conditions: "Sequence[str]", near: bool) -> list[tuple[str, ...]]:
    """One point's rows: a condition each, alarms, and near words where there are any."""
    from uyan.pipeline.voices_table import BOTH, REAL, SHIPPED

    sides, voices = (REAL, BOTH), _voices(point)
    rows = [(voices, name, *(_missed(point, side, name, SHIPPED) for side in sides)) for name in conditions]
    rows.append((voices, "false alarms", *(_alarms(point, side) for side in sides)))
    return [*rows, (voices, "near words accepted", *(_near(point, side) for side in sides))] if near else rows


def _voices(point: "Point") -> str:
    """How many real ones trained each fold."""
    from uyan.pipeline.voices_table import voices_text

    if not any(point.real_voices):
        return "0: synthetic\nalone"
    return voices_text(point.real_voices) + ("" if point.limit is not None else "\n(all)")


def _missed(point: "Point", trained_on: str, condition: str, at: str) -> str:
    """A dash where there is no such K-fold."""
    if trained_on not in point.reports:
        return "–"
    found = point.missed(trained_on, condition, at)
    bounds = f"{found.interval.low:.1%} – {found.interval.high:.1%}" if found.met else "not met"
    return f"{found.misses}/{found.positives} {found.miss_rate:.1%}\n{bounds}"


def _change(point: "Point", condition: str, at: str) -> str:
    """With its share of what real voices alone miss, and its interval."""
    from uyan.pipeline.voices_table import REAL

    change = point.change(condition, at)
    if change is None or change.interval is None:
        return "–"
    real = point.missed(REAL, condition, at)
    share = f" ({change.mean / real.miss_rate:+z.0%})" if real.misses else ""
    suffice = all(point.missed(side, condition, at).hours_suffice for side in point.reports)
    bounds = f"{100 * change.interval.low:+z.1f}, {100 * change.interval.high:+z.1f}"
    return f"{100 * change.mean:+z.1f}{share}\n[{bounds}]{'*' if change.real and suffice else ''}"


def _alarms(point: "Point", trained_on: str) -> str:
    if trained_on not in point.reports:
        return "–"
    found = point.reports[trained_on]["false_alarms"]
    return f"{found['events']} in {found['hours']:.2f} h"


def _near(point: "Point", trained_on: str) -> str:
    """What almost is the keyword, judged by each fold."""
    found = point.reports[trained_on]["near_words"] if trained_on in point.reports else None
    if not found:
        return "–"
    accepted, judged = found["accepted"], found["judged"]
    return f"{accepted}/{judged} {accepted / judged:.1%}\n{len(found['by_fold'])} folds"
