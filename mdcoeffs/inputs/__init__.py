"""What a user gives: SPECIES.toml, plain arrays, published tables, and the checks of files."""
