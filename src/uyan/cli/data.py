"""`uyan data`: from a folder to a manifest, from a manifest to trust in it; further commands have their own files."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli import data_feedback, data_import, data_speakers
from uyan.cli.locations import located

if TYPE_CHECKING:
    from uyan.data.check import CheckReport
    from uyan.engine.parallel import Progress
    from uyan.storage.location import Location

SHOWN_PER_KIND = 10

app = typer.Typer(help="Describe and check recordings.", no_args_is_help=True, rich_markup_mode=None)
for module in (data_import, data_feedback, data_speakers):
    module.register(app)


@app.command(
    help="Write a manifest from a folder tree: positive/SPEAKER/…, negative/SPEAKER/…, noise/…, rir/…\n\n"
    "Example: uyan data scan recordings --keyword 'hey uyan'"
)
def scan(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds positive/, negative/, noise/, rir/.")],
    keyword: Annotated[str | None, typer.Option(help="Label of positive/; the folder's name by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; DIR/manifest.csv by default.")] = None,
) -> None:
    """Write the manifest and say what was found."""
    from uyan.data.manifest import load_manifests, save_manifest
    from uyan.data.scan import require_same_labels
    from uyan.data.scan import scan as scan_folder

    result = scan_folder(folder, keyword)
    target = out or folder / "manifest.csv"
    if target.exists():
        require_same_labels(result.recordings, load_manifests([target]), target)
    save_manifest(result.recordings, target)
    for path, reason in result.unreadable:
        typer.echo(f"warning: left out {path}: {reason}", err=True)
    typer.echo(f"{target}: {len(result.recordings)} recordings")


@app.command(
    help="Decode everything, several files at a time, and say what is in it and what is wrong with it.\n\n"
    "Example: uyan data check recordings/manifest.csv noise/manifest.csv"
)
def check(
    manifests: Annotated[list[str], typer.Argument(metavar="MANIFEST…", help="CSV or Parquet: paths, or URLs.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Write files that cannot be used, with reasons, to this CSV.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="What an interrupted check goes on from; .uyan-cache/probes.parquet beside the first MANIFEST, or in "
            "the user's cache for a URL."
        ),
    ] = None,
    max_bad_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="More bad files than this: exit code 2.")
    ] = 0.05,
    on: Annotated[str | None, typer.Option("--on", metavar="ENGINE", help="local, ray, or ray://HOST:PORT.")] = None,
) -> None:
    """Print the table, near-duplicates and findings."""
    from uyan.cli.console import terminal
    from uyan.data.check import check as check_recordings
    from uyan.data.check import write_quarantine
    from uyan.data.manifest import load_manifests
    from uyan.engine.parallel import engine

    places = located(manifests)
    recordings = load_manifests(places)
    with terminal() as shown, engine(on):
        cache_file = cache or _default_cache(places[0])
        report = check_recordings(recordings, workers=workers, progress=shown.progress, cache_file=cache_file)
        groups = _near_duplicates(report, workers, shown.progress)
    _show(report, groups)
    _show_findings(report)
    if quarantine:
        write_quarantine(report, quarantine)
    report.enforce(max_bad_share, quarantine)


def _default_cache(manifest: "Location") -> Path | None:
    """None where the data may only be read: a check goes without rather than fail at its end."""
    from uyan.storage.local_copies import user_cache

    if not isinstance(manifest, Path):
        return user_cache() / "probes" / f"{hashlib.sha256(str(manifest).encode()).hexdigest()[:16]}.parquet"
    folder = manifest.absolute().parent
    return folder / ".uyan-cache" / "probes.parquet" if os.access(folder, os.W_OK) else None


def _near_duplicates(report: "CheckReport", workers: int | None, progress: "Progress") -> list[list[int]]:
    from uyan.audio_file import read_part
    from uyan.data.duplicates.duplicate_groups import find_links, groups

    prints = [probe.fingerprint for _, probe in report.good]
    files = [recording.file for recording, _ in report.good]
    return groups(find_links(prints, files, read_part, workers=workers, progress=progress), len(prints))


def _show(report: "CheckReport", groups: list[list[int]]) -> None:
    from uyan.cli.console import print_table
    from uyan.data.check import summary_rows
    from uyan.data.recording import ESTIMATED_SPEAKER, unknown_speakers

    repeats: dict[tuple[str, str], int] = {}
    for group in groups:
        for number in group[1:]:
            recording = report.good[number][0]
            repeats[recording.kind, recording.label] = repeats.get((recording.kind, recording.label), 0) + 1
    columns = (
        "label", "kind", "clips", "hours", "speakers", "no speaker", "same audio", "near-dup.", "clipped", "silent",
        "duration?", "unusable",
    )  # fmt: skip
    rows = [
        (
            r.label, r.kind, r.clips, f"{r.hours:.2f}", r.speakers, r.unknown_speakers, r.exact_duplicates,
            repeats.get((r.kind, r.label), 0), r.clipped, r.silent, r.wrong_durations, r.quarantined,
        )
        for r in summary_rows(report)
    ]  # fmt: skip
    print_table("recordings", columns, rows)
    for entry in report.quarantined[:20]:
        typer.echo(f"unusable: {entry.recording.file}: {entry.reason}")
    across = [g for g in groups if len({report.good[i][0].speaker_id for i in g}) > 1]
    typer.echo(f"{len(groups)} near-duplicate groups, {len(across)} of them across speakers")
    for group in across[:10]:
        first, other = report.good[group[0]][0], report.good[group[1]][0]
        typer.echo(
            f"same take under two speakers: {first.file} ({first.speaker_id}) and {other.file} ({other.speaker_id})"
        )
    unknown = unknown_speakers([recording for recording, _ in report.good])
    if unknown:
        typer.echo(
            f"warning: {unknown} recordings have no speaker_id: a split between speakers may leak; name them, "
            "or let uyan data speakers guess"
        )
    estimated = {r.speaker_id for r, _ in report.good if r.speaker_id.startswith(ESTIMATED_SPEAKER)}
    if estimated:
        typer.echo(f"{len(estimated)} speakers are estimated from their voices; nobody has confirmed them")


def _show_findings(report: "CheckReport") -> None:
    from uyan.data.check import Finding

    by_kind: dict[str, list[Finding]] = {}
    for finding in report.findings():
        by_kind.setdefault(finding.kind, []).append(finding)
    for kind, findings in sorted(by_kind.items()):
        for finding in findings[:SHOWN_PER_KIND]:
            typer.echo(f"{kind}: {finding.recording.file}: {finding.detail}")
        if len(findings) > SHOWN_PER_KIND:
            typer.echo(f"{kind}: … and {len(findings) - SHOWN_PER_KIND} more")
