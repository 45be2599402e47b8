"""`uyan data`: from a folder to a manifest, from a manifest to trust in it, from what was heard to more of both."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli import data_import

if TYPE_CHECKING:
    from uyan.data.check import CheckReport
    from uyan.data.clip_table import Clip
    from uyan.data.parallel import Progress
    from uyan.data.speakers import Estimate

SHOWN_PER_KIND = 10

app = typer.Typer(help="Describe and check recordings.", no_args_is_help=True, rich_markup_mode=None)
data_import.register(app)


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
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST…", help="CSV or Parquet.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Write files that cannot be used, with reasons, to this CSV.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="What an interrupted check goes on from; .uyan-cache/probes.parquet beside the first MANIFEST."
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
    from uyan.data.parallel import engine

    recordings = load_manifests(manifests)
    with terminal() as shown, engine(on):
        cache_file = cache or _default_cache(manifests[0])
        report = check_recordings(recordings, workers=workers, progress=shown.progress, cache_file=cache_file)
        groups = _near_duplicates(report, shown.progress)
    _show(report, groups)
    _show_findings(report)
    if quarantine:
        write_quarantine(report, quarantine)
    report.enforce(max_bad_share, quarantine)


@app.command(
    help="Play the clips that uyan listen --save-clips kept, one after the other, and note what was said.\n\n"
    "Example: uyan data label clips"
)
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


@app.command(
    "add-feedback",
    help="Add the clips that were labelled to a manifest, to train on: yes and words as keyword, no as negative, noise "
    "as noise. Rows that are there stay; the same command again adds nothing twice.\n\n"
    "Example: uyan data add-feedback clips --manifest manifest.csv --speaker ada",
)
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


@app.command(
    help="Guess who speaks in recordings without a speaker_id: voices that sound alike get one id, est:…, in a new "
    "manifest. Ids that are given stay. Needs torch and the encoder's weights.\n\n"
    "Example: uyan data speakers recordings/manifest.csv"
)
def speakers(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="CSV or Parquet.")],
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
    from uyan.data.speakers import estimate_speakers
    from uyan.errors import ConfigError

    target = out or manifest.with_name(f"{manifest.stem}.speakers{manifest.suffix}")
    if target.exists() and target.samefile(manifest):
        raise ConfigError(f"{target}: is the manifest that is read; name another with --out")
    with terminal() as shown:
        found = estimate_speakers(load_manifests([manifest]), distance, weights, workers, shown.progress)
    save_manifest(found.recordings, target)
    _show_voices(found, distance)
    typer.echo(f"manifest {target}: listen to some of each group before you rely on it")


def _show_voices(found: "Estimate", distance: float) -> None:
    from uyan.cli.console import print_table

    largest = found.voices[:SHOWN_PER_KIND]
    if largest:
        print_table(
            f"{len(found.voices)} estimated speakers (cosine distance ≤ {distance:g}), the largest",
            ("speaker", "recordings", "sounds like"),
            [(v.speaker_id, v.recordings, f"{v.like} ({v.distance:.2f})" if v.like else "") for v in largest],
        )
    alone = sum(v.recordings == 1 for v in found.voices)
    typer.echo(f"{found.named} recordings had a speaker_id, which stays; {alone} estimated speakers have one recording")
    for recording, reason in found.mute[:SHOWN_PER_KIND]:
        typer.echo(f"warning: {recording.file}: {reason}; its speaker stays unknown", err=True)
    if len(found.mute) > SHOWN_PER_KIND:
        typer.echo(f"warning: … and {len(found.mute) - SHOWN_PER_KIND} more", err=True)


def _default_cache(manifest: Path) -> Path | None:
    """None where the data may only be read: a check goes without rather than fail at its end."""
    folder = manifest.absolute().parent
    return folder / ".uyan-cache" / "probes.parquet" if os.access(folder, os.W_OK) else None


def _near_duplicates(report: "CheckReport", progress: "Progress") -> list[list[int]]:
    from uyan.audio_file import read_part
    from uyan.data.duplicates import find_groups

    prints = [probe.fingerprint for _, probe in report.good]
    files = [recording.file for recording, _ in report.good]
    return find_groups(prints, lambda number, *part_s: read_part(files[number], *part_s), progress=progress)


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
