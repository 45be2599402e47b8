"""`uyan listen`: run a bundle over audio files of any length."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `listen` to the command line."""
    app.command(
        "listen",
        help="Print one line a detection in audio files of any length.\n\n"
        "Example: uyan listen runs/jarvis/bundle.onnx kitchen.flac --threshold 0.9 --json",
    )(listen)


def listen(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle.onnx made by uyan run.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Audio files.")],
    threshold: Annotated[
        float | None, typer.Option(help="From 0 to 1; the bundle's operating point by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print detections in the order they fire."""
    from uyan.bundle import load
    from uyan.errors import AudioError
    from uyan.runtime.files import listen_to_file

    loaded = load(bundle)
    unreadable = []
    for file in files:
        try:
            for found in listen_to_file(loaded, file, threshold):
                if as_json:
                    row = {"file": str(file), "time_s": found.time_s, "label": found.label, "score": found.score}
                    typer.echo(json.dumps(row, ensure_ascii=False))
                else:
                    typer.echo(f"{file}  {found.time_s:9.3f} s  {found.label}  score {found.score:.3f}")
        except AudioError as reason:
            unreadable.append(str(reason))
    if unreadable:
        raise AudioError("; ".join(unreadable))
