"""`uyan data speakers`: who speaks where nobody wrote it down."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.locations import located

if TYPE_CHECKING:
    from uyan.data.speakers.speaker_estimate import Estimate

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add `speakers` to the commands of `uyan data`."""
    app.command(
        "speakers",
        help="Guess who speaks in recordings without a speaker_id: voices that sound alike get one id, est:…, in a new "
        "manifest. Ids that are given stay. Needs torch and the encoder's weights.\n\n"
        "Example: uyan data speakers recordings/manifest.csv",
    )(speakers)


def speakers(
    given: Annotated[str, typer.Argument(metavar="MANIFEST", help="CSV or Parquet, on this computer.")],
    out: Annotated[
        Path | None,
        typer.Option(help="A manifest in the same folder; MANIFEST with .speakers before its suffix by default."),
    ] = None,
    distance: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Mean cosine distance up to which voices are one speaker.")
    ] = 0.35,
    weights: Annotated[
        Path | None, typer.Option(help="The encoder's pretrained.pt; the installed package's by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
) -> None:
    """Write the new manifest and say how large the groups are."""
    from uyan.cli.console import terminal
    from uyan.data.manifest import load_manifests, save_manifest
    from uyan.data.speakers.speaker_estimate import estimate_speakers
    from uyan.errors import ConfigError

    manifest = located([given])[0]
    if not isinstance(manifest, Path):
        raise ConfigError(f"{manifest}: the new manifest goes beside the old one, on this computer; copy the data here")
    target = out or manifest.with_name(f"{manifest.stem}.speakers{manifest.suffix}")
    if target.exists() and target.samefile(manifest):
        raise ConfigError(f"{target}: is the manifest that is read; name another with --out")
    if not manifest.parent.resolve().is_relative_to(target.parent.resolve()):
        raise ConfigError(f"{target}: lies beside no recording; name a file in {manifest.parent.resolve()} with --out")
    with terminal() as shown:
        found = estimate_speakers(load_manifests([manifest]), distance, weights, workers, shown.progress)
    save_manifest(found.recordings, target)
    _show_voices(found, distance)
    typer.echo(f"manifest {target}: listen to some of each group before you rely on it")


def _show_voices(found: "Estimate", distance: float) -> None:
    from uyan.cli.console import print_table

    largest = found.voices[:SHOWN]
    if largest:
        print_table(
            f"{len(found.voices)} estimated speakers (cosine distance ≤ {distance:g}), the largest",
            ("speaker", "recordings", "sounds like"),
            [(v.speaker_id, v.recordings, f"{v.like} ({v.distance:.2f})" if v.like else "") for v in largest],
        )
    alone = sum(v.recordings == 1 for v in found.voices)
    typer.echo(f"{found.named} recordings had a speaker_id, which stays; {alone} estimated speakers have one recording")
    for recording, reason in found.mute[:SHOWN]:
        typer.echo(f"warning: {recording.file}: {reason}; its speaker stays unknown", err=True)
    if len(found.mute) > SHOWN:
        typer.echo(f"warning: … and {len(found.mute) - SHOWN} more", err=True)
