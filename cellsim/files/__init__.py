"""Files of this project: strict reading of TOML, and folders of results that are written whole or not at all."""
