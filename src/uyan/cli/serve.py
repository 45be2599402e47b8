"""`uyan serve`: a Wyoming wake-word server, as Home Assistant takes one."""

from pathlib import Path
from typing import Annotated

import typer

ANNOUNCED_AS = "uyan"


def register(app: typer.Typer) -> None:
    """Add `serve` to the command line."""
    app.command(
        "serve",
        help="Serve wake words to Home Assistant and other Wyoming clients, until Ctrl-C or SIGTERM.\n\n"
        "Example: uyan serve runs/jarvis/bundle.onnx --uri tcp://0.0.0.0:10400",
    )(serve)


def serve(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE…", help="Bundles made by uyan run, one a word.")],
    uri: Annotated[
        str, typer.Option(help="tcp://HOST:PORT or unix:///PATH; a HOST of 0.0.0.0 lets other machines in.")
    ] = "tcp://127.0.0.1:10400",
    threshold: Annotated[
        float | None, typer.Option(help="From 0 to 1; each bundle's operating point by default.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average neighbouring scores, 40 ms later.")] = False,
    max_clients: Annotated[int, typer.Option(metavar="N", help="Clients at the same time; one more is refused.")] = 256,
    idle_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Silence after which a client is sent away.")
    ] = 600.0,
    zeroconf: Annotated[
        bool, typer.Option("--zeroconf", help="Let Home Assistant find this server by itself (mDNS).")
    ] = False,
    name: Annotated[str, typer.Option(help="Under which it is announced with --zeroconf.")] = ANNOUNCED_AS,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say who comes and goes.")] = False,
) -> None:
    """Serve, then say what was served."""
    import asyncio
    import logging

    from uyan.bundle import load
    from uyan.runtime.address import Address
    from uyan.runtime.open_files import make_room
    from uyan.runtime.wyoming_server import Limits, WakeServer, serve_until_signalled

    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("uyan").setLevel(logging.DEBUG if verbose else logging.INFO)
    limits = Limits(clients=max_clients, idle_s=idle_timeout)
    make_room(max_clients)
    server = WakeServer([load(path) for path in bundles], Address.parse(uri), threshold, tta, limits)
    asyncio.run(serve_until_signalled(server, name if zeroconf else None, lambda line: typer.echo(line, err=True)))
    typer.echo(f"stopped: {server.clients} clients, {server.detections} detections, {server.refused} refused")
