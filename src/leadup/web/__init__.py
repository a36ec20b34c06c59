"""The collector's door: HTTP in, the inbox behind it."""
