"""`uyan kfold`: how well a recipe does on voices it has not heard, over all of its speakers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from uyan.cli.run import OnOption, OutOption, RecipeArgument, SetOption, missed_by, say_voices


def register(app: typer.Typer) -> None:
    """Add `kfold` to the command line."""
    app.command(
        "kfold",
        help="Run a recipe once a fold, with other speakers as the test each time, and pool the figures.\n\n"
        "Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan kfold recipes/jarvis.yaml --folds 5 --out runs/jarvis-kfold",
    )(kfold)


def kfold(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    out: OutOption = None,
    folds: Annotated[int, typer.Option(metavar="K", help="Speakers are dealt into this many tests.")] = 5,
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Runs at a time; one a core by default.")] = None,
    on: OnOption = None,
) -> None:
    """Run the folds and show what came out."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import engine
    from uyan.pipeline.kfold import kfold as run_kfold
    from uyan.recipe import load_recipe

    folder = out or Path("runs") / f"{recipe.stem}-kfold"
    loaded = load_recipe(recipe, overrides or [])
    with terminal() as shown, engine(on):
        report = run_kfold(loaded, recipe.resolve().parent, folder, folds, jobs, shown.progress, shown.tell)
    show_report(report, folder)


def show_report(report: dict[str, Any], out: Path) -> None:
    """Miss rates with their denominators and intervals, the alarms, who was missed, and where the files are."""
    from uyan.cli.console import print_table
    from uyan.evaluation.claims import fah_claim

    conditions, alarms = report["conditions"], report["false_alarms"]
    first = next(iter(conditions.values()))
    targets = list(first["at_fah"])
    say_voices(first["shipped"]["per_speaker"])
    columns = ["all folds", *(_target(t, first["at_fah"][t], report["hours"]) for t in targets), "as shipped", "folds"]
    rows = [
        [
            name,
            *(_rate(c["at_fah"][t]) + ("" if c["at_fah"][t]["met"] else " not met") for t in targets),
            _rate(c["shipped"]),
            f"{c['shipped']['mean']:.1%} ± {c['shipped']['spread']:.1%}",
        ]
        for name, c in conditions.items()
    ]
    speakers = first["shipped"]["per_speaker"]
    print_table(
        f"“{report['keyword']}”: {len(report['folds'])} folds, {first['shipped']['positives']} positives of "
        f"{len(speakers)} speakers, {report['hours']:.2f} h of negatives, each judged by a model that never heard them",
        columns,
        rows,
    )
    typer.echo("miss rate, 95 % interval over speakers, misses; at FAH: one threshold chosen on these very tests")
    for target in targets:
        each = {name: condition["each_fold_at_fah"][target] for name, condition in conditions.items()}
        granted = ", ".join(map(str, next(iter(each.values()))["events_allowed"]))
        counted = ", ".join(map(_each, each, each.values()))
        typer.echo(f"each fold at {target} FAH of its own test (≤ {granted} alarms): {counted}")
    typer.echo(f"as shipped, each fold at its own threshold: {fah_claim(alarms['events'], alarms['hours'])}")
    if report["near_words"]:
        typer.echo(f"near words as shipped: {_near_words(report['near_words'])}")
    for name, condition in conditions.items():
        typer.echo(f"misses by speaker as shipped, {name}: {missed_by(condition['shipped']['per_speaker'])}")
    for warning in report["warnings"]:
        typer.echo(f"warning: {warning}")
    typer.echo(f"figures {out / 'kfold.json'}, curves {out / 'kfold.png'}, each fold in {out}/fold-*")


def _each(name: str, found: dict[str, Any]) -> str:
    """A condition's misses with every fold at its own threshold."""
    met = "" if found["met"] else " not met"
    return f"{name} {found['misses']}/{found['positives']} {found['miss_rate']:.1%}{met}"


def _near_words(found: dict[str, Any]) -> str:
    """How often they are accepted, fold by fold, and the categories, the worst first."""
    shares = [accepted / judged for accepted, judged in found["by_fold"]]
    categories = ", ".join(
        f"{name} {accepted} of {judged}" for name, (accepted, judged) in found["by_category"].items()
    )
    return (
        f"{found['accepted']} of {found['judged']} in {len(shares)} folds accepted, "
        f"{found['accepted'] / found['judged']:.1%} ({min(shares):.1%} – {max(shares):.1%} a fold): {categories}"
    )


def _target(target: str, found: dict[str, Any], hours: float) -> str:
    """What so low a rate means in so few hours."""
    allowed = found["events_allowed"]
    return f"at {target} FAH (" + (f"≤ {allowed} events)" if allowed else f"0 events in {hours:.1f} h)")


def _rate(found: dict[str, Any]) -> str:
    interval = found["speaker_interval"]
    bounds = f"{interval['low']:.1%} – {interval['high']:.1%}"
    return f"{found['miss_rate']:.1%} ({bounds}) {found['misses']}/{found['positives']}"
