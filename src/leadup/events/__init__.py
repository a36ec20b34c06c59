"""Events: how they are written (:mod:`~leadup.events.records`) and the log that keeps them
(:mod:`~leadup.events.log`).

Nothing is imported here: a connector reads records without loading Arrow.
"""
