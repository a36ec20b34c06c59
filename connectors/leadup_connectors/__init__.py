"""Connectors that ship with leadup: one folder a vendor, the same file names every time."""
