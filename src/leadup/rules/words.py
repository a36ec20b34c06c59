"""What pydantic found wrong, in an author's words and at its place. None of pydantic's own words get through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from leadup.errors import Problem
from leadup.rules.conditions import OPERATORS
from leadup.rules.source import Document, Path
from leadup.rules.suggest import did_you_mean, nearest
from leadup.rules.vocabulary import NOT_BUILT, Part, kind, not_built

Owners = Mapping[int, type[Part]]
"""The model that each mapping of a document was read as, by the mapping's ``id``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing pydantic found: its type, the path to it in the document, what is there, and details."""

    type: str
    path: Path
    value: Any
    details: Mapping[str, Any]
    message: str
    of_key: bool = False


def problems(document: Document, error: ValidationError, owners: Owners) -> list[Problem]:
    """Return one problem for each fault."""
    faults = list(_faults(document, error))
    explained: set[Path] = set()  # a misspelt key, or one that is not built, explains a missing one
    for fault in faults:
        if fault.type == "extra_forbidden":
            key, owner = str(fault.path[-1]), _owner(document, fault, owners)
            meant = owner.key_names() if key in _planned(owner) else [nearest(key, owner.key_names())]
            explained |= {(*fault.path[:-1], str(name)) for name in meant}
    return [_explain(document, f, owners) for f in faults if f.type != "missing" or f.path not in explained]


def _faults(document: Document, error: ValidationError) -> Iterator[Fault]:
    for e in error.errors(include_url=False):
        here: Any = document.data
        path: list[str | int] = []
        for piece in e["loc"]:  # pieces that lead nowhere are the tags of unions
            if piece in here if isinstance(here, dict) else isinstance(here, list) and isinstance(piece, int):
                here = here[piece]
                path.append(piece)
        if e["type"] == "missing":
            path.append(e["loc"][-1])
        of_key = e["loc"][-1:] == ("[key]",)
        value = path[-1] if of_key else here
        yield Fault(e["type"], tuple(path), value, e.get("ctx", {}), e["msg"], of_key)


def _owner(document: Document, fault: Fault, owners: Owners) -> type[Part]:
    here = document.data
    for piece in fault.path[:-1]:
        here = here[piece]
    return owners.get(id(here), Part)


def _explain(document: Document, fault: Fault, owners: Owners) -> Problem:
    path, key = fault.path, str(fault.path[-1]) if fault.path else ""
    match fault.type:
        case "extra_forbidden":
            return document.problem(path, *_unknown_key(key, _owner(document, fault, owners)), at_key=True)
        case "missing":
            owner = _owner(document, fault, owners)
            return document.problem(path[:-1], f"{_capital(owner.called)} needs `{key}`.", _keys_of(owner), at_key=True)
        case "condition":
            return _condition(document, fault)
        case "wrong":
            at, at_key = fault.details["at"], fault.details["at_key"] or fault.of_key
            text = fault.details["message"].replace("{}", _subject(path), 1)
            return document.problem((*path, at) if at else path, text, fault.details["hint"], at_key=at_key)
    if fault.value is None:
        return document.problem(path, f"{_subject(path)} has no value.", "write one, or leave the key out")
    return document.problem(path, *_must_be(fault), at_key=fault.of_key)


# ---------------------------------------------------------------- keys


def _unknown_key(key: str, owner: type[Part]) -> tuple[str, str]:
    if key in _planned(owner):
        return not_built(key), _keys_of(owner)
    if owner.operator and key in _keys_inside(owner):
        return f'"{key}" is not a key of {owner.called}.', f"write {{{owner.operator}: {{{key}: …}}}}"
    hints = (did_you_mean(key, owner.key_names()), _keys_of(owner))
    return f'"{key}" is not a key of {owner.called}.', "   ".join(filter(None, hints))


def _keys_inside(owner: type[Part]) -> list[str]:
    """Return the keys of the mapping that an operator takes; none if it takes something else."""
    taken = owner.model_fields[owner.operator].annotation if owner.operator in owner.model_fields else None
    return taken.key_names() if isinstance(taken, type) and issubclass(taken, Part) else []


def _planned(owner: type[Part]) -> frozenset[str]:
    return NOT_BUILT.get(owner.called, frozenset())


def _keys_of(owner: type[Part]) -> str:
    return f"keys of {owner.called}: {', '.join(key for key in owner.key_names() if key != owner.operator)}"


def _condition(document: Document, fault: Fault) -> Problem:
    """What is wrong with a condition that does not name exactly one operator."""
    value, path = fault.value, fault.path
    operators = f"operators: {', '.join(sorted(OPERATORS))}"
    if value is None:
        return document.problem(path, f"{_subject(path)} has no condition.", operators)
    if isinstance(value, list):
        return document.problem(path, "A list is not a condition.", "put the list under `all` or `any`")
    if not isinstance(value, dict):
        like = f"did you mean {{did: {_short(value)}}}?" if isinstance(value, str) else operators
        return document.problem(path, f"{_capital(_shown(value))} is not a condition.", like)
    named = [key for key in value if key in OPERATORS]
    if named:
        text = f"`{named[1]}` is a second operator beside `{named[0]}`; a condition has one."
        return document.problem((*path, named[1]), text, "join conditions with `all` or `any`", at_key=True)
    for key in value:
        if guess := did_you_mean(key, OPERATORS):
            return document.problem((*path, key), f'"{key}" is not an operator.', f"{guess}   {operators}", at_key=True)
    return document.problem(path, "This condition names no operator.", operators)


# ---------------------------------------------------------------- values

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
_IS = {"mapping": "a mapping", "list": "a list"}


def _must_be(fault: Fault) -> tuple[str, str]:
    subject = "A key" if fault.of_key else _subject(fault.path)
    if fault.type == "form":
        return fault.message.replace("{}", subject, 1), ""
    if fault.type.endswith(("too_short", "too_long")):
        return _length(fault, subject)
    if fault.type not in _WANTED:
        return f"{subject} can not be {_shown(fault.value)}.", ""
    details = {key: f"{value:g}" if isinstance(value, float) else value for key, value in fault.details.items()}
    wanted = _WANTED[fault.type].format(**details)
    hint = ""
    if fault.type == "list_type" and isinstance(fault.value, str):
        hint = f"write [{_short(fault.value)}]"
    elif fault.type == "string_type" and kind(fault.value) in ("number", "truth"):
        hint = f'put it in quotes: "{_shown(fault.value)}"'
    elif fault.type in ("enum", "literal_error") and isinstance(fault.value, str):
        hint = did_you_mean(
            fault.value, str(fault.details["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        )
    elif fault.type in ("float_type", "int_type") and isinstance(fault.value, str) and fault.value.isdecimal():
        hint = f"remove the quotes: {fault.value}"
    return f"{subject} must be {wanted}, not {_shown(fault.value)}.", hint


def _length(fault: Fault, subject: str) -> tuple[str, str]:
    if not fault.value:
        return f"{subject} is empty.", ""
    things = "characters" if isinstance(fault.value, str) else "items"
    bound = (
        f"at least {fault.details['min_length']}"
        if "min_length" in fault.details
        else f"at most {fault.details['max_length']}"
    )
    return f"{subject} must have {bound} {things}, not {len(fault.value)}.", ""


def _subject(path: Path) -> str:
    """Return what a message calls the value at ``path``: its key, or which item of which list it is."""
    if not path:
        return "A rule file"
    if isinstance(path[-1], int):
        return f"Item {path[-1] + 1} of {_subject(path[:-1])}"
    return f"`{path[-1]}`"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _IS.get(kind(value)) or (f'"{_short(value)}"' if isinstance(value, str) else _short(value))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
