"""Do two checkouts of the project print and write the same numbers?

    python tests/regression/compare_checkouts.py record CHECKOUT FOLDER [NAME ...]    run every shipped example there
    python tests/regression/compare_checkouts.py compare FOLDER_A FOLDER_B            compare what was written

`record` runs the commands below with the environment of that checkout (``CHECKOUT/.venv``, or CELLSIM_VENV), each into
a folder of its own; examples that need a trajectory get made-up walkers, written once per FOLDER with fixed seeds.
`compare` reads every JSON, NetCDF, CSV, TOML and text file of both and lists, per command, the largest relative
difference of a number and whatever is missing on one side. It exits with 1 where a difference exceeds 1e-10.

This is a snapshot comparison: it shows that a rearrangement of the code changed no number. It says nothing about
whether the numbers are right.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LIMIT = 1e-10
PASSED_OVER = re.compile(  # what differs from run to run, or names the code that made it
    r"wall_time|seconds|elapsed|version|digest|hash|sha256|created|date|cellsim|mdcoeffs|python|fipy|numpy|inputs|modules"
    r"|evaluations|report\.html|stage\.json|made in"
)
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")

CASES = (
    "steinruck2020/rs", "steinruck2020/rs_volume", "steinruck2020/pnb", "thienenkamp2022/polarisation", "dilute_ideal",
    "liquid_lipf6", "fang2026/walkers", "fit_example/cell", "poss_multivalent",
)  # fmt: skip


def commands() -> Iterator[tuple[str, str]]:
    """Name and command line of every example; OUT is the folder of that name, MADE the one of the made-up inputs."""
    for case in CASES:
        name = case.replace("/", "_")
        yield f"check_{name}", f"cellsim check cases/{case}.toml"
        yield f"plan_{name}", f"cellsim plan cases/{case}.toml"
        yield f"run_{name}", f"cellsim run cases/{case}.toml -o OUT --no-figures"
        yield f"sundials_{name}", f"cellsim run cases/{case}.toml -o OUT --no-figures --solver sundials"
    for case in ("steinruck2020/rs", "poss_multivalent", "liquid_lipf6"):
        name = case.replace("/", "_")
        yield f"material_{name}", f"cellsim run cases/{case}.toml -o OUT --no-figures --solver material"
    yield "export", "cellsim export OUT/../run_steinruck2020_rs --csv -o OUT"
    yield "bands", "cellsim run cases/fang2026/walkers.toml -o OUT --bands 20 --solver sundials"
    yield "compare_real", "cellsim compare cases/thienenkamp2022/polarisation.toml -o OUT"
    data = "cases/fit_example/current.csv cases/fit_example/profiles.csv"
    yield "compare_synthetic", f"cellsim compare cases/fit_example/cell.toml {data} -o OUT"
    also = "--also MADE/rival.toml --refit R_int"
    yield "compare_rivals", f"cellsim compare cases/fit_example/cell.toml {data} {also} -o OUT"
    yield "fit", "cellsim fit cases/fit_example/fit.toml -o OUT"
    yield "fit_current", "cellsim fit cases/fit_example/current_only.toml -o OUT --no-profiles"
    yield "design_separate", "cellsim design cases/fit_example/separate.toml -o OUT"
    yield "fit_posterior", "cellsim fit cases/fit_example/fit.toml -o OUT --no-profiles --posterior 30"
    yield "design", "cellsim design cases/fit_example/design.toml -o OUT"
    yield "lab_nyman", "cellsim lab all nyman2008_ec_emc -o OUT"
    yield "lab_noise", "cellsim lab chain landesfeind2019_ec_dmc --noise -o OUT"
    yield "lab_poss", "cellsim lab misuse poss_ptf --c 0.01mol/L -o OUT"
    yield "sets", "cellsim sets"
    for name in ("peo_litfsi_siegel2021", "steinruck2020_rs", "valoen2005_pc_ec_dmc", "landesfeind2019_ec_emc"):
        yield f"sets_{name}", f"cellsim sets {name}"
    yield "app", "cellsim app -o OUT/page.html"
    for state in ("c1", "c2", "c3", "c4"):
        yield f"onsager_{state}", f"mdcoeffs onsager cases/coarse_grained/long/{state}/SPECIES.toml -o OUT"
    yield "field", "mdcoeffs field cases/coarse_grained/long/c2 -o OUT/field.json"
    yield "to_set", "mdcoeffs to-set MADE/SET.toml -o OUT/set.toml"
    for kind in ("onsager", "structure", "residence", "activity", "interface", "mobility"):
        yield kind, f"mdcoeffs {kind} MADE/SPECIES.toml -o OUT"
    yield "onsager_replicas", "mdcoeffs onsager MADE/replicas.toml -o OUT"
    yield "mobility_arrays", "mdcoeffs mobility MADE/arrays.toml -o OUT"
    yield "onsager_arrays", "mdcoeffs onsager MADE/arrays.toml -o OUT"
    yield "onsager_htp", "mdcoeffs onsager MADE/htp/SPECIES.toml -o OUT"
    yield "structure_htp", "mdcoeffs structure MADE/htp/SPECIES.toml -o OUT"
    yield "pipeline", "mdcoeffs pipeline MADE/pipeline.toml -o OUT"


def record(checkout: Path, folder: Path, wanted: list[str]) -> int:
    """Run the examples of a checkout; returns how many did not end with 0."""
    made = folder.parent / "made"
    if not made.is_dir():
        make_inputs(checkout, made)
    venv = Path(os.environ.get("CELLSIM_VENV", checkout / ".venv"))
    failed = 0
    for name, line in commands():
        out = folder / name
        if (wanted and name not in wanted) or (out / "stdout.txt").is_file():
            continue
        out.mkdir(parents=True, exist_ok=True)
        words = line.replace("OUT", str(out)).replace("MADE", str(made)).split()
        begun = time.monotonic()
        done = subprocess.run(
            [str(venv / "bin" / words[0]), *words[1:]], cwd=checkout, capture_output=True, text=True,
            env=os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        (out / "stdout.txt").write_text(done.stdout.replace(str(out), "OUT").replace(str(made), "MADE"))
        (out / "stderr.txt").write_text(done.stderr)
        failed += done.returncode != 0
        print(f"{name:32s} exit {done.returncode} {time.monotonic() - begun:7.1f} s", flush=True)
    return failed


# ---- comparison ---------------------------------------------------------------------------------------------------


def numbers_of(path: Path) -> dict[str, float]:
    """Every number of a file under a name that does not depend on its value."""
    found: dict[str, float] = {}
    if path.suffix == ".json":
        walk(json.loads(path.read_text()), "", found)
    elif path.suffix == ".nc":
        import h5py

        with h5py.File(path) as file:

            def visit(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
                    values = np.asarray(item, dtype=float).ravel()
                    found.update((f"{name}[{k}]", float(v)) for k, v in enumerate(values))

            file.visititems(visit)
    elif path.suffix == ".csv":
        with open(path, newline="") as stream:
            for j, row in enumerate(csv.reader(stream)):
                for k, cell in enumerate(row):
                    try:
                        found[f"[{j}][{k}]"] = float(cell)
                    except ValueError:
                        found[f"[{j}][{k}]={cell}"] = 0.0
    elif path.suffix == ".toml":
        # By key: two writers may lay the same table out in two ways.
        walk(tomllib.loads(path.read_text()), "", found, texts=True)
    elif path.suffix == ".txt":
        for j, line in enumerate(path.read_text().splitlines()):
            if not PASSED_OVER.search(line):
                found[f"line {j}: {NUMBER.sub('#', line)}"] = 0.0
                found.update((f"line {j}, {k}", float(v)) for k, v in enumerate(NUMBER.findall(line)))
    return {name: value for name, value in found.items() if not PASSED_OVER.search(name)}


def walk(value: object, name: str, found: dict[str, float], *, texts: bool = False) -> None:
    """Numbers of a JSON or TOML value, of its texts too where these are quantities; texts become names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            walk(inner, f"{name}.{key}", found, texts=texts)
    elif isinstance(value, list):
        for k, inner in enumerate(value):
            walk(inner, f"{name}[{k}]", found, texts=texts)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found[name] = float(value)
    elif isinstance(value, str):
        found[f"{name}={NUMBER.sub('#', value)}"] = 0.0
        if texts:
            found.update((f"{name}, {k}", float(v)) for k, v in enumerate(NUMBER.findall(value)))
    else:
        found[f"{name}={value}"] = 0.0


def compare(first: Path, second: Path) -> int:
    """Print the largest relative difference of every command; returns how many are above the limit."""
    worse = 0
    for name, _ in commands():
        a, b = first / name, second / name
        if not a.is_dir() or not b.is_dir():
            print(f"{name:32s} not recorded on both sides")
            worse += 1
            continue
        files = sorted({p.relative_to(side) for side in (a, b) for p in side.rglob("*") if p.is_file()})
        largest, where, count, odd = 0.0, "", 0, []
        for file in files:
            if file.suffix not in (".json", ".nc", ".csv", ".toml", ".txt") or PASSED_OVER.search(file.name):
                continue
            if file.name == "stderr.txt":
                continue
            if not (a / file).is_file() or not (b / file).is_file():
                odd.append(f"{file} on one side only")
                continue
            x, y = numbers_of(a / file), numbers_of(b / file)
            odd += [f"{file}: {key}" for key in x.keys() ^ y.keys()]
            scales: dict[str, float] = {}
            for key in x.keys() & y.keys():
                column = re.sub(r"\[\d+\]$", "", key)
                if math.isfinite(x[key]):
                    scales[column] = max(scales.get(column, 0.0), abs(x[key]))
            for key in x.keys() & y.keys():
                count += 1
                if x[key] == y[key] or (math.isnan(x[key]) and math.isnan(y[key])):
                    continue
                # of an array, relative to its largest member: a zero crossing has no relative error of its own
                scale = scales[re.sub(r"\[\d+\]$", "", key)] if file.suffix == ".nc" else abs(x[key])
                difference = abs(x[key] - y[key]) / max(scale, 1e-300)
                if not difference <= largest:
                    largest, where = difference, f"{file} {key}"
        verdict = "same" if largest == 0 and not odd else "ok" if largest <= LIMIT and not odd else "DIFFERS"
        worse += verdict == "DIFFERS"
        print(f"{name:32s} {verdict:8s} {count:8d} numbers, largest difference {largest:.1e} {where}")
        for line in odd[:6]:
            print(f"{'':34s}{line}")
    return worse


# ---- made-up inputs -----------------------------------------------------------------------------------------------


def make_inputs(checkout: Path, made: Path) -> None:
    """Walkers in a box as trajectories and arrays, with the files that name them."""
    import bz2
    import shutil

    sys.path.insert(0, str(checkout / "tests" / "docs"))
    from page_files import Molecules, walkers  # type: ignore[import-not-found]

    made.mkdir(parents=True)
    li, tfsi = Molecules("Li", "cation", 1, 24, ("Li",)), Molecules("TFSI", "anion", -1, 24, ("N", "S1", "S2", "O1"))
    peo = Molecules("PEO", "solvent", 0, 48, ("O", "C1", "C2"))
    box = (26.0, 26.0, 26.0)
    walkers(made, (li, tfsi, peo), box=box, frames=600, dt=10.0, files=("run1.xtc", "run2.xtc"))
    species = """
[species.Li]
selection = "resname Li"
charge = 1
role = "cation"
molecule = "residue"

[species.TFSI]
selection = "resname TFSI"
charge = -1
role = "anion"
molecule = "residue"

[species.PEO]
selection = "resname PEO"
charge = 0
role = "solvent"
molecule = "residue"
"""
    more = """
[structure.cutoffs]
TFSI = "4 angstrom"
PEO = "4 angstrom"

[interface]
axis = "z"
origin = "resname PEO"
bin = "0.5 angstrom"
charge_bin = "0.5 angstrom"
sample = "10 ps"
profiles.O_PEO = "name O and resname PEO"
correlation = ["inner", "outer"]

[interface.regions.inner]
points = "Li"
between = ["-5 angstrom", "5 angstrom"]
margin = "0.5 angstrom"
stoichiometric = 9

[interface.regions.outer]
points = "TFSI"
between = ["-9 angstrom", "-5 angstrom", "5 angstrom", "9 angstrom"]

[interface.variance]
points = ["Li", "TFSI"]
layers = ["-12 angstrom", "-5 angstrom", "5 angstrom", "12 angstrom"]
lag = ["20 ps"]

[mobility]
permittivity = 7.5

[mobility.follow.EO]
selection = "name O and resname PEO"

[mobility.rotor.TFSI]
axis = ["name N", "name S1"]

[mobility.friction]
r = [0.02, 0.06, 0.10]
kappa = [1.1, 1.8, 1.4]
unit = "mS/cm"
"""
    head = 'title = "walkers"\ntemperature = "353 K"\ntopology = "system.psf"\n'
    (made / "SPECIES.toml").write_text(head + 'trajectory = ["run1.xtc", "run2.xtc"]\n' + species + more)
    replicas = '[[replica]]\ntrajectory = "run1.xtc"\n\n[[replica]]\ntrajectory = "run2.xtc"\n'
    (made / "replicas.toml").write_text(head + species + replicas)

    rng = np.random.default_rng(3)
    names = np.repeat(["Li", "TFSI", "PEO"], (20, 20, 60))
    steps = 0.4e-10 * rng.standard_normal((500, names.size, 3))
    positions = np.cumsum(steps, axis=0) + 3e-9 * rng.random((names.size, 3))
    np.savez(made / "arrays.npz", time=np.arange(500) * 1e-11, positions=positions % 3e-9, labels=names,
             box=np.eye(3) * 3e-9)  # fmt: skip
    plain = re.sub(r"selection = .*\n", "", species).replace('molecule = "residue"\n', "")
    for name, count, mass in (("Li", 20, 0.00694), ("TFSI", 20, 0.28), ("PEO", 60, 0.044)):
        plain = plain.replace(f"[species.{name}]\n", f'[species.{name}]\ncount = {count}\nmass = "{mass} kg/mol"\n')
    (made / "arrays.toml").write_text(
        'title = "arrays"\ntemperature = "353 K"\narrays = "arrays.npz"\ncoordinates = "wrapped"\n'
        + '[units]\nposition = "m"\ntime = "s"\n' + plain
    )  # fmt: skip

    cell = (checkout / "cases" / "fit_example" / "cell.toml").read_text()
    (made / "rival.toml").write_text(cell.replace("steinruck2020_rs", "steinruck2020_pnb"))

    htp = made / "htp"
    htp.mkdir()
    for name in ("relaxed.lmp", "traj.lammpstrj"):
        packed = checkout / "tests" / "data" / "htp_md" / f"{name}.bz2"
        (htp / name).write_bytes(bz2.decompress(packed.read_bytes()))
    shutil.copy(checkout / "tests" / "data" / "htp_md" / "meta.json", htp)
    (htp / "SPECIES.toml").write_text("""title = "htp"
temperature = "353 K"
topology = "relaxed.lmp"
trajectory = "traj.lammpstrj"
timestep = "2 fs"
self = "all"

[species.Li]
selection = "type 90"
charge = 1
role = "cation"

[species.TFSI]
selection = "type 91 92 93 94 95"
charge = -1
role = "anion"

[species.polymer]
selection = "not type 90 91 92 93 94 95"
role = "solvent"
charge = 0

[structure.cutoffs]
TFSI = "3 angstrom"
polymer = "3 angstrom"
""")

    long = checkout / "cases" / "coarse_grained" / "long"
    for state in ("c1", "c2", "c3", "c4"):
        subprocess.run(
            [str(checkout / ".venv/bin/mdcoeffs"), "onsager", str(long / state / "SPECIES.toml"), "-o",
             str(made / "onsager" / state)], check=True, capture_output=True,
        )  # fmt: skip
    recipe = """title = "charged spheres"

[salt]
formula = "MX"
M = "0.34 kg/mol"

[solvent]
name = "S"
M = "0.06 kg/mol"

[volumes]
V_e = "6e-5 m^3/mol"
V_0 = "8e-5 m^3/mol"
source = "assumed"

[chi]
value = 1.2
basis = "molal"
standard_error = 0.05
source = "assumed"
"""
    (made / "SET.toml").write_text(
        recipe.replace("\n\n[salt]", '\nonsager = ["onsager/c1", "onsager/c2", "onsager/c3", "onsager/c4"]\n\n[salt]')
    )
    states = ", ".join(f'"{long / state / "SPECIES.toml"}"' for state in ("c1", "c2", "c3", "c4"))
    (made / "pipeline.toml").write_text(
        recipe.replace("\n\n[salt]", f"\nspecies = [{states}]\n\n[salt]")
        + """
[cell]
thickness = "0.5 mm"

[electrolyte]
salt = { c = "1.2 mol/L" }

[[step]]
hold = "voltage"
value = "15 mV"
duration = "60 s"

[bands]
draws = 20

[consistency]
draws = 20
"""
    )


def main(arguments: list[str]) -> int:
    """See the head of this file."""
    if len(arguments) >= 3 and arguments[0] == "record":
        return 1 if record(Path(arguments[1]).resolve(), Path(arguments[2]).resolve(), arguments[3:]) else 0
    if len(arguments) == 3 and arguments[0] == "compare":
        return 1 if compare(Path(arguments[1]), Path(arguments[2])) else 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
