"""`uyan run`, and its stages as commands: split, features, train, calibrate."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from uyan.pipeline.run import Outcome, Stage

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to learn, from which manifests.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe; may be repeated."),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The run's folder; runs/NAME OF THE RECIPE by default.")
]
OnOption = Annotated[
    str | None,
    typer.Option("--on", metavar="ENGINE", help="What does the work: local, ray (started here), or ray://HOST:PORT."),
]
ProcessesOption = Annotated[
    int,
    typer.Option("--processes", metavar="N", help="Processes of this computer that train together; one a GPU."),
]
NoRir = Annotated[bool, typer.Option("--no-rir", help="Leave out the variants heard in a room (room responses).")]
NoSpecAugment = Annotated[bool, typer.Option("--no-specaug", help="Leave out SpecAugment, the masks in time and mel.")]
NoMixBackground = Annotated[bool, typer.Option("--no-mixbg", help="Leave out background noise mixed into the batches.")]

MANY_SPEAKERS = 40
"""With more, only those with a miss are listed; the card lists all."""

STAGE_HELP: "dict[Stage, str]" = {
    "split": "Check the recordings and place each in train, validation or test.",
    "features": "… and cache the features of train and validation.",
    "train": "… and train the network, or resume training.",
    "calibrate": "… and choose the threshold on the validation split.",
}

BEFORE_TRAINING: "tuple[Stage, ...]" = ("split", "features")
"""Stages for which it makes no difference what training leaves out."""


def register(app: typer.Typer) -> None:
    """Add `run` and the stages to the command line."""
    app.command(
        "run",
        help="From recordings to a measured bundle: check, split, features, train, calibrate, evaluate, export.\n\n"
        "Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan run recipes/jarvis.yaml --set calibration.target_fah=0.1 --out runs/jarvis",
    )(_training_command("export"))
    for stage, text in STAGE_HELP.items():
        example = f"Example: uyan {stage} recipes/jarvis.yaml --out runs/jarvis"
        command = _command(stage) if stage in BEFORE_TRAINING else _training_command(stage)
        app.command(stage, help=f"{text}\n\n{example}")(command)


def _command(stage: "Stage"):  # type: ignore[no-untyped-def]  # typer reads the signature of the inner function
    def command(
        recipe: RecipeArgument, overrides: SetOption = None, out: OutOption = None, on: OnOption = None
    ) -> None:
        run_recipe(recipe, overrides or [], out or Path("runs") / recipe.stem, stage, on)

    return command


def _training_command(stage: "Stage"):  # type: ignore[no-untyped-def]  # as above
    def command(
        recipe: RecipeArgument,
        overrides: SetOption = None,
        out: OutOption = None,
        no_rir: NoRir = False,
        no_specaug: NoSpecAugment = False,
        no_mixbg: NoMixBackground = False,
        on: OnOption = None,
        processes: ProcessesOption = 1,
    ) -> None:
        from uyan.pipeline.ablate import ABLATIONS

        asked = {"no-rir": no_rir, "no-specaug": no_specaug, "no-mixbg": no_mixbg}
        left_out = [change for name, changes in ABLATIONS.items() if asked[name] for change in changes]
        out = out or Path("runs") / recipe.stem
        run_recipe(recipe, [*(overrides or []), *left_out], out, stage, on, processes)

    return command


def run_recipe(
    path: Path, overrides: list[str], out: Path, stage: "Stage", on: str | None = None, processes: int = 1
) -> None:
    """Run a recipe up to a stage and show what came out; with several processes, in each of them."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import LOCAL, engine
    from uyan.pipeline.processes import run_processes
    from uyan.pipeline.ray_train import training_on_ray
    from uyan.pipeline.run import run_until
    from uyan.pipeline.workspace import Workspace
    from uyan.ranks import joined, started_as_group
    from uyan.recipe import load_recipe

    recipe = load_recipe(path, overrides)
    on_cluster = on not in (None, LOCAL)
    if processes != 1 and not (on_cluster or started_as_group()):
        raise typer.Exit(run_processes([sys.executable, "-m", "uyan.cli.main", *sys.argv[1:]], processes, _tell))
    with joined() as ranks:
        if not ranks.first:
            run_until(Workspace(recipe, path.resolve().parent, out, ranks=ranks), stage)
            return
        with terminal() as shown, engine(on):
            run = Workspace(recipe, path.resolve().parent, out, shown.progress, shown.tell, ranks=ranks)
            elsewhere = training_on_ray(processes) if on_cluster and processes != 1 else None
            outcome = run_until(run, stage, elsewhere)
    if outcome:
        show_outcome(outcome, out)
    else:
        typer.echo(f"{stage}: done, in {out}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def show_outcome(outcome: "Outcome", out: Path) -> None:
    """Miss rates with their denominators, then where the files are."""
    from uyan.cli.console import print_table
    from uyan.evaluation.claims import at_fah_text, fah_claim, miss_bounds

    metrics = outcome.metrics
    alarms = metrics["false_alarms"]
    say_voices(metrics["conditions"]["clean"]["per_speaker"])
    rows = [
        (
            name,
            f"{c['miss_rate']:.1%}",
            f"{miss_bounds(c).low:.1%} – {miss_bounds(c).high:.1%}",
            f"{c['misses']}/{c['positives']}",
            at_fah_text(c["at_fah"]["0.5"]),
        )
        for name, c in metrics["conditions"].items()
    ]
    columns = ("test split", "miss rate", "95 % interval", "misses", "at 0.5 FAH*")
    speakers, hours = metrics["conditions"]["clean"]["per_speaker"], alarms["hours"]
    print_table(f"“{metrics['keyword']}”: {judged_by(speakers, hours)}", columns, rows)
    typer.echo("* with the threshold chosen on the test split itself; the first column is what ships")
    typer.echo(f"misses by speaker, clean: {missed_by(speakers)} ({len(speakers)} speakers)")
    threshold = outcome.bundle.info.threshold
    typer.echo(f"threshold {threshold:.4f}: {fah_claim(alarms['events'], alarms['hours'])}")
    averaged = metrics["tta"]["claims"]
    typer.echo(f"with averaged scores, 40 ms later: {averaged['misses, clean']}; {averaged['false alarms']}")
    show_near_words(metrics["near_words"])
    typer.echo(f"bundle {outcome.bundle.path}, card {out / 'model_card.md'}, figures {out / 'metrics.json'}")


def show_near_words(found: "Mapping[str, Any] | None") -> None:
    """How often what almost is the word fires, the worst category first; nothing where it was not asked."""
    if found:
        typer.echo(f"near words: {found['claim']}")
        for name, rate in found["by_category"].items():
            typer.echo(f"  {name}: {rate['accepted']} of {rate['recordings']}")


def say_voices(speakers: Mapping[str, tuple[int, int]]) -> None:
    """A first line where machines judge, instead of people or beside them."""
    from uyan.evaluation.claims import voices_claim

    if claim := voices_claim(speakers):
        typer.secho(claim, bold=True)


def judged_by(speakers: Mapping[str, tuple[int, int]], hours: float) -> str:
    """Whose recordings and how many hours judge; a speaker nobody has named may have been heard in training.

    >>> judged_by({"ada": (0, 3), "can": (1, 2)}, 1.5)
    '2 speakers and 1.50 h of negatives never heard in training'
    >>> judged_by({"ada": (0, 3), "unknown:4a0f1b410871": (1, 1)}, 1.5)
    '1 speakers and 1.50 h of negatives never heard in training, and 1 recordings whose speakers may have been'
    """
    from uyan.data.recording import UNKNOWN_SPEAKER

    unnamed = [count for speaker, (_, count) in speakers.items() if speaker.startswith(UNKNOWN_SPEAKER)]
    named = f"{len(speakers) - len(unnamed)} speakers and {hours:.2f} h of negatives never heard in training"
    return f"{named}, and {sum(unnamed)} recordings whose speakers may have been" if unnamed else named


def missed_by(speakers: Mapping[str, tuple[int, int]]) -> str:
    """Misses and recordings of every speaker with a miss, and where there are few, of the others too."""
    shown = {s: row for s, row in speakers.items() if row[0] or len(speakers) <= MANY_SPEAKERS}
    return ", ".join(f"{speaker} {misses}/{count}" for speaker, (misses, count) in shown.items()) or "none"
