"""`uyan demo`: the whole way on a synthetic voice corpus made on the spot; what `make quickstart` runs."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `demo` to the command line."""
    app.command(
        "demo",
        help="Synthesise a small corpus, train on it, and detect the word in a freshly synthesised stream.\n\n"
        "A synthetic demo shows that everything works; its bundle is no real-world detector.\n\n"
        "Example: uyan demo --out runs/demo",
    )(demo)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the corpus and the run go.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other voices.")] = 42,
) -> None:
    """Corpus, run, stream; then what fired where."""
    from uyan.cli.console import terminal
    from uyan.cli.run import show_outcome
    from uyan.pipeline.demo import TARGET_FAH, run_demo

    with terminal() as shown:
        result = run_demo(out, seed, shown.progress, shown.tell)
    show_outcome(result.outcome, out)
    typer.echo(f"\n{result.stream}, {result.minutes:.1f} minutes synthesised with voices not in the corpus:")
    for spoken_s, fired_s in result.heard:
        typer.echo(f"  spoken by {spoken_s:7.2f} s   " + (f"fired at {fired_s:7.2f} s" if fired_s else "MISSED"))
    typer.echo(f"  false alarms: {', '.join(f'{t:.2f} s' for t in result.false_alarms_s) or 'none'}")
    typer.echo(
        f"Its threshold aims at {TARGET_FAH:g} false alarms per hour, as far as so few minutes can tell; for a room, "
        "aim at 0.5 or less, with hours of negatives."
    )
    typer.echo("Synthetic voices only: this shows that the tool works, not how a detector does in your kitchen.")
