"""`uyan data import`: a public data set, as its publisher packs it, becomes a manifest."""

from pathlib import Path
from typing import Annotated

import typer

NAMES = "speech-commands, mswc, common-voice, librispeech, musan, demand, esc-50, slr28"
SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add `import` to the commands of `uyan data`."""
    app.command(
        "import",
        help="Write the manifest of a public data set that you have downloaded: its words, speakers, official splits "
        f"and licences.\n\n{NAMES}\n\nExample: uyan data import mswc mswc/tr",
    )(import_)


def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the data set.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Unpacked; of one language where it has several.")],
    keyword: Annotated[
        str | None, typer.Option(help="Your word: sentences that say it are left out, they would be no negatives.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; DIR/manifest.csv by default.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
) -> None:
    """Write the manifest and say what is in it."""
    from uyan.cli.console import print_table, terminal
    from uyan.data.importers.catalogue import import_data_set

    with terminal() as shown:
        made = import_data_set(name, folder, keyword, out, workers, shown.progress)
    groups: dict[tuple[str, str], list[float]] = {}
    for recording in made.recordings:
        groups.setdefault((recording.kind, recording.split or "–"), []).append(recording.duration_s)
    rows = [(kind, split, len(lengths), f"{sum(lengths) / 3600:.2f}") for (kind, split), lengths in groups.items()]
    print_table(str(made.manifest), ("kind", "official split", "recordings", "hours"), rows)
    for path, reason in made.left_out[:SHOWN]:
        typer.echo(f"warning: left out {path}: {reason}", err=True)
    if len(made.left_out) > SHOWN:
        typer.echo(f"warning: … and {len(made.left_out) - SHOWN} more", err=True)
    if made.saying_the_keyword:
        typer.echo(
            f"{made.saying_the_keyword} recordings say {keyword!r} among other words, or may do so, and are left out"
        )
    elif keyword is None and any(recording.kind == "negative" for recording in made.recordings):
        typer.echo("sentences that say your word would be false negatives; --keyword leaves them out", err=True)
