"""Concentrated-solution model of Li | electrolyte | Li: see README.md and docs/."""

__version__ = "0.1.0"
