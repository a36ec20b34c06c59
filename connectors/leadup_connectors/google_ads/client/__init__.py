"""Google's SDKs as this connector calls them: one module for each API, so that neither loads the other's SDK."""
