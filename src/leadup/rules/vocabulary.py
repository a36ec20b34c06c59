"""What the models of the language share: their base, the kinds of value, and the words that are not built yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from leadup.clock import parse_instant
from leadup.rules import durations
from leadup.rules.program import Scalar
from leadup.types import Money, minor_digits

NOT_BUILT: Final[Mapping[str, frozenset[str]]] = {
    owner: frozenset(keys.split())
    for owner, keys in {
        "a conversion": "again_after",
        "the value of a conversion": "learned",
        "what a conversion is on": "enters",
    }.items()
}
"""Words of the language that are planned and not built, by where they belong. They are refused by name."""


class Part(BaseModel):
    """Base of all models: no key is ignored, no value is converted."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=False,
    )
    called: ClassVar[str] = "this"
    """What messages call it: ``a segment``, ``\\`did\\```."""
    operator: ClassVar[str] = ""
    """The key that names it, when it is a condition."""

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, data: Any, info: ValidationInfo) -> Any:
        if info.context is not None:  # tells whose keys a mapping has, for messages
            info.context[id(data)] = cls
        return data

    @classmethod
    def key_names(cls) -> list[str]:
        """Keys an author may write, sorted."""
        return sorted(field.alias or name for name, field in cls.model_fields.items())


def one_key_of(*keys: str) -> ConfigDict:
    """Return the configuration of a model that is written with exactly one of ``keys``, for its JSON Schema."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in keys]})


def wrong(message: str, hint: str = "", *, at: str = "", at_key: bool = False) -> PydanticCustomError:
    """Return an error in an author's words; ``{}`` in the message stands for the key or list item it is about.

    It is shown at the value, or at the value of the key ``at`` inside it, or at the key itself (``at_key``).
    """
    return PydanticCustomError("wrong", "wrong", {"message": message, "hint": hint, "at": at, "at_key": at_key})


def not_built(word: str) -> str:
    """Return what is said of a word of :data:`NOT_BUILT`."""
    return f'"{word}" is part of the language but not built yet.'


def refuse_not_built(owner: str, value: Any) -> None:
    """Raise if a text, or a key of a mapping, is a word that ``owner`` will have one day."""
    in_keys = isinstance(value, dict)
    for word in value if in_keys else (value,):
        if isinstance(word, str) and word in NOT_BUILT[owner]:
            raise wrong(not_built(word), at=word if in_keys else "", at_key=in_keys)


# ---------------------------------------------------------------- forms: text, or a number, or a mapping

T = TypeVar("T")


def kind(value: Any) -> str:
    """Return what an author would call the kind of ``value``."""
    for name, types in _KINDS.items():
        if isinstance(value, types):
            return name
    return "nothing"


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "text": (str,),
    "truth": (bool,),
    "number": (int, float),
    "list": (list,),
    "mapping": (dict, BaseModel),
}


def forms(wanted: str) -> Discriminator:
    """Return a discriminator by :func:`kind` for a union whose members are tagged ``<text>``, ``<mapping>`` …

    ``wanted`` is the rest of the sentence "… must be", for a value of another kind.
    """
    return Discriminator(
        lambda value: f"<{kind(value)}>",
        custom_error_type="form",
        custom_error_message=f"{{}} must be {wanted}.",
    )


def _not_nothing(value: Any) -> Any:
    if value is None:
        raise wrong("{} has no value.", "write one, or leave the key out")
    return value


Given: TypeAlias = Annotated[T | None, BeforeValidator(_not_nothing)]
"""An optional key; None only when it is not written (``key:`` with nothing after it is a mistake)."""


# ---------------------------------------------------------------- kinds of value


@dataclass(frozen=True, slots=True, kw_only=True)
class InSchema:
    """What the JSON Schema says of a kind of value (pydantic's own ``WithJsonSchema`` can not stand in a union)."""

    type: str | tuple[str, ...] = "string"
    pattern: str = ""
    format: str = ""
    examples: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        made = {"type": self.type, "pattern": self.pattern, "format": self.format, "examples": self.examples}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in made.items() if value}


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        plain = re.sub(r"\W", "_", text, flags=re.ASCII).lstrip("_0123456789")[:64]
        raise wrong(
            f'"{text}" is not a name: letters, digits and _, beginning with a letter, at most 64.',
            f'did you mean "{plain}"?' if plain else "",
        )
    return text


_NAME: Final = r"[A-Za-z][A-Za-z0-9_]{0,63}"
Name: TypeAlias = Annotated[str, AfterValidator(_name), InSchema(pattern=f"^{_NAME}$")]
"""The name of something that is declared here."""

Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
"""Text that says something: an event's name, a property, a name declared elsewhere."""


def _duration(value: Any, *, lowest: int = 1) -> int:
    if not isinstance(value, str):
        like = f'did you mean "{value}d"?' if kind(value) == "number" else ""
        raise wrong("{} must be a duration such as 30m, 1h, 14d, 2w.", like)
    try:
        us = durations.parse(value)
    except ValueError as error:
        raise wrong(f'"{value}" is not a duration.', str(error)) from None
    if us < lowest:
        raise wrong("{} must be longer than 0.")
    return us


_DURATION_SCHEMA = InSchema(pattern=durations.PATTERN, examples=("30m", "1h", "14d", "2w"))
Duration: TypeAlias = Annotated[int, PlainValidator(_duration), _DURATION_SCHEMA]
"""Microseconds, above 0; written ``14d``."""
Ago: TypeAlias = Annotated[int, PlainValidator(lambda value: _duration(value, lowest=0)), _DURATION_SCHEMA]
"""Microseconds, 0 or above."""


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise wrong("{} must be an instant such as 2026-03-01T12:00:00Z.")
    try:
        instant = parse_instant(value)
    except (ValueError, OverflowError):
        raise wrong(
            f'"{value}" is not an instant.', "write date, time and zone, such as 2026-03-01T12:00:00Z"
        ) from None
    if not 1970 <= instant.year < 2200:
        raise wrong("{} must lie between 1970 and 2199.")
    return instant


Instant: TypeAlias = Annotated[
    datetime, PlainValidator(_instant), InSchema(format="date-time", examples=("2026-03-01T12:00:00Z",))
]
"""Aware, UTC; written ``2026-03-01T12:00:00Z``."""


def _scalar(value: Any) -> Scalar:
    if value is None:
        raise wrong("{} has no value.", "a property that must be missing is tested by {exists: false}")
    if not isinstance(value, str | bool | int | float):
        raise wrong("{} must be text, a number, or true or false.")
    if not isinstance(value, str) and not abs(value) <= _EXACT:
        raise wrong("{} must be a number within ±9007199254740992 (2^53).", "put an id in quotes: it is text")
    return value


_EXACT: Final = 2**53
Value: TypeAlias = Annotated[Scalar, PlainValidator(_scalar), InSchema(type=("string", "number", "boolean"))]
"""Text, a number that a double holds exactly, or a truth value."""

Amount: TypeAlias = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A number of points."""


def _money(value: Any) -> Money:
    if not isinstance(value, str):
        hint = f'did you mean "{value} EUR"?' if kind(value) == "number" else ""
        raise wrong("{} must be an amount with its currency, such as 288 EUR.", hint)
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,3}))? ([A-Z]{3})", value, re.ASCII)
    if found is None:
        raise wrong(f'"{value}" is not an amount of money.', "write number, space, currency: 288 EUR, 9.90 USD")
    whole, fraction, currency = found[1], found[2] or "", found[3]
    digits = minor_digits(currency)
    if len(fraction) > digits:
        raise wrong(f"{currency} has {digits or 'no'} digits after the point.")
    return Money(int(whole + fraction.ljust(digits, "0")), currency)


_MONEY_SCHEMA = InSchema(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})? [A-Z]{3}$", examples=("288 EUR", "9.90 USD"))
FixedMoney: TypeAlias = Annotated[Money, PlainValidator(_money), _MONEY_SCHEMA]
"""An amount; written ``288 EUR``."""


def _share(value: Any) -> float:
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%", value, re.ASCII) if isinstance(value, str) else None
    if found is None or float(found[1]) > 100:
        raise wrong("{} must be a percentage from 0% to 100%, such as 30%.")
    return float(found[1]) / 100


_SHARE_SCHEMA = InSchema(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?%$", examples=("30%",))
Share: TypeAlias = Annotated[float, PlainValidator(_share), _SHARE_SCHEMA]
"""0 to 1; written ``30%``."""
