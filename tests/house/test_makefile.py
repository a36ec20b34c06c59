"""`make` on a machine that has nothing yet."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "PYTHON", "PYTHONPATH"}}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=kept | environment,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what `make` reads before it installs anything."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_without_python_it_says_what_to_do(checkout: Path) -> None:
    done = make(checkout, "demo", PYTHON="python-that-is-not-there")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "looked for: python-that-is-not-there" in done.stderr
    assert "What to do: install Python 3.11" in done.stderr


def test_an_old_python_is_not_taken(checkout: Path) -> None:
    old = checkout / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")  # what 3.10 answers when asked whether it is 3.11
    old.chmod(0o755)
    done = make(checkout, "demo", PYTHON=str(old))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_help_names_every_target_that_people_call(checkout: Path) -> None:
    shown = make(checkout, "help").stdout
    for target in ("demo", "test", "test-slow", "lint", "format", "bench", "docker", "clean"):
        assert f"make {target} " in shown


@pytest.mark.slow
def test_a_fresh_clone_plays_the_demo(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is nothing to clone")
    clone = tmp_path / "leadup"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)

    first = make(clone, "demo")
    assert first.returncode == 0, first.stdout[-4000:] + first.stderr[-4000:]

    again = make(clone, "demo", "--dry-run")
    assert "pip" not in again.stdout, "a second run has nothing to install"

    status = ["git", "status", "--porcelain"]
    left = subprocess.run(status, cwd=clone, check=True, capture_output=True, text=True).stdout
    assert left == "", "the demo leaves the checkout as it was"
