"""How long partners stay together."""
