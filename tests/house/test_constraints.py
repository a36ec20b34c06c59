"""constraints.txt: the versions that everything is tested with."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!-]*")


def pins() -> list[str]:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def closure(name: str, extras: frozenset[str]) -> set[str]:
    """Names of all that an installation of ``name[extras]`` brings along on this machine."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        package, wanted = waiting.pop()
        if (package, wanted) in seen:
            continue
        seen.add((package, wanted))
        try:
            requirements = requires(package) or ()
        except PackageNotFoundError:  # an environment older than pyproject.toml: the name still wants a pin
            continue
        for requirement in map(Requirement, requirements):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {package for package, _ in seen}


def test_it_holds_exact_versions_and_no_addresses() -> None:
    assert [line for line in pins() if not PIN.fullmatch(line)] == []


def test_it_pins_all_that_is_installed() -> None:
    pinned = {canonicalize_name(line.partition("==")[0]) for line in pins()}
    assert closure("leadup", frozenset({"all", "dev"})) - {"leadup"} - pinned == set()


def test_trap_urllib3_2_6_0_breaks_every_call_of_the_hubspot_library() -> None:
    """It took a method away that the library calls; 2.6.1 put it back (source: the library's issue 460)."""
    wanted = [Requirement(text) for text in requires("leadup") or ()]
    [urllib3] = [one for one in wanted if one.name == "urllib3" and "hubspot" in str(one.marker)]
    assert "2.6.0" not in urllib3.specifier
    assert {"2.6.1", "2.8.0"} <= set(urllib3.specifier.filter(["2.6.1", "2.8.0", "3.0.0"]))
    assert "3.0.0" not in urllib3.specifier
