"""`uyan pretrain`: learn the words of a recipe's training split, as a trunk for other recipes to start from."""

from pathlib import Path

import typer

from uyan.cli.run import OutOption, RecipeArgument, SetOption


def register(app: typer.Typer) -> None:
    """Add `pretrain` to the command line."""
    app.command(
        "pretrain",
        help="Learn to tell all words of the training split apart, and write what was learnt as trunk.safetensors.\n\n"
        "A recipe starts from it with training.init. The file lists who it learnt from; a run whose validation or test "
        "split holds one of them refuses it. To do both in one run, set training.init to words.\n\n"
        "Interrupted, the same command goes on where it stopped.\n\n"
        "Example: uyan pretrain recipes/jarvis.yaml --out runs/words",
    )(_pretrain)


def _pretrain(recipe: RecipeArgument, overrides: SetOption = None, out: OutOption = None) -> None:
    from uyan.cli.console import terminal
    from uyan.pipeline.pretrain import make_trunk
    from uyan.pipeline.workspace import Workspace
    from uyan.recipe import load_recipe

    folder = out or Path("runs") / recipe.stem
    with terminal() as shown:
        run = Workspace(
            load_recipe(recipe, overrides or []), recipe.resolve().parent, folder, shown.progress, shown.tell
        )
        trunk = make_trunk(run)
    typer.echo(f"trunk {trunk}; start from it with --set training.init={trunk.resolve()}")
