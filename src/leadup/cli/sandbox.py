"""``leadup sandbox``."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import click

from leadup import registry
from leadup.cli.base import out
from leadup.errors import SettingsError
from leadup.sandbox import Sandbox, Server


@click.command(epilog="Example: leadup sandbox hubspot google_ads --port 8801")
@click.argument("names", nargs=-1, metavar="[CONNECTOR...]")
@click.option("--port", default=8801, show_default=True, help="Port of the first; the others follow.")
@click.option(
    "--seed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON of what is there first."
)
def sandbox(names: Sequence[str], port: int, seed: Path | None) -> None:
    """Serve the vendors' emulators on this machine until Ctrl-C.

    Point a connection at one with its base_url. Under /_sandbox/ each answers what it holds (state), what it was asked
    (requests), and takes faults (POST faults), e.g. {"kind": "rate_limit", "times": 3}. Where one speaks gRPC too, its
    ports follow those of all.

    A seed file says what a vendor holds at first: {"hubspot": {"unique": ["external_id"], "contacts": [{"email":
    "ada@example.com"}]}, "google_ads": {"actions": {"7001": "UPLOAD_CLICKS"}}, "ga4": {"tables": {"20260301": []}}}.
    """
    import json

    known = [name for name in registry.names() if registry.find(name).sandbox]
    for name in names:
        if name not in known:
            raise SettingsError(f"There is no emulator of {name!r}. There are: {', '.join(known)}.")
    seeds = json.loads(seed.read_text(encoding="utf-8")) if seed else {}
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    servers: list[Server] = []
    chosen = names or known
    next_door = port + len(chosen)
    for offset, name in enumerate(chosen):
        emulator: Sandbox = registry.load(registry.find(name).sandbox)()
        emulator.seed(seeds.get(name, {}))
        servers.append(Server(emulator, port + offset).start())
        out.print(f"{name}: {servers[-1].url}")
        doors = emulator.doors(next_door)
        next_door += len(doors)
        for door, address in doors.items():
            out.print(f"{name} {door}: {address}")
    stop.wait()
    for server in servers:
        server.stop()
