"""``leadup demo``: weeks of an invented site through the whole product, and the truth it is held to."""
