"""`uyan data label` and `uyan data add-feedback`: what was heard becomes recordings to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uyan.data.clip_table import Clip


def register(app: typer.Typer) -> None:
    """Add both to the commands of `uyan data`."""
    app.command(
        "label",
        help="Play the clips that uyan listen --save-clips kept, one after the other, and note what was said.\n\n"
        "Example: uyan data label clips",
    )(label)
    app.command(
        "add-feedback",
        help="Add the clips that were labelled to a manifest, to train on: yes and words as keyword, no as negative, "
        "noise as noise. Rows that are there stay; the same command again adds nothing twice.\n\n"
        "Example: uyan data add-feedback clips --manifest manifest.csv --speaker ada",
    )(add_feedback)


def label(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds clips.csv.")],
    play: Annotated[bool, typer.Option(help="Through the loudspeaker; otherwise the file is named alone.")] = True,
) -> None:
    """Ask about every clip without an answer."""
    from uyan.data.clip_table import read_clips, set_label

    clips = read_clips(folder)
    waiting = [clip for clip in clips if not clip.label]
    words = sorted({clip.word for clip in clips})
    typer.echo("y: the word · n: other speech · b: background, nobody speaks · or the word that was said")
    typer.echo("Enter: later · r: once more · q: stop")
    for number, clip in enumerate(waiting, 1):
        typer.echo(f"{number}/{len(waiting)}  {clip.word}?  {clip.event} {clip.score}  {folder / clip.path}")
        given = _asked(clip, folder / clip.path, words, play)
        if given is None:
            break
        if given:
            set_label(folder, clip.path, given)
    left = sum(not clip.label for clip in read_clips(folder))
    typer.echo(f"{left} clips without an answer; the others are ready: uyan data add-feedback {folder}")


def _asked(clip: "Clip", file: Path, words: list[str], play: bool) -> str | None:
    """The answer, "" for none now, None for the end."""
    from uyan.data.clip_table import answer
    from uyan.errors import UyanError
    from uyan.runtime.devices import play_file

    while True:
        try:
            if play:
                play_file(file)
        except UyanError as reason:
            typer.echo(f"not played: {reason}", err=True)
        given = typer.prompt("  said", default="", show_default=False).strip()
        if given == "q":
            return None
        if given == "r":
            continue
        try:
            return answer(given, words) if given else ""
        except ValueError as reason:
            typer.echo(f"{given!r} {reason}", err=True)


def add_feedback(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds clips.csv, its column label filled in.")],
    manifest: Annotated[
        Path | None, typer.Option(help="A .csv in DIR or above it; DIR/manifest.csv by default.")
    ] = None,
    speaker: Annotated[str, typer.Option(help="Who said the words of rows without a speaker_id.")] = "",
) -> None:
    """Append the rows and say what was done."""
    from collections import Counter

    from uyan.data.feedback import add_feedback as add

    target = manifest or folder / "manifest.csv"
    found = add(folder, target, speaker)
    counts = Counter(f"{row['kind']} {row['label']}" for row in found.added)
    shown = f" ({', '.join(f'{number} {what}' for what, number in sorted(counts.items()))})" if counts else ""
    typer.echo(f"{target}: {len(found.added)} recordings added{shown}, {found.known} were there")
    for path in found.changed:
        typer.echo(f"warning: {path} is listed with another label, which stays; change it there by hand", err=True)
    if nobody := sum(row["kind"] == "keyword" and not row["speaker_id"] for row in found.added):
        typer.echo(f"warning: {nobody} added keywords have no speaker_id: a split between speakers may leak", err=True)
    if found.unlabelled:
        typer.echo(f"{found.unlabelled} clips have no label yet: uyan data label {folder}", err=True)
