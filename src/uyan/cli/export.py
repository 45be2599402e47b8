"""`uyan export`: what devices need of a finished run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add `export` to the command line."""
    app.command(
        "export",
        help="Write frontend.onnx, samples to log-mel features, beside a finished run's bundle; with --int8 the bundle "
        "in eight bits as well, measured against the bundle on the run's test split.\n\n"
        "No eight bits are written where they miss more than half a point more, or have more false alarms than a fifth "
        "of the target FAH (one at least) allows.\n\n"
        "Example: uyan export runs/jarvis --int8",
    )(export)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    int8: Annotated[bool, typer.Option("--int8", help="Write bundle.int8.onnx.")] = False,
    base: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The recipe's folder; found upwards from the run by default.")
    ] = None,
) -> None:
    """Write it and show what it costs."""
    from uyan.bundle import load
    from uyan.cli.console import terminal
    from uyan.pipeline.export import export_frontend
    from uyan.pipeline.int8 import BUNDLE, export_int8
    from uyan.pipeline.run_folder import RunFolder

    bundle = load(run / "bundle.onnx")
    typer.echo(f"front end {export_frontend(bundle)}")
    if not int8:
        return
    folder = RunFolder(bundle, run)
    with terminal() as shown:
        figures = export_int8(folder, base, shown.progress)
    _show(figures)
    typer.echo(f"bundle {run / BUNDLE}")


def _show(figures: Mapping[str, Any]) -> None:
    misses, alarms = figures["misses"], figures["false_alarms"]
    more, fewer = (100 * figures["miss_rate_change_interval"][end] for end in ("high", "low"))
    fah = figures["fah_change_interval"]
    typer.echo(
        f"misses: {misses['int8']} of {figures['positives']} (fp32 {misses['fp32']}), "
        f"{100 * figures['miss_rate_change']:+.1f} points (95 % over speakers {fewer:+.1f} to {more:+.1f})"
    )
    typer.echo(
        f"false alarms: {alarms['int8']} in {figures['hours']:.2f} h (fp32 {alarms['fp32']}), "
        f"{figures['fah_change']:+.2f} per hour (95 % {fah['low']:+.2f} to {fah['high']:+.2f})"
    )
    typer.echo(
        f"size: {figures['bytes']['int8']:,} bytes, {figures['size']:.2f} of fp32; time: {figures['window_time']:.2f} "
        f"of fp32 for a window, {figures['pass_time']:.2f} for a long pass"
    )
