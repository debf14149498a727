"""python -m cellsim: the command `cellsim` where its script is not on the path."""

from cellsim.cli import main

if __name__ == "__main__":
    main(prog_name="cellsim")
