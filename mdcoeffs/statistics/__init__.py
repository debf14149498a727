"""Averages of correlated data: blocks, correlations at lags, and their errors."""
