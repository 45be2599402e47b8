"""`uyan verify`: hold a bundle against the folder of its run."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

CHECK_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add `verify` to the command line."""
    app.command(
        "verify",
        help="Recompute what a bundle promises from its run's folder: checksum, configuration hash, weights, CMVN, "
        "figures and card; with --recalibrate the threshold too, from the recordings.\n\n"
        "Ends with 0 when nothing failed, 1 when a check failed, 2 when there is nothing to check.\n\n"
        "Example: uyan verify runs/jarvis/bundle.onnx --recalibrate",
    )(verify)


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle.onnx made by uyan run.")],
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="The run's folder; by default the bundle's.")
    ] = None,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="Also split and calibrate again, on the recordings themselves.")
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --recalibrate: the recipe's folder, which its manifests are relative to; by default the "
            "nearest one, from the run's folder upwards, in which they are.",
        ),
    ] = None,
) -> None:
    """Print a line a check."""
    from uyan.cli.console import terminal
    from uyan.engine.parallel import silent
    from uyan.pipeline.verify import failed
    from uyan.pipeline.verify import verify as checks_of

    with terminal() if recalibrate else nullcontext() as shown:
        checks = checks_of(bundle, run, recalibrate, base, shown.progress if shown else silent)
    for check in checks:
        typer.echo(f"{check.name:<16} {check.state:<12} {check.said}")
    if failed(checks):
        raise typer.Exit(CHECK_FAILED)
