"""The event log: what happened, once, for good (:mod:`leadup.events.log`)."""
