"""Proxies of the environment: both versions of the API go through them, and never to an emulator on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hubspot_account import APIS, connect

from leadup.errors import SettingsError, TryLater
from leadup.sandbox import Server
from leadup_connectors.hubspot.client.proxy import proxy_for
from leadup_connectors.hubspot.sandbox import HubSpotSandbox

API = "https://api.hubapi.com"
NAMES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where a proxy listens that lets nobody in."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        door.settimeout(20)
        yield door


def hear(door: socket.socket) -> bytes:
    line, _ = door.accept()
    with line:
        heard = line.recv(1000)
        line.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    return heard


@pytest.mark.parametrize("api", APIS)
def test_trap_the_library_reads_no_proxy_of_the_environment(
    door: socket.socket, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ops:p%40ss@127.0.0.1:{door.getsockname()[1]}")
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(hear, door)
        with pytest.raises(TryLater, match="did not answer") as caught:
            connect(SimpleNamespace(url="https://hubspot.invalid", api=api), tries=1).check()
        asked = heard.result()
    assert asked.startswith(b"CONNECT hubspot.invalid:443 HTTP/1.")
    assert b"proxy-authorization: basic b3bzonbac3m=" in asked.lower()
    assert "p%40ss" not in str(caught.value)
    assert caught.value.nothing_done


def test_an_emulator_on_this_machine_is_called_straight(
    server: Server, hubspot: HubSpotSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[:-1]:
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    connect(server).check()


def test_a_proxy_that_the_library_does_not_speak_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(SettingsError, match=r"(?s)'socks5'.*What to do: name an http one in HTTPS_PROXY"):
        connect(SimpleNamespace(url=API, api="v3"))


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.com, .hubapi.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.com"}, "http://proxy:3128"),
    ],
)
def test_which_proxy_the_environment_names(
    environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(API) == proxy
