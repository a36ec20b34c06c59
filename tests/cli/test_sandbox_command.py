"""``leadup sandbox`` as a real process: it serves, is seeded, and ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import requests
from google.ads import datamanager_v1 as v1


def test_the_emulators_are_served_with_what_the_seed_says(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"hubspot": {"unique": ["external_id"], "contacts": [{"external_id": "u1"}]}}), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "leadup", "sandbox", "hubspot", "--port", str(port), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == f"hubspot: http://127.0.0.1:{port}"
        state = requests.get(f"http://127.0.0.1:{port}/_sandbox/state", timeout=60).json()
        assert "u1" in json.dumps(state)
        fault = requests.post(f"http://127.0.0.1:{port}/_sandbox/faults", json={"kind": "rate_limit"}, timeout=60)
        assert fault.json()[0]["kind"] == "rate_limit"
        refused = requests.get(f"http://127.0.0.1:{port}/account-info/v3/details", timeout=60)
        assert refused.status_code == 429
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        process.stdout.close()


def test_google_s_emulator_tells_all_its_doors(tmp_path: Path) -> None:
    """The ports of gRPC follow; the state is the same whatever door a call comes through."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "leadup", "sandbox", "google_ads", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        told = dict(process.stdout.readline().strip().split(": ", 1) for _ in range(4))
        roots = Path(told.pop("google_ads roots"))
        assert told == {
            "google_ads": f"http://127.0.0.1:{port}",
            "google_ads grpc": f"127.0.0.1:{port + 1}",
            "google_ads grpc_tls": f"localhost:{port + 2}",
        }
        assert roots.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
        clock = requests.post(f"{told['google_ads']}/_sandbox/clock", json={"at": "2026-03-01T12:00:00Z"}, timeout=60)
        assert clock.json() == {"at": "2026-03-01T12:00:00+00:00"}
        clock = requests.post(f"{told['google_ads']}/_sandbox/clock", json={"seconds": 60}, timeout=60)
        assert clock.json() == {"at": "2026-03-01T12:01:00+00:00"}
        assert _unary(told["google_ads grpc"]) == _unary(told["google_ads grpc_tls"], roots.read_bytes())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        process.stdout.close()
    assert not roots.exists(), "gone with the process"


def _unary(address: str, roots: bytes | None = None) -> bytes:
    """The answer to a request for the user lists of an account, as bytes."""
    request = v1.ListUserListsRequest.serialize(
        v1.ListUserListsRequest(parent="accountTypes/GOOGLE_ADS/accounts/1234567890")
    )
    credentials = grpc.ssl_channel_credentials(roots)
    opened = grpc.insecure_channel(address) if roots is None else grpc.secure_channel(address, credentials)
    with opened as channel:
        call = channel.unary_unary("/google.ads.datamanager.v1.UserListService/ListUserLists")
        answer: bytes = call(request, timeout=60, metadata=[("authorization", "Bearer x")])
        return answer
