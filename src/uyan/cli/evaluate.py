"""`uyan evaluate`: a finished bundle judged on recordings it has never heard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from uyan.cli.locations import located
from uyan.cli.run import missed_by, say_voices, show_near_words

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The detector; its run's folder around it says whom it has heard.")
]
DataOption = Annotated[
    list[str], typer.Option("--data", metavar="MANIFEST", help="What to judge on, a path or URL; may be repeated.")
]
AnnotationsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--annotations",
        metavar="EVENTS",
        help="CSV with path,start_s,end_s[,label]: when the word is said in long recordings; may be repeated.",
    ),
]
NearOption = Annotated[
    list[str] | None,
    typer.Option(
        "--near",
        metavar="MANIFEST",
        help="Recordings that almost are the word, to be refused; their label is a category. May be repeated.",
    ),
]
JudgedOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="evaluation/ beside it by default.")]
WorkersOption = Annotated[int | None, typer.Option(metavar="N", help="Processes; one a core by default.")]

SHOWN = 5
"""Missed words and false alarms of annotated recordings; the report lists more."""


def register(app: typer.Typer) -> None:
    """Add `evaluate` to the command line."""
    app.command(
        "evaluate",
        help="Judge a bundle on recordings it has never heard: misses, false alarms, and who is ignored.\n\n"
        "Recordings that its run trained or validated on do not take part.\n\n"
        "Example: uyan evaluate runs/jarvis/bundle.onnx --data recordings/manifest.csv "
        "--annotations livingroom/events.csv",
    )(evaluate)


def evaluate(
    bundle: BundleArgument,
    data: DataOption,
    out: JudgedOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also the K-fold of the recipe that made it: as many trainings as folds.")
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --full: the recipe's folder; found upwards from the run by default."),
    ] = None,
    workers: WorkersOption = None,
    annotations: AnnotationsOption = None,
    near: NearOption = None,
) -> None:
    """Run the evaluation and show what came out."""
    from uyan.cli.console import terminal
    from uyan.cli.kfold import show_report
    from uyan.pipeline.evaluate_bundle import evaluate_bundle, kfold_of_bundle

    folder = out or bundle.resolve().parent / "evaluation"
    with terminal() as shown:
        metrics = evaluate_bundle(
            bundle, located(data), folder, workers, shown.progress, annotations or (), located(near or ())
        )
        folds = kfold_of_bundle(bundle, folder, base, None, shown.progress, shown.tell) if full else None
    show_metrics(metrics, folder)
    if folds:
        show_report(folds, folder / "kfold")


def show_metrics(metrics: Mapping[str, Any], out: Path) -> None:
    """Figures with their denominators, then who and what is behind them."""
    from uyan.cli.console import print_table
    from uyan.evaluation.claims import at_fah_text, miss_bounds

    rows = [
        (
            name,
            f"{c['miss_rate']:.1%}",
            f"{miss_bounds(c).low:.1%} – {miss_bounds(c).high:.1%}",
            f"{c['misses']}/{c['positives']}",
            *(at_fah_text(c["at_fah"][fah]) for fah in ("0.5", "0.1")),
        )
        for name, c in metrics["conditions"].items()
    ]
    data, clean = metrics["data"], next(iter(metrics["conditions"].values()))
    say_voices(clean["per_speaker"])
    title = (
        f"“{metrics['keyword']}”: {data['positives']} positives of {data['positive_speakers']} speakers, "
        f"{data['negative_hours']:.2f} h of negatives"
    )
    print_table(title, ("", "miss rate", "95 % interval", "misses", "at 0.5 FAH*", "at 0.1 FAH*"), rows)
    typer.echo("* with the threshold chosen on these very recordings; the first column is what ships")
    typer.echo(f"false alarms at the bundle's threshold: {metrics['claims']['false alarms']}")
    averaged = metrics["tta"]["claims"]
    typer.echo(f"with averaged scores, 40 ms later: {averaged['misses, clean']}; {averaged['false alarms']}")
    for name, rate in metrics["false_alarms"]["by_source"].items():
        typer.echo(f"  on {name}: {rate['events']} in {rate['hours']:.2f} h")
    if latency := clean.get("latency"):
        typer.echo(
            f"from the end of the word to the event: median {latency['median_s']:.2f} s, 95 % within "
            f"{latency['p95_s']:.2f} s ({latency['detected']} detected)"
        )
    show_near_words(metrics["near_words"])
    if "annotated" in metrics:
        _show_annotated(metrics["annotated"])
    _show_latency(out)
    typer.echo(f"misses by speaker, clean: {missed_by(clean['per_speaker'])} ({clean['speakers']} speakers)")
    for reason, count in data["left_out"].items():
        typer.echo(f"left out: {count} recording(s), because {reason}")
    for fah, found in clean["at_fah"].items():
        if not found["supported"]:
            typer.echo(f"not claimed, misses at {fah} FAH: {metrics['claims'][f'misses at {fah} FAH']}")
    for warning in [*metrics["warnings"], *(f"not measured: {what}" for what in metrics["not_measured"])]:
        typer.echo(f"warning: {warning}")
    typer.echo(f"report {out / 'report.html'}, figures {out / 'metrics.json'}, curves {out / 'curves.csv'}")


def _show_annotated(found: Mapping[str, Any]) -> None:
    """What came out on the recordings with the word written down, and where to look."""
    typer.echo(f"annotated, {found['recordings']} recording(s): {found['claims']['misses']}")
    typer.echo(f"  false alarms outside of the words: {found['claims']['false alarms']}")
    if latency := found["latency"]:
        typer.echo(
            f"  from the annotated end to the event: median {latency['median_s']:.2f} s, 95 % within "
            f"{latency['p95_s']:.2f} s"
        )
    for title, listed in (("missed", found["missed"]), ("false alarm", found["alarms"])):
        for event in listed["events"][:SHOWN]:
            typer.echo(f"  {title}: {event['path']} at {event['time_s']:.1f} s")
        if more := len(listed["events"][SHOWN:]) + listed["left_out"]:
            typer.echo(f"  {title}: {more} more")


def _show_latency(out: Path) -> None:
    import json

    cost = json.loads((out / "latency.json").read_text(encoding="utf-8"))
    onnx, detector = cost["onnx"], cost["detector"]
    resident = f", {detector['resident_mb']:.0f} MB resident" if detector["resident_mb"] else ""
    typer.echo(
        f"a window takes {onnx['median_ms']:.3f} ms on one thread (95 % within {onnx['p95_ms']:.3f} ms); the detector "
        f"{detector['cpu_s_per_audio_s']:.4f} s of CPU time a second of audio{resident}"
    )
