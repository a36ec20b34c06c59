"""The import rules in pyproject.toml keep up with the tree. That they hold is `lint-imports`' to say (`make lint`)."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PURE = {
    "leadup.consent",
    "leadup.engine.kernel",
    "leadup.membership",
    "leadup.plan",
    "leadup.rules.compile",
    "leadup.rules.operators",
    "leadup.rules.program",
    "leadup.rules.scores",
    "leadup.rules.signals",
    "leadup.rules.where",
}


def test_what_decides_is_held_to_be_pure() -> None:
    """import-linter wants a module to exist before a contract may name it, so the contract grows with the tree."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (contract for contract in settings["contracts"] if contract["id"] == "pure")
    there = {name for name in PURE if _exists(ROOT / "src" / name.replace(".", "/"))}
    assert set(contract["source_modules"]) >= there


def _exists(module: Path) -> bool:
    return module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
