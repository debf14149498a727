"""A prediction beside measurements, nothing refitted."""
