"""The rule language: files to a :class:`~leadup.rules.program.Program`, and every word an author hears on the way."""
