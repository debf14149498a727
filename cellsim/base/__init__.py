"""What everything stands on: errors, physical constants, units, array types. No file is read or written here."""
