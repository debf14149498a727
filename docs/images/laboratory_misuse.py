"""Draws the figure of docs/laboratory.md: python docs/images/laboratory_misuse.py (repository root, seconds)."""

from pathlib import Path

from cellsim import load_set
from cellsim.laboratory import bench_of, misuse
from cellsim.laboratory.figures import draw_record


def main() -> None:
    bench = bench_of(load_set("landesfeind2019_ec_dmc"), 1000.0)
    draw_record(bench, misuse(bench), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
