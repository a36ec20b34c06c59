"""Erasure of a person: everywhere, provably, and for good.

::

    ask ──► leaving ──► clearing ──► done          lift
            │           │
            │           └ the last traces are overwritten: free pages, the write-ahead log
            └ each vendor's confirmation, the files of the log, and the collector's inbox are waited for

:func:`leadup.erasure.ask.ask` is one commit: from it on nobody sees her, no record brings her back, and the leaves are
planned. :func:`leadup.erasure.work.work` goes on from wherever a request stands, as often as it is called.
"""
