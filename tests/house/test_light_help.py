"""`leadup --help` answers at once, because it loads nothing that it does not need."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HEAVY = {"google", "grpc", "hubspot", "pyarrow", "requests", "sqlalchemy", "urllib3"}


def test_help_loads_no_sdk_and_no_storage(record_property: Callable[[str, object], None]) -> None:
    command = Path(sys.executable).with_name("leadup")
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(command), "--help"], check=False, capture_output=True, text=True
    )
    record_property("seconds", round(time.perf_counter() - started, 3))  # told, never judged: machines differ
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Usage: leadup" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "leadup" in imported
    assert imported & HEAVY == set()
