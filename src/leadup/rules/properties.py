"""What must agree in ``properties:``, beyond the names they use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leadup.errors import Problem
from leadup.rules.names import Loaded


def errors(files: Sequence[Loaded]) -> Iterator[Problem]:
    """Yield what keeps well-formed properties from being rules."""
    for file in files:
        for name, prop in file.rules.properties.items():
            key, names = prop.source
            for index, one in enumerate(names):
                if one in names[:index]:
                    yield file.document.problem(("properties", name, key, index), f'"{one}" is here twice.')


def warnings(files: Sequence[Loaded]) -> Iterator[Problem]:
    """Yield what is allowed and probably not meant."""
    scores = {name: score for file in files for name, score in file.rules.scores.items()}
    for file in files:
        for name, prop in file.rules.properties.items():
            if prop.tier is not None and not scores[prop.tier].tiers:
                text = f'Score "{prop.tier}" has no tiers, so nothing is ever written.'
                hint = f"give it `tiers`, or write its points: {{score: {prop.tier}}}"
                yield file.document.problem(("properties", name, "tier"), text, hint)
