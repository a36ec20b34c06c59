"""Serves the collector from a thread of the daemon."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import structlog
import uvicorn

from leadup.clock import Clock
from leadup.errors import SettingsError
from leadup.inbox import Inbox
from leadup.kit import PushSource
from leadup.settings import WebSettings
from leadup.web.collector import Collector
from leadup.web.writer import Writer

log = structlog.get_logger("leadup.web")

FINISH_WITHIN: Final = 3
"""Seconds that requests under way get to end when the server is stopped."""
CONNECTIONS: Final = 500
"""Lines that may be open at once; more are answered 503. Each may hold one body in memory."""


class WebServer:
    """The door, from :meth:`start` to :meth:`stop`. Use as a context manager."""

    def __init__(
        self,
        settings: WebSettings,
        sources: Mapping[str, PushSource],
        inbox: Inbox,
        clock: Clock,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """``sources``: by connection. ``arrived`` is called, in another thread, when the inbox has something new."""
        self._settings = settings
        self._sources = sources
        self._inbox = inbox
        self._clock = clock
        self._arrived = arrived
        self._stopped = False
        self.url = ""
        """Where it listens, once it does; without a trailing slash."""

    def start(self) -> Self:
        """Open the door; it is open when this returns.

        Raises:
            SettingsError: the address can not be listened at, or a newer leadup has written the inbox.
        """
        self._socket = _listen(self._settings.listen)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        try:
            self._writer = Writer(self._inbox, self._clock, self._settings.max_inbox, self._arrived)
        except BaseException:
            self._socket.close()
            raise
        collector = Collector(self._sources, self._writer, self._clock, self._settings.max_body)
        noise = logging.getLogger("uvicorn.error")
        noise.setLevel(max(noise.level, logging.ERROR))  # broken requests are the senders' trouble
        config = uvicorn.Config(
            collector.app(),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=FINISH_WITHIN,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="collector", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        if not self._server.started:
            self.stop()
            raise RuntimeError("The collector did not start.")
        log.info("collecting", url=self.url, connections=sorted(self._sources))
        return self

    def stop(self) -> None:
        """Take no more, finish what is under way, and let all of it be written."""
        if not self._stopped:
            self._stopped = True
            self._server.should_exit = True
            self._thread.join(FINISH_WITHIN + 1)
            self._writer.close()
            self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"web.listen: {address} can not be listened at: {error}.\n"
            "  What to do: see which process holds it, or choose another address or port under [web] in leadup.toml."
        ) from None
