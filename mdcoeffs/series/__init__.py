"""Analyses over a family of states, concentrations or temperatures, collected on one page (docs/series.md)."""
