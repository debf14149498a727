"""Commands that take long, in their smallest form, and what must be the same after any number of kills."""

import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from child import in_child
from kinds import SPECIES, UNITS, cellsim, make_seeds, mdcoeffs

ROOT = Path(__file__).parents[2]
ONE_PARAMETER = """title = "one number"
[[experiment]]
case = "cell.toml"
data = [{ file = "current.csv", error = "1 %" }]
[fit.D]
form = "scaled"
"""
PIPELINE = """species = ["SPECIES.toml"]
[salt]
formula = "LiX"
M = "287 g/mol"
[solvent]
name = "S"
M = "90 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "80 cm^3/mol"
source = "assumed"
[chi]
value = 1.2
standard_error = 0.1
basis = "molal"
source = "assumed"
[cell]
thickness = "0.1 mm"
[electrolyte]
salt = { c = "1 mol/L" }
[solver]
name = "sundials"
[[step]]
hold = "voltage"
value = "10 mV"
duration = "10 min"
[bands]
draws = 20
[consistency]
draws = 20
"""
CHANGES = (
    "wall_time",
    "seconds",
    "steps_per_second",
    "created",
    "evaluations",
    "time_steps",
    "versions",
    "path",
    "key",
)
CHANGES += ("case", "files", "inputs")  # of a stage: hashes of files that hold such values
"""Keys whose values tell of the place, the machine and the day, or of how often the work was begun."""


@dataclass(frozen=True)
class Long:
    """A command; `ask` gets the folder it works in and leaves its results in ``out``."""

    name: str
    ask: object
    codes: tuple[int, ...] = (0,)


def make_cases(root):
    """A folder for every command."""
    make_seeds(root / "good")
    from mdcoeffs.synthetic.walkers import Solvent, walk

    shutil.copytree(ROOT / "cases" / "fang2026", root / "bands")
    shutil.copytree(ROOT / "cases" / "fit_example", root / "fit")
    (root / "fit" / "one.toml").write_text(ONE_PARAMETER)
    text = (ROOT / "cases" / "coarse_grained" / "long.toml").read_text()
    for old, new in (
        ('cutoff = "1.0 nm"', 'cutoff = "0.6 nm"'),
        ("solvent = 474", "solvent = 18"),
        ("salt = 13", "salt = 3"),
        ('production = "4 ns"', 'production = "10 ps"'),
        ('production = "6 ns"', 'production = "5 ps"'),
        ('equilibration = "200 ps"', 'equilibration = "2 ps"'),
        ('["c2", "c4"]', '["c1"]'),
    ):
        assert old in text
        text = text.replace(old, new)
    (root / "md").mkdir()
    (root / "md" / "SYSTEM.toml").write_text(text)
    (root / "pipeline").mkdir()
    made = walk(
        np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10,
        frames=1000,
        dt=1e-11,
        c=1000.0,
        n_salt=50,
        seed=1,
        solvents=Solvent(100, 90.0),
    )
    np.savez(root / "pipeline" / "run.npz", time=made.time, R=made.R, volume=made.volume)
    lines = ['temperature = "300 K"\narrays = "run.npz"']
    for name, role, z, mass, count in (
        ("Li", "cation", 1, 7, 50),
        ("X", "anion", -1, 280, 50),
        ("S", "solvent", 0, 90, 100),
    ):
        lines.append(f'[species.{name}]\nrole = "{role}"\ncharge = {z}\ncount = {count}\nmass = "{mass} g/mol"')
    (root / "pipeline" / "SPECIES.toml").write_text("\n".join(lines) + "\n")
    (root / "pipeline" / "pipeline.toml").write_text(PIPELINE)
    (root / "onsager").mkdir()
    rng = np.random.default_rng(3)
    kinds = np.repeat(["Li", "X", "S"], [20, 20, 40])
    edge = 16 * (80 / 12) ** (1 / 3)
    path = rng.uniform(0, edge, (1, 80, 3)) + rng.normal(0, 0.3, (600, 80, 3)).cumsum(axis=0)
    np.savez(
        root / "onsager" / "run.npz",
        time=0.1 * np.arange(600),
        positions=path % edge,
        labels=kinds,
        masses=np.repeat([7.0, 96.0, 18.0], [20, 20, 40]),
        box=np.eye(3) * edge,
    )
    (root / "onsager" / "SPECIES.toml").write_text(SPECIES.format(source=f'arrays = "run.npz"\n{UNITS}', count=""))
    return root


SEEDS = "{}/../../seeds"
OUT = ("-o", "{}/out")
LONG = (
    Long("run", cellsim("run", f"{SEEDS}/bands/walkers.toml", *OUT, "--solver", "sundials", "--no-figures")),
    Long(
        "bands",
        cellsim("run", f"{SEEDS}/bands/walkers.toml", *OUT, *("--solver", "sundials", "--no-figures", "--bands", "20")),
    ),
    Long("fit", cellsim("fit", f"{SEEDS}/fit/one.toml", *OUT, "--starts", "1")),
    Long(
        "posterior",
        cellsim("fit", f"{SEEDS}/fit/one.toml", *OUT, *("--no-profiles", "--starts", "1", "--posterior", "12")),
        codes=(1,),  # so few steps are not converged
    ),
    Long("onsager", mdcoeffs("onsager", f"{SEEDS}/onsager/SPECIES.toml", *OUT, "--checkpoint", "0.1")),
    Long("pipeline", mdcoeffs("pipeline", f"{SEEDS}/pipeline/pipeline.toml", *OUT)),
    Long(
        "simulate",
        mdcoeffs(
            *("simulate", f"{SEEDS}/md/SYSTEM.toml", *OUT, "--state", "c1", "--jobs", "1"),
            *("--platform", "Reference", "--checkpoint", "0.1"),
        ),
    ),
)
SPECIES_FILE = f"{SEEDS}/onsager/SPECIES.toml"
WRITERS = (
    *LONG,
    Long("export", cellsim("export", f"{SEEDS}/good/run/run", "--csv", *OUT)),
    Long("compare", cellsim("compare", f"{SEEDS}/fit/cell.toml", f"{SEEDS}/fit/current.csv", *OUT)),
    Long("lab", cellsim("lab", "impedance", "dilute_ideal", *OUT)),
    *(
        Long(name, mdcoeffs(name, SPECIES_FILE, *OUT, "--checkpoint", "0"))
        for name in ("structure", "residence", "activity", "interface", "mobility")
    ),
)
"""Commands that write a folder of results."""
TO_GO_ON = (".partial", "profile-", "posterior.npz", "pipeline.toml", "stage.json", "system.toml", "out/c1/")
"""In the names of files that a command leaves to go on from when it could write no more."""


def files(folder):
    """Names of all files in a folder, hidden ones too, less those of an interrupted run beside a finished one."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("out-partial/")}


def contents(folder):
    """What is in the files of a result that a machine reads, by name."""
    import xarray as xr

    found = {}
    for name in sorted(files(folder)):
        path = folder / name
        if path.suffix == ".nc":
            data = xr.load_dataset(path, engine="h5netcdf")
            found[name] = {str(key): data[key].values for key in data.variables}
        elif path.suffix == ".npz" and path.name != "checkpoint.npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key] for key in arrays.files}
        elif path.suffix == ".json":
            found[name] = json.loads(path.read_text())
        elif path.suffix in (".csv", ".toml"):
            found[name] = path.read_text()
    return found


def differences(one, other, name=""):
    """Places at which two contents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            place
            for key in sorted({*one, *other})
            if key not in CHANGES
            for place in differences(one.get(key), other.get(key), f"{name}/{key}")
        ]
    same = np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f") if one is not None else other is None
    return [] if same else [name]


def run(long, folder, hit=None, before=lambda: None):
    """The command, once, in a process of its own, in which `before` is called first."""
    folder.mkdir(parents=True, exist_ok=True)

    def call():
        before()
        return long.ask(folder)

    return in_child(call, limit=120.0, hit=hit)


def wrong(end, long, hit):
    """What is wrong with a call that got a signal, or got none."""
    meant = {f"signal {signal.SIGKILL}"} if hit else set()
    meant |= {"no word"} if end.out.strip() else set()  # what has not converged is told with the results
    faults = [fault for fault in end.faults if fault not in meant]
    allowed = (*long.codes, *([] if not hit else [1] if hit[1] == signal.SIGINT else [-signal.SIGKILL]))
    return faults + ([] if end.code in allowed else [f"exit code {end.code}"])
