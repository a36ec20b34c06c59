"""leadup acts on what leads up to a conversion."""
