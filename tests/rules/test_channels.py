"""Which channel a view tells of."""

import pytest

from leadup.rules.channels import CHANNELS, channel_of

OWN = {"url": "https://www.shop.test/pricing", "host": "www.shop.test"}


@pytest.mark.parametrize(
    ("channel", "properties"),
    [
        ("paid_search", {"source": "google", "medium": "cpc"}),
        ("paid_search", {"source": "Bing", "medium": "PPC"}),
        ("paid_search", {"source": "google", "medium": "cpm"}),
        ("paid_search", {"url": "https://shop.test/?utm_source=google&utm_medium=paid"}),
        ("paid_search", {"url": "https://shop.test/?gclid=x&utm_source=news&utm_medium=email"}),
        ("paid_search", {"url": "https://shop.test/?msclkid=x"}),
        ("display", {"url": "https://shop.test/?gbraid=x&utm_source=google&utm_medium=display"}),
        ("display", {"source": "adnetwork", "medium": "cpm"}),
        ("display", {"medium": "banner"}),
        ("paid_social", {"source": "facebook", "medium": "cpc"}),
        ("paid_social", {"source": "l.instagram.com", "medium": "paid_social"}),
        ("other", {"source": "partner", "medium": "cpc"}),
        ("other", {"source": "poster"}),
        ("organic_social", {"source": "newsroom", "medium": "social"}),
        ("organic_social", {"source": "linkedin", "medium": "post"}),
        ("organic_social", {"url": "https://shop.test/?fbclid=x", "referrer": "https://other.example/"}),
        ("organic_social", {"referrer": "https://t.co/abc"}),
        ("organic_social", {"referrer": "https://old.reddit.com/r/x"}),
        ("organic_search", {"medium": "organic"}),
        ("organic_search", {"source": "duckduckgo"}),
        ("organic_search", {"referrer": "https://www.google.co.uk/"}),
        ("organic_search", {"referrer": "https://uk.search.yahoo.com/x?p=1"}),
        ("email", {"source": "newsletter", "medium": "e-mail"}),
        ("email", {"referrer": "https://mail.google.com/"}),
        ("affiliate", {"source": "x1", "medium": "affiliate"}),
        ("referral", {"referrer": "https://docs.google.com/document"}),
        ("referral", {"referrer": "https://x.example.com/"}),
        ("referral", {"source": "blog.example.com"}),
        ("referral", {"source": "blog", "medium": "referral"}),
        (None, {}),
        (None, {"source": "(direct)", "medium": "(none)"}),
        (None, {"referrer": "https://shop.test/", **OWN}),
        (None, {"referrer": "https://www.shop.test/a", "url": "https://shop.test/b"}),
        (None, {"referrer": "http://[broken", "url": "http://[broken?gclid=x", "source": 7, "medium": ["cpc"]}),
    ],
)
def test_the_channel_of_a_view(channel, properties):
    assert channel_of(properties, {}) == channel
    assert channel is None or channel in CHANNELS


def test_click_ids_that_a_source_has_found():
    assert channel_of(OWN, {"wbraid": "x"}) == "paid_search"
    assert channel_of(OWN, {"fbclid": "x"}) == "organic_social"
    assert channel_of({**OWN, "source": "facebook", "medium": "cpc"}, {"fbclid": "x"}) == "paid_social"
