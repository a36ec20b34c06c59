"""Judging: rules, signals and facts in; verdicts and the instants at which they expire out."""
