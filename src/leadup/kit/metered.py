"""Whoever calls a vendor that counts the calls of a day."""

from __future__ import annotations

from typing import Protocol

from leadup.outgoing import Budget


class Metered(Protocol):
    """Whoever speaks with a vendor that takes only so many calls a day from an account.

    The engine leaves the last of them to the account's other apps.
    """

    reserve: float
    """The share of the day's calls, 0 to 1, that is left to the account's other apps."""

    def budget(self) -> Budget | None:
        """Say what is left of the account's day, by the vendor's latest word; None: it has said nothing yet.

        Asks nobody.
        """
