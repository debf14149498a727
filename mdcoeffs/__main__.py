"""python -m mdcoeffs: the command `mdcoeffs` where its script is not on the path."""

from mdcoeffs.cli import main

if __name__ == "__main__":
    main(prog_name="mdcoeffs")
