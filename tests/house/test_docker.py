"""The container image: what its Dockerfile says, its steps on this machine, and the image itself where Docker answers.

The slow tests use only the public doors: ``leadup init``, ``leadup run`` and ``leadup status --health``.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

import pytest

ROOT = Path(__file__).parents[2]
EVENTS = """\
id,name,at,client_id,user_id,percent
e1,video_progress,2026-03-01T12:00:00Z,c1,u1,80
e2,page_view,2026-03-01T12:05:00Z,c1,u1,
e3,page_view,2026-03-02T09:00:00Z,c2,,
"""
INIT = ["init", "--from", "events.csv"]
PATIENCE = 60.0
"""Seconds until a wait is given up; a wait ends as soon as what it waits for is there."""


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, the rest of it)."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    whole = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in whole.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def last(name: str) -> str:
    """The text of the last instruction of that name, which is the one that counts."""
    return [rest for instruction, rest in instructions() if instruction == name][-1]


def health_check() -> list[str]:
    command: list[str] = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    return command


def command() -> list[str]:
    whole: list[str] = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    return whole


def wait_for(what: str, there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for this: {what}"
        time.sleep(0.2)


# ---------------------------------------------------------------- what it says


def test_it_builds_in_one_stage_and_runs_in_another() -> None:
    bases = [rest for name, rest in instructions() if name == "FROM"]
    assert bases == ["python:3.11-slim AS build", "python:3.11-slim"]


def test_it_runs_the_daemon_as_nobody_special() -> None:
    assert command() == ["leadup", "run"]
    assert health_check() == ["leadup", "status", "--health"]
    assert last("USER") not in {"root", "0"}
    assert last("VOLUME") == last("WORKDIR") == "/data"


def test_all_that_it_copies_is_there_and_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in let_through
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in let_through


# ---------------------------------------------------------------- its steps on this machine


class Outside:
    """Follows the Dockerfile in a folder: ``/data`` becomes ``folder/data``, and so on.

    Both stages share the folder, which holds only because what is copied between them keeps its place: a virtual
    environment can not be moved.
    """

    USER_TOOLS = ("useradd", "install")
    """Steps that need the container's own accounts; they make no file that leadup needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cwd = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # has python and pip
        }

    def here(self, text: str) -> str:
        """Put the folder before each absolute path."""
        return re.sub(r"(?<![\w.*/])/(?=\w)", f"{self.folder}/", text)

    def follow(self, steps: Sequence[tuple[str, str]]) -> None:
        for name, rest in steps:
            if name == "WORKDIR":
                self.cwd = Path(self.here(rest))
                self.cwd.mkdir(parents=True, exist_ok=True)
            elif name == "ENV":
                key, _, value = rest.partition("=")
                self.environment[key] = Template(self.here(value)).substitute(self.environment)
            elif name == "COPY":
                self.copy(rest.split())
            elif name == "RUN":
                parts = (part.strip() for part in rest.split("&&"))
                wanted = [self.here(part) for part in parts if not part.startswith(self.USER_TOOLS)]
                if wanted:
                    self.run(["sh", "-c", " && ".join(wanted)])

    def copy(self, words: Sequence[str]) -> None:
        if words[0].startswith("--from"):
            _, source, target = words
            assert source == target, "a virtual environment can not be moved"
            return
        *sources, target = words
        for path in map(ROOT.joinpath, sources):
            if path.is_dir():
                shutil.copytree(path, self.cwd / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, self.cwd / target)

    def run(self, words: Sequence[str]) -> str:
        done = subprocess.run(
            words, cwd=self.cwd, env=self.environment, check=False, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def healthy(self) -> bool:
        words = health_check()
        done = subprocess.run(words, cwd=self.cwd, env=self.environment, check=False, capture_output=True, timeout=60)
        return done.returncode == 0


@pytest.mark.slow
def test_its_steps_give_a_daemon_that_lives_and_ends(tmp_path: Path) -> None:
    image = Outside(tmp_path)
    image.follow(instructions())
    program = shutil.which(command()[0], path=image.environment["PATH"])
    assert program is not None
    assert Path(program).is_relative_to(tmp_path)
    where = image.run([str(Path(program).with_name("python")), "-c", "import leadup; print(leadup.__file__)"])
    assert Path(where.strip()).is_relative_to(tmp_path), "the wheel is installed, not the checkout"

    (image.cwd / "events.csv").write_text(EVENTS, encoding="utf-8")
    image.run(["leadup", *INIT])
    assert not image.healthy(), "no daemon yet"

    log = tmp_path / "log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(command(), cwd=image.cwd, env=image.environment, stdout=output, stderr=output)
    try:
        wait_for("a healthy daemon", lambda: daemon.poll() is not None or image.healthy())
        assert daemon.poll() is None, log.read_text(encoding="utf-8")[-4000:]
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0, log.read_text(encoding="utf-8")[-4000:]
    finally:
        daemon.kill()
        daemon.wait()
    assert not image.healthy(), "the daemon has ended"


# ---------------------------------------------------------------- the image itself


def docker(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(["docker", *words], input=stdin, check=False, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


@pytest.fixture
def engine() -> None:
    """Skip where no Docker engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command on this machine")
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True, text=True, timeout=60)
    if asked.returncode != 0:
        pytest.skip(f"no Docker engine answers: {asked.stderr.strip().splitlines()[-1:]}")


@pytest.fixture
def names(engine: None) -> Iterator[Mapping[str, str]]:
    """Names for an image, a container and a volume of this test, removed afterwards."""
    name = f"leadup-test-{uuid.uuid4().hex[:12]}"
    yield {"image": name, "container": name, "volume": name}
    for words in (["rm", "--force", name], ["volume", "rm", "--force", name], ["image", "rm", "--force", name]):
        subprocess.run(["docker", *words], check=False, capture_output=True, timeout=120)


@pytest.mark.slow
def test_the_image_runs_healthy_and_ends(names: Mapping[str, str]) -> None:
    image, container, data = names["image"], names["container"], f"{names['volume']}:/data"
    docker("build", "--tag", image, str(ROOT))
    initialise = f"cat > events.csv && leadup {' '.join(INIT)}"
    docker("run", "--rm", "-i", "--volume", data, "--entrypoint", "sh", image, "-c", initialise, stdin=EVENTS)

    docker("run", "--detach", "--name", container, "--volume", data, "--health-interval", "1s", image)
    assert docker("exec", container, "id", "-u") != "0"
    wait_for(
        "a healthy container",
        lambda: docker("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy",
    )
    docker("stop", "--time", "10", container)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
