"""Who visits the invented site: kinds of visitors, each with what she does and with what must follow.

Every function fills in one visitor, from day ``day`` on. The rules that what follows is worked out from are those of
``rules/demo.yaml``; their numbers (14 days, an hour, 60 points) stand here once more, as plain instants.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from leadup.demo.ladder import Step
from leadup.demo.truth import FOREVER, POINTS, Points, common, fades, spans
from leadup.demo.visitors import BEGIN, DAYS, Visitor

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
PAGES: Final = ("blog/lead-scoring", "blog/attribution", "product", "customers", "docs/api", "blog/forms", "about", "")
GUIDES: Final = ("roi", "security", "migration")

Play = Callable[[Visitor, random.Random, int], None]


def moment(rng: random.Random, day: int, begin: int = 8, end: int = 20) -> datetime:
    """A whole second of a day, between two hours."""
    return BEGIN + day * DAY + rng.randrange(begin * 3600, end * 3600) * timedelta(seconds=1)


def wanders(her: Visitor, rng: random.Random, near: datetime, pages: int) -> None:
    """Look at pages that no rule is about."""
    at = near - rng.randrange(8, 20) * MINUTE
    for _ in range(pages):
        her.looks(at, f"/{rng.choice(PAGES)}")
        at += timedelta(seconds=rng.randrange(5, 55))


# ---------------------------------------------------------------- nobody's business


def passes_by(her: Visitor, rng: random.Random, day: int) -> None:
    """Read the blog, and never tell who she is."""
    for visit in range(rng.randrange(1, 6)):
        wanders(her, rng, moment(rng, min(day + 3 * visit, 27)), rng.randrange(4, 15))


def reads_guides(her: Visitor, rng: random.Random, day: int) -> None:
    """Take one to three guides: 24 points at most, and no rule is about those alone."""
    for number, name in enumerate(rng.sample(GUIDES, rng.randrange(1, 4))):
        at = moment(rng, day + 2 * number)
        wanders(her, rng, at, 4)
        her.downloads(at, name)


# ---------------------------------------------------------------- the video


def watches(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the demo video and leave it at that."""
    at = moment(rng, day)
    wanders(her, rng, at, 5)
    her.expect("watched_no_demo", (her.watches(at), FOREVER))


def watches_and_buys_elsewhere(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video; days later the CRM calls her a customer."""
    seen = her.watches(moment(rng, day))
    her.expect("watched_no_demo", (seen, her.becomes("customer", moment(rng, day + 6))))


def watches_as_customer(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video as a customer, whom nobody advertises to."""
    her.becomes("customer", BEGIN - 10 * DAY)
    her.watches(moment(rng, day))


def watches_then_asks(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video and ask for a demo three days later; after fourteen more days she is to be asked again."""
    seen, at = her.watches(moment(rng, day)), moment(rng, day + 3)
    wanders(her, rng, at, 6)
    asked = her.asks(at, twice=rng.random() < 0.4)
    her.expect("watched_no_demo", (seen, asked), (her.calendar.known(at + 14 * DAY), FOREVER))


def watches_before_signing_in(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video as a stranger; four days later, in the same browser, tell who she is."""
    seen = her.watches(moment(rng, day))
    her.signs_in(moment(rng, day + 4), name="sign_up")
    her.expect("watched_no_demo", (seen, FOREVER))


def watches_on_the_phone(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video on the phone, look at prices at work, and sign in on the phone only later: one person."""
    phone, at, signed_up = f"{her.client}-phone", moment(rng, day + 3), moment(rng, day + 1)
    seen = her.watches(moment(rng, day), client=phone)
    her.signs_in(signed_up, name="sign_up")
    compared = her.compares(signed_up + HOUR)
    her.signs_in(at, client=phone)
    one = max(seen, at)
    her.points = [p if p.worth == POINTS["pricing"] else Points(p.at, one, p.worth) for p in her.points]
    her.expect("watched_no_demo", (one, FOREVER))
    her.expect("video_then_pricing", (max(one, compared), FOREVER))


def watches_then_chats(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video as a stranger, and leave an address in the chat two days later."""
    seen = her.watches(moment(rng, day))
    her.chats(moment(rng, day + 2))
    her.expect("watched_no_demo", (seen, FOREVER))


def turns_out_to_be_one(her: Visitor, rng: random.Random, day: int) -> None:
    """Be in the lists under the address of a chat, then sign up at work with the same one: two become one there."""
    work, first, second = f"{her.client}-work", moment(rng, day), moment(rng, day + 2)
    seen = her.watches(first + HOUR)
    her.compares(first)
    her.chats(moment(rng, day + 2))
    compared = her.compares(second, client=work)
    one = her.signs_in(moment(rng, day + 5), client=work, name="sign_up")
    her.points = [p if p.at != second else Points(p.at, max(p.known, one), p.worth) for p in her.points]
    her.expect("watched_no_demo", (seen, FOREVER))
    her.expect("pricing_twice", (max(compared, one), first + 7 * DAY))
    her.expect("video_then_pricing", (max(compared, one), FOREVER))


def is_seen_late(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video offline: GA4 has it a day late. The prices, looked at before and after, it has at once."""
    at = moment(rng, day, 9, 18)
    her.compares(at - HOUR)
    known = her.compares(at + HOUR)
    seen = her.watches(at, late=True)
    her.expect("pricing_twice", (known, at - HOUR + 7 * DAY))
    her.expect("watched_no_demo", (seen, FOREVER))
    her.expect("video_then_pricing", (seen, FOREVER))


def asks_late(her: Visitor, rng: random.Random, day: int) -> None:
    """Begin the form and send it, but of the sending GA4 hears a day late: meanwhile it looks abandoned."""
    at = moment(rng, day)
    her.begins(at)
    asked = her.asks(at + 6 * MINUTE, live=False, late=True)
    her.expect("form_abandoned", (her.calendar.known(at + HOUR), asked))


def is_taken_for_spam(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video, ask for a demo; then GA4 writes the day anew without the request, as if it had never been."""
    seen, at = her.watches(moment(rng, day)), moment(rng, day + 1)
    asked = her.asks(at, live=False, spam=True)
    her.expect("watched_no_demo", (seen, asked), (her.calendar.gone(at), FOREVER))


def withdraws(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video, take her consent back, ask for a demo all the same: Google must not hear of it."""
    seen = her.watches(moment(rng, day))
    her.withdraws(moment(rng, day + 5))
    at = moment(rng, day + 7)
    her.expect("watched_no_demo", (seen, her.asks(at)), (her.calendar.known(at + 14 * DAY), FOREVER))


# ---------------------------------------------------------------- the form


def abandons(her: Visitor, rng: random.Random, day: int) -> None:
    """Begin the demo form and never send it; some begin shortly before midnight, so that the hour ends after it."""
    at = moment(rng, day, 23, 24) if rng.random() < 0.4 else moment(rng, day)
    wanders(her, rng, at, 5)
    her.begins(at)
    her.expect("form_abandoned", (her.calendar.known(at + HOUR), at + 7 * DAY))


def finishes_late(her: Visitor, rng: random.Random, day: int) -> None:
    """Send the form a day or two after she began it."""
    begun = moment(rng, day)
    at = moment(rng, day + rng.randrange(1, 3))
    her.begins(begun)
    her.expect("form_abandoned", (her.calendar.known(begun + HOUR), her.asks(at)))


def finishes(her: Visitor, rng: random.Random, day: int) -> None:
    """Begin the form and send it; some press the button twice."""
    at = moment(rng, day)
    wanders(her, rng, at, 7)
    her.begins(at)
    her.asks(at + 6 * MINUTE, twice=rng.random() < 0.5)


# ---------------------------------------------------------------- the prices


def compares(her: Visitor, rng: random.Random, day: int) -> None:
    """Come back to the prices after two days, and some once more after five."""
    first, second = moment(rng, day), moment(rng, day + 2)
    her.compares(first)
    known, last = her.compares(second), first
    if rng.random() < 0.5:
        her.compares(moment(rng, day + 5))
        last = second
    her.expect("pricing_twice", (known, last + 7 * DAY))


def watches_then_compares(her: Visitor, rng: random.Random, day: int) -> None:
    """Watch the video, and look at the prices the day after."""
    seen, at = her.watches(moment(rng, day)), moment(rng, day + 1)
    wanders(her, rng, at, 4)
    her.expect("video_then_pricing", (max(seen, her.compares(at)), FOREVER))
    her.expect("watched_no_demo", (seen, FOREVER))


def considers(her: Visitor, rng: random.Random, day: int) -> None:
    """Look at the prices three times and take two guides: 46 points in a day, which fade. Some begin the form, too."""
    at = moment(rng, day, 8, 14)
    second = at + 50 * MINUTE
    for when in (at, second, at + 100 * MINUTE):
        known = her.compares(when)
    her.downloads(at + 110 * MINUTE, "roi")
    her.downloads(at + 120 * MINUTE, "security")
    reminded = []
    if rng.random() < 0.5:
        begun = at + 130 * MINUTE
        her.begins(begun)
        reminded = spans((her.calendar.known(begun + HOUR), begun + 7 * DAY))
        her.expect("form_abandoned", *reminded)
    her.expect("pricing_twice", (known, second + 7 * DAY))
    cooled = max(known, fades(her.points, 60))
    her.expect("hot", (known, cooled))
    # That the form was forgotten is certain only once the day of it has been read to its end.
    calm = cooled if not reminded else max(cooled, her.calendar.known(reminded[-1][1]))
    her.expect("warm", (calm, fades(her.points, 25)))


# ---------------------------------------------------------------- those who want it


def wants_it(her: Visitor, rng: random.Random, day: int) -> None:
    """Do it all in one day and ask for a demo; most are customers two weeks later."""
    at = moment(rng, day, 8, 14)
    second = at + 45 * MINUTE
    her.compares(at)
    her.compares(second)
    her.watches(at + 85 * MINUTE)
    known = her.compares(at + 130 * MINUTE)
    her.downloads(at + 140 * MINUTE, "roi")
    her.begins(at + 150 * MINUTE)
    asked = at + 158 * MINUTE
    her.asks(asked)
    her.expect("pricing_twice", (known, second + 7 * DAY))
    her.expect("video_then_pricing", (known, FOREVER))
    cooled, cold = fades(her.points, 60), fades(her.points, 25)
    her.expect("hot", (known, cooled))
    her.expect("warm", (cooled, cold))
    again = her.calendar.known(asked + 14 * DAY)
    if day + 13 < DAYS and rng.random() < 0.8:
        won = her.buys(moment(rng, day + 13), rng.randrange(300_000, 1_800_000, 50))
        her.expect("watched_no_demo", (again, max(won, again)))
    else:
        her.expect("watched_no_demo", (again, FOREVER))


def becomes_a_story(her: Visitor, _: random.Random, day: int) -> None:
    """Ada comes by an ad, watches as a stranger, signs up, abandons the form, asks after all, and buys."""

    def on(days: int, hours: int, minutes: int, seconds: int) -> datetime:
        return BEGIN + (day + days) * DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)

    her.looks(on(-1, 18, 20, 11), "/product")
    prices = on(-1, 18, 24, 40)
    her.looks(prices, "/pricing")  # she looks at them three times more: of her points these count, and not this one
    her.steps.append(Step("pricing", prices, her.calendar.known(prices)))
    seen = her.watches(on(0, 10, 12, 30))
    her.signs_in(on(2, 10, 40, 5), name="sign_up")
    her.compares(on(2, 11, 3, 44))
    second = on(3, 15, 20, 9)
    her.compares(second)
    her.downloads(on(3, 15, 31, 50), "roi")
    her.compares(on(3, 22, 58, 12))
    begun, asked, bought = on(3, 23, 21, 7), on(5, 9, 30, 2), on(20, 14, 5, 33)
    known, answered = her.begins(begun), her.asks(asked)
    compared = her.calendar.known(on(2, 0, 0, 0))
    won = her.buys(bought, 1_240_000)
    cooled, cold = fades(her.points, 60), fades(her.points, 25)
    reminded = spans((her.calendar.known(begun + HOUR), answered))
    nudged = spans((seen, answered), (her.calendar.known(asked + 14 * DAY), won))
    her.expect("video_then_pricing", (compared, FOREVER))
    her.expect("pricing_twice", (compared, second + 7 * DAY))
    her.expect("form_abandoned", *reminded)
    her.expect("watched_no_demo", *nudged)
    her.expect("hot", (known, cooled))
    her.expect("warm", *common([(max(cooled, answered), cold)], [(answered, asked + 14 * DAY)]))


CAST: Final[tuple[tuple[str, Play, int, int], ...]] = (
    # kind, what she does, how many there are, the last day on which she may begin
    ("passer-by", passes_by, 48, 26),
    ("guide reader", reads_guides, 8, 22),
    ("video watcher", watches, 9, 26),
    ("watcher who becomes a customer", watches_and_buys_elsewhere, 3, 20),
    ("watching customer", watches_as_customer, 4, 26),
    ("watcher who asks", watches_then_asks, 8, 20),
    ("watcher who signs in later", watches_before_signing_in, 5, 22),
    ("watcher with a phone", watches_on_the_phone, 4, 22),
    ("watcher who chats", watches_then_chats, 5, 24),
    ("who turns out to be one", turns_out_to_be_one, 3, 22),
    ("who is seen late", is_seen_late, 4, 24),
    ("who asks late", asks_late, 3, 24),
    ("who is taken for spam", is_taken_for_spam, 4, 22),
    ("who withdraws consent", withdraws, 4, 19),
    ("form abandoner", abandons, 10, 27),
    ("late finisher", finishes_late, 4, 24),
    ("quick finisher", finishes, 6, 27),
    ("pricing returner", compares, 7, 22),
    ("watcher who compares", watches_then_compares, 5, 25),
    ("who considers", considers, 6, 27),
    ("who wants it", wants_it, 6, 27),
)
"""Of about 150 visitors."""
