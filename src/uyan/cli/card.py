"""`uyan card` and `uyan publish`: what is known of a bundle, to read and to hand on."""

from pathlib import Path
from typing import Annotated

import typer

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle.onnx made by uyan run.")]


def register(app: typer.Typer) -> None:
    """Add `card` and `publish` to the command line."""
    app.command(
        "card",
        help="Print the model card: figures with their denominators, data, cost, limits, and what was not measured.\n\n"
        "What `uyan evaluate`, `uyan shift` and `uyan export --int8` left beside the bundle is on it.\n\n"
        "Example: uyan card runs/jarvis/bundle.onnx > card.md",
    )(card)
    app.command(
        "publish",
        help="Upload a bundle and its card to the Hugging Face hub; the token is the one of `hf auth login`.\n\n"
        "Example: uyan publish runs/jarvis/bundle.onnx --repo ada/jarvis --dry-run",
    )(publish)


def card(bundle: BundleArgument) -> None:
    """Print it."""
    from uyan.pipeline.card import card_of

    typer.echo(card_of(bundle), nl=False)


def publish(
    bundle: BundleArgument,
    repo: Annotated[str, typer.Option(metavar="OWNER/NAME", help="Made if it does not exist.")],
    private: Annotated[bool, typer.Option("--private", help="If it is made, for its owner only.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
) -> None:
    """Collect the files, then upload them or list them."""
    from tempfile import TemporaryDirectory

    from uyan.pipeline.card import publication
    from uyan.pipeline.hub import upload

    with TemporaryDirectory() as folder:
        for file in publication(bundle, Path(folder)):
            typer.echo(f"{file.name}  {file.stat().st_size:,} bytes")
        if dry_run:
            typer.echo(f"nothing uploaded to {repo}: --dry-run")
            return
        typer.echo(upload(Path(folder), repo, private))
