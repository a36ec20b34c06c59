"""``leadup sandbox`` as a real process: it serves, is seeded, and ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests


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
        state = requests.get(f"http://127.0.0.1:{port}/_sandbox/state", timeout=10).json()
        assert "u1" in json.dumps(state)
        fault = requests.post(f"http://127.0.0.1:{port}/_sandbox/faults", json={"kind": "rate_limit"}, timeout=10)
        assert fault.json()[0]["kind"] == "rate_limit"
        refused = requests.get(f"http://127.0.0.1:{port}/account-info/v3/details", timeout=10)
        assert refused.status_code == 429
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        process.stdout.close()
