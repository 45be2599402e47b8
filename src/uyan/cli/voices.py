"""`uyan voices`: which voices there are, one sentence by one of them, and a whole corpus of a word by many."""

import os
from pathlib import Path
from typing import Annotated

import typer

from uyan.cli import voices_compare

app = typer.Typer(help="Synthetic speech: voices, and recordings of a word by many.", rich_markup_mode=None)
voices_compare.register(app)

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Where voices are kept; ~/.local/share/uyan/voices by default.")
]
Engines = Annotated[
    list[str] | None, typer.Option("--engine", help="espeak, piper, kokoro or command; may be repeated.")
]
Voices = Annotated[list[str] | None, typer.Option("--voice", help="A name from `list`, or PATH.onnx; may be repeated.")]
Language = Annotated[str | None, typer.Option(help="Of the text, such as tr or en-gb; en by default.")]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language",
        help="Of the text, such as tr or en-gb; en by default. Repeated, voices of the others say it in their accents.",
    ),
]
Command = Annotated[
    str | None,
    typer.Option(
        help="A program that writes a WAV, run without a shell: 'say -o {out} {text}'; {rate} {pitch} {seed} too."
    ),
]
Lexicon = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Real words, one a line, among which to look for near ones.")
]
LimitS = Annotated[float, typer.Option(min=0.1, help="Seconds that a clip may take before its engine is cut off.")]


@app.command(
    "list",
    help="Show engines, the voices on this computer, their languages, speakers and licences; with --fetchable those "
    "that `fetch` knows.\n\nExample: uyan voices list --language tr, or --engine espeak",
)
def list_voices(
    language: Annotated[str | None, typer.Option(help="Only voices that speak it.")] = None,
    engine: Annotated[str | None, typer.Option(help="Only its voices; of espeak all languages and variants.")] = None,
    fetchable: Annotated[bool, typer.Option("--fetchable", help="What could be downloaded instead.")] = False,
    folder: Folder = None,
) -> None:
    """One row a voice; espeak's variants together."""
    from uyan.cli.console import print_table
    from uyan.voices.fetch import catalogue
    from uyan.voices.installed import default_folder
    from uyan.voices.listing import espeak_names, installed_rows
    from uyan.voices.speech import speaks

    if fetchable:
        rows = [
            (voice.name, voice.language, voice.speakers, f"{voice.megabytes:.0f}")
            for voice in catalogue().values()
            if language is None or speaks(voice.language, language)
        ]
        print_table("Piper voices to fetch", ("name", "language", "speakers", "MB"), rows)
        return
    where = folder or default_folder()
    rows_here, problems = installed_rows(where, language, engine)
    print_table(f"voices ({where})", ("voice", "engine", "languages", "speakers", "licence"), rows_here)
    if engine == "espeak":
        typer.echo("\n".join(espeak_names()))
    for problem in problems:
        typer.echo(problem, err=True)


@app.command(
    help="Say a text with one voice.\n\nExample: uyan voices say 'merhaba evim' --language tr --out merhaba.wav"
)
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    out: Annotated[Path, typer.Option(metavar="FILE", help=".wav or .flac")],
    engine: Engines = None,
    voice: Voices = None,
    language: Language = None,
    rate: Annotated[float, typer.Option(min=0.5, max=2.0, help="Times as fast.")] = 1.0,
    pitch: Annotated[float, typer.Option(min=-12.0, max=12.0, help="Semitones higher.")] = 0.0,
    command: Command = None,
    limit_s: LimitS = 60.0,
    seed: Annotated[int, typer.Option(help="Another seed, another take.")] = 42,
    folder: Folder = None,
) -> None:
    """Write the file and name the voice."""
    from uyan.voices.installed import Wish, choose, default_folder
    from uyan.voices.sentence import say_to_file

    wish = Wish(tuple(engine or ()), tuple(voice or ()), (language,) if language else (), command, limit_s)
    engines, voices = choose(folder or default_folder(), wish)
    seconds = say_to_file(text, engines, voices[0], out, rate, pitch, seed, limit_s)
    typer.echo(f"{out}: {seconds:.2f} s by {voices[0].engine} {voices[0].name} ({voices[0].language})")


@app.command(
    help="Make recordings of a word by many synthetic speakers, and the manifest that lists them. Interrupted at any "
    "moment, the same command goes on; a larger --count adds to what is there.\n\n"
    "Example: uyan voices generate jarvis --out voices/jarvis --count 1000 --engine piper"
)
def generate(
    word: Annotated[str, typer.Argument(metavar="WORD", help="The label; also the text, unless --texts is given.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, or one of the same order.")],
    count: Annotated[int, typer.Option(min=1, help="Clips.")] = 1000,
    engine: Engines = None,
    voice: Voices = None,
    language: Languages = None,
    texts: Annotated[
        Path | None, typer.Option(help="One spelling or pronunciation a line; a negative each with --kind negative.")
    ] = None,
    carrier: Annotated[
        list[str] | None,
        typer.Option(help="The word in running speech: 'hello, {}, play some music'; may be repeated; {} is the word."),
    ] = None,
    kind: Annotated[str, typer.Option(help="keyword or negative.")] = "keyword",
    near: Annotated[
        str | None,
        typer.Option(
            metavar="HALF",
            help="Not the word but what almost is it: `train` to learn from, or `test`, other texts, for --near of "
            "`uyan evaluate`; let other voices say those.",
        ),
    ] = None,
    lexicon: Lexicon = None,
    takes: Annotated[int, typer.Option(min=1, help="Clips of each speaker.")] = 4,
    audio_format: Annotated[str, typer.Option("--format", help="wav or flac.")] = "wav",
    command: Command = None,
    limit_s: LimitS = 60.0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other speakers.")] = 42,
    folder: Folder = None,
) -> None:
    """Generate, then say what was made and what was not."""
    from uyan.cli.console import terminal
    from uyan.voices.advice import counted
    from uyan.voices.corpus import generate
    from uyan.voices.corpus_folder import DROPPED_FILE
    from uyan.voices.installed import Wish, check_files, choose, default_folder
    from uyan.voices.near_text import READ_AS, checked_half, near_texts
    from uyan.voices.order import make_order, near_order, word_list
    from uyan.voices.remarks import remarks

    if near is None:
        order = make_order(word, texts, carrier or (), kind, seed, takes, audio_format)
    else:
        found = near_texts(
            word, language[0] if language else READ_AS, checked_half(near), word_list(lexicon), word_list(texts)
        )
        order = near_order(found, seed, takes, carrier or (), audio_format)
    wish = Wish(tuple(engine or ()), tuple(voice or ()), tuple(language or ()), command, limit_s)
    where = folder or default_folder()
    engines, voices = choose(where, wish)
    check_files(engines, voices)
    with terminal() as shown:
        for line in remarks(order, voices, wish, where):
            shown.tell(line)
        made = generate(order, engines, voices, out, count, workers or os.cpu_count() or 1, limit_s, shown.progress)
    typer.echo(
        f"{made.manifest}: {counted(made.clips, 'clip')}, {counted(made.speakers, 'speaker')}, {made.hours:.2f} hours"
    )
    if made.unlisted:
        typer.echo(f"{made.unlisted} more of a larger --count stay on disk and are not listed", err=True)
    for reason, number in made.dropped.items():
        typer.echo(f"dropped {number}: {reason} ({out / DROPPED_FILE})", err=True)
    if made.clips < count:
        typer.echo(f"warning: {counted(count - made.clips, 'clip')} fewer than asked for", err=True)


@app.command(
    "near",
    help="Show what almost is a word: parts of it, rhymes, near words by their sounds, and how near each is.\n\n"
    "Example: uyan voices near 'hey uyan' --language tr --count 40",
)
def show_near(
    word: Annotated[str, typer.Argument(metavar="WORD")],
    language: Annotated[str | None, typer.Option(help="Whose spelling it is; en-us by default.")] = None,
    half: Annotated[str | None, typer.Option(metavar="HALF", help="Only texts for `train` or `test`.")] = None,
    lexicon: Lexicon = None,
    count: Annotated[int, typer.Option(min=1, help="Rows.")] = 60,
) -> None:
    """One row a text, the nearest of each category in turn."""
    from uyan.cli.console import print_table
    from uyan.voices.near_text import READ_AS, checked_half, near_texts
    from uyan.voices.order import word_list

    found = near_texts(word, language or READ_AS, checked_half(half), word_list(lexicon))
    rows = [(near.text, near.category, " ".join(near.phonemes), f"{near.distance:.2f}") for near in found[:count]]
    print_table(f"near “{word}”, {len(rows)} of {len(found)}", ("text", "category", "sounds", "distance"), rows)


@app.command(
    help="Download a public Piper voice, its checksums verified; interrupted, the same command goes on."
    "\n\nExample: uyan voices fetch tr_TR-dfki-medium"
)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    folder: Folder = None,
    url: Annotated[str | None, typer.Option(help="A mirror of the publisher's folder.")] = None,
) -> None:
    """Download, and say under which terms."""
    from uyan.cli.console import terminal
    from uyan.voices.fetch import PUBLISHER
    from uyan.voices.fetch import fetch as fetch_voice
    from uyan.voices.installed import default_folder, not_installed

    where = folder or default_folder()
    with terminal() as shown:
        model = fetch_voice(name, where, url or PUBLISHER, shown.progress)
    typer.echo(f"{model}: ready; its terms are in {model.with_suffix('.MODEL_CARD')}")
    for missing in not_installed(where):
        typer.echo(f"warning: {missing}", err=True)
