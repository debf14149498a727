"""Measured files -> arrays in SI. A reader refuses what it cannot read and names file, row and column."""
