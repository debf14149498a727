"""Onsager coefficients from molecular dynamics, with error bars."""
