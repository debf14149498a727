"""What a laboratory would measure of the electrolytes of hidden.toml: one table for every experiment.

    mdcoeffs simulate cases/coarse_grained/hidden.toml -o runs/hidden          half an hour on one core
    python cases/coarse_grained/experiment.py runs/hidden                      -> cases/coarse_grained/hidden/a.csv ...

An experiment has one run for kappa, one for rho_+, and one for the diffusion coefficients of the salt (with the chi of
that run) and of single ions, so that no two values share their errors but these. Errors are those of the intervals.
Each run as an experiment of its own, for all quantities, is written to runs/hidden/a/measured_r0.csv and so on.
"""

import sys
import tomllib
from pathlib import Path

import numpy as np
import tomli_w
from click.testing import CliRunner

from cellsim.files.schema import read_json_table
from mdcoeffs.cli import main as mdcoeffs
from mdcoeffs.onsager.result import read_onsager

ANALYSES = ("onsager", "activity", "mobility")
HALF = 1.959963984540054


def analysed(folder: Path, replica: int) -> Path:
    """Results of one run by all analyses; those that are there are kept."""
    file = tomllib.loads((folder / "SPECIES.toml").read_text(encoding="utf-8"))
    file |= {"coordinates": "unwrapped", "mobility": {"window": ["10 ps", "50 ps"]}}
    file["replica"] = [{"arrays": f"r{replica}/displacements.npz"}]
    species = folder / f"SPECIES_r{replica}.toml"
    species.write_text(tomli_w.dumps(file), encoding="utf-8")
    for name in ANALYSES:
        out = folder / f"out_r{replica}" / name
        if not (out / "summary.json").is_file():
            result = CliRunner().invoke(mdcoeffs, [name, str(species), "-o", str(out)])
            assert result.exit_code == 0, result.output
    return folder / f"out_r{replica}"


def values(out: Path) -> dict[str, tuple[float, float]]:
    """Quantity -> value and standard error, SI."""
    summary = read_json_table(out / "onsager" / "summary.json", what="a result").data["quantities"]
    found = {}
    for name in ("kappa", "rho_plus"):
        low, high = summary[name]["interval"]
        found[name] = (summary[name]["value"], (high - low) / (2 * HALF))
    activity = read_json_table(out / "activity" / "summary.json", what="a result").data
    chi, (low, high) = activity["chi"], activity["interval"]
    ratio = read_onsager(out / "onsager").to_frame("solvent").draws("diffusion", chi=1.0)
    D, (low_D, high_D) = np.median(ratio), np.quantile(ratio, [0.025, 0.975])
    relative = np.hypot((high - low) / (2 * HALF * chi), (high_D - low_D) / (2 * HALF * D))
    found["D_salt"] = (chi * D, chi * D * relative)
    moved = read_json_table(out / "mobility" / "summary.json", what="a result").data["translation"]
    for ion in ("M", "X"):
        found[f"D_msd_{ion}"] = (moved[ion]["D"]["value"], moved[ion]["D"]["standard_error"])
    return found


UNITS = {"kappa": "S/m", "rho_plus": "1", "D_salt": "m^2/s", "D_msd_M": "m^2/s", "D_msd_X": "m^2/s"}
RUNS = {"kappa": 0, "rho_plus": 1, "D_salt": 2, "D_msd_M": 2, "D_msd_X": 2}


def write(path: Path, state: str, found: list[dict[str, tuple[float, float]]], runs: dict[str, int]) -> None:
    """A table of measured values, each from the run named for it."""
    rows = ["quantity,value,error,unit,source"]
    for name, replica in runs.items():
        value, error = found[replica][name]
        where = f"simulated with hidden charges: {state}/r{replica} of hidden.toml"
        rows.append(f"{name},{value:.5g},{error:.2g},{UNITS[name]},{where}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def main(source: Path, target: Path) -> None:
    """Write the tables."""
    target.mkdir(exist_ok=True)
    for folder in sorted(source.glob("?")):
        found = [values(analysed(folder, replica)) for replica in range(3)]
        write(target / f"{folder.name}.csv", folder.name, found, RUNS)
        for replica in range(3):
            write(folder / f"measured_r{replica}.csv", folder.name, found, dict.fromkeys(RUNS, replica))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "hidden")
