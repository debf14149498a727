"""Draws the figure of docs/laboratory.md: python docs/images/laboratory_misuse.py (repository root, seconds)."""

from pathlib import Path

from cellsim import load_set
from cellsim.laboratory import bench_of, misuse


def main() -> None:
    bench = bench_of(load_set("landesfeind2019_ec_dmc"), 1000.0)
    misuse(bench).draw(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
