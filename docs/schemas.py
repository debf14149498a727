"""Writes the JSON schemas that are shipped, from what the readers of the formats ask for: ``python docs/schemas.py``.

The readers are listened to while they read the shipped files and, for keys that none of them has, the specimens below.
A test writes the schemas anew and compares.
"""

import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cellsim.base import InputError
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.files.json_schema import FORMATS, Format, as_text, shipped
from cellsim.fit.recipe import read_recipe
from cellsim.fit.watch import read_targets
from cellsim.run.mixture import read_case
from mdcoeffs.activity import read_activity
from mdcoeffs.inputs.species import read_species
from mdcoeffs.interface.settings import read_interface
from mdcoeffs.mobility.settings import read_mobility
from mdcoeffs.onsager import read_estimate
from mdcoeffs.residence.bonds import read_residence
from mdcoeffs.structure.shells import read_shells

ROOT = Path(__file__).resolve().parents[1]

CELL = """
[cell]
thickness = "0.5 mm"
temperature = "90 degC"
area = "1 cm^2"
[electrolyte]
transport = "steinruck2020_rs"
"""
SALT = "salt = { r = 0.1 }\n"
MIXED = """
[cell]
thickness = "1 mm"
temperature = "25 degC"
[electrolyte]
transport = "mixed_set.toml"
composition = { c = { PF6 = "1 mol/L", EC = "6 mol/L" } }
"""
REST = '[[step]]\nhold = "rest"\nduration = "1 h"\n'
CASES = (
    # every choice of how the salt, a separator and an interface are stated
    CELL
    + 'salt = { c = "1 mol/L" }\nchange = { t_plus = 0.3 }\n'
    + """[cell.separator]
porosity = 0.5
macmullin = 4.0
[electrodes.positive]
resistance = "0.01 ohm m^2"
kinetics = { law = "butler_volmer", j_ref = "10 A/m^2", c_ref = "1 mol/L" }
[electrodes.negative]
resistance = { file = "R.csv", time = { column = "t", unit = "h" }, value = "R (ohm cm^2)" }
[output]
interval = "5 min"
[solver]
c_min = "1 mol/m^3"
"""
    + REST,
    CELL + 'salt = { m = "1 mol/kg" }\n[cell.separator]\nporosity = 0.5\ntortuosity = 2.0\n' + REST,
    CELL + '[initial]\nfile = "start.csv"\nposition = "x (mm)"\nconcentration = "c (mol/L)"\n' + REST,
    CELL + '[initial]\nfrom = "runs"\n' + REST,
    # every kind of step, alone and in a group
    *(
        CELL + SALT + f"[[{group}]]\n{step}"
        for step in (
            'hold = "voltage"\nvalue = "0.3 V"\nduration = "1 h"\nstop = { current_density_below = "1 A/m^2" }\n',
            'hold = "current"\nvalue = "5 A/m^2"\nduration = "1 h"\nstop = { charge_above = "1 C/m^2" }\n',
            'ramp = "voltage"\nfrom = "0 V"\nto = "0.1 V"\nrate = "1 mV/s"\n',
            'ramp = "current"\nfrom = "0 A/m^2"\nto = "1 A/m^2"\nrate = "1 A/m^2/s"\n',
            'follow = "current"\nfile = "I.csv"\ntime = "t (h)"\nvalue = "i (A/m^2)"\nother = "U (V)"\n'
            'duration = "1 h"\n',
            'follow = "current"\nfile = "I.csv"\ntime = { column = "t (h)", unit = "h" }\n'
            'value = { column = "i (A/m^2)", unit = "A/m^2" }\nother = { column = "U (V)", unit = "V" }\n',
        )
        for group in ("step", "step]]\nrepeat = 2\n[[step.step")
    ),
    # data sheets
    *(
        CELL + SALT + REST + f'[[measured]]\nkind = "{kind}"\nfile = "{file}"\n{more}\n'
        for kind, file, more in (
            ("profile", "c.csv", 'unit = "mol/m^3"\nposition_unit = "mm"\ntime_unit = "s"\nerror = "40 mol/m^3"'),
            ("current", "I.csv", 'columns = { time = "t (h)", current = "i (A/m^2)" }'),
            ("voltage", "I.csv", 'columns = { time = "t (h)", voltage = "U (V)" }'),
            ("velocity", "v.csv", 'quantity = "v_0"\nframe = "lab"\nbeam_width = "20 um"'),
            (
                "xam",
                "x.csv",
                'energy = "20 keV"\nsalt = "LiTFSI"\nsolvent = "C2H4O"\npath_length = "3 mm"\nposition = "x (mm)"',
            ),
            ("mri", "x.csv", 'positive = "left"\nnormalise = "inventory"'),
        )
    ),
    # and those of n components
    *(
        MIXED + REST + f'[[measured]]\nkind = "{kind}"\nfile = "{file}"\nspecies = "{species}"\n{more}\n'
        for kind, file, species, more in (
            ("profile", "c.csv", "PF6", 'unit = "mol/m^3"\nposition_unit = "mm"\ntime_unit = "s"'),
            ("velocity", "c.csv", "EC + EMC", 'frame = "lab"'),
            (
                *("xam", "raster.csv", "PF6"),
                'energy = "20 keV"\npath_length = "1 mm"\n'
                'formulas = { Li = "Li", PF6 = "PF6", EC = "EC", EMC = "EMC" }',
            ),
            ("mri", "c.csv", "6 PF6", 'positive = "lower"'),
        )
    ),
)
FILES = {
    "kappa.csv": "c (mol/L),kappa (mS/cm)\n1,1\n",
    "tables.csv": "r,kappa (mS/cm),D (cm^2/s)\n0.1,1,1e-7\n",
    "R.csv": "t,R (ohm cm^2)\n0,1\n1,2\n",
    "start.csv": "x (mm),c (mol/L)\n0,1\n0.5,1\n",
    "I.csv": "t (h),i (A/m^2),U (V)\n0,1,0.1\n1,1,0.1\n",
    "mixed_set.toml": (ROOT / "cases/mixed_solvent/lipf6_ec_emc.toml").read_text(encoding="utf-8"),
    "mixed/cell.toml": MIXED.replace("mixed_set.toml", str(ROOT / "cases/mixed_solvent/lipf6_ec_emc.toml")) + REST,
    "raster.csv": "time (s),position (mm),intensity\n"
    + "".join(f"{time},{0.1 * k:.1f},1000\n" for time in (-60, 60) for k in range(1, 10)),
    "c.csv": "x,0,60\n0.1,1000,1000\n0.2,1000,1000\n",
}


SPECIES = """
temperature = "300 K"
topology = "run.data"
trajectory = ["run.xtc"]
[species.Li]
selection = "type 1"
charge = 1
role = "cation"
[species.PF6]
selection = "type 2"
charge = -1
role = "anion"
[species.EC]
selection = "type 3"
role = "solvent"
"""
OF_CP2K = SPECIES.replace('["run.xtc"]', '"run.xyz"\ncell = "run.cell"\nvelocities = "vel.xyz"')
TWO_OF_CP2K = (
    SPECIES.replace('trajectory = ["run.xtc"]\n', "")
    + '[[replica]]\ntrajectory = "run.xyz"\ncell = "run.cell"\nvelocities = "vel.xyz"\n'
)
MOBILITY = """
[mobility.rotor.PF6]
plane = "type 2"
[mobility.paddlewheel]
rotor = "PF6"
jump = "1 angstrom"
half = "1 ps"
[mobility.bottleneck]
corners = "PF6"
jump = "1 angstrom"
half = "1 ps"
[mobility.cooperative]
jump = "1 angstrom"
half = "1 ps"
cutoff = "4 angstrom"
[mobility.vibrations]
of = ["Li"]
"""
FIT = '[[experiment]]\ncase = "cell.toml"\n'
FITS = tuple(
    FIT + f"[fit]\nt_plus = {t_plus}\nD = {D}\nchi = {chi}\n[watch]\ntargets = {{ t_plus = 0.05 }}\n"
    for t_plus, D, chi in (
        (
            '{ form = "constant", start = 0.1, min = -1, max = 1, prior_sd = 0.2, spread = 0.3 }',
            '{ form = "constant", start = "1e-11 m^2/s", min = "1e-12 m^2/s", max = "1e-10 m^2/s", prior_sd = "20 %" }',
            '{ form = "constant", gives = "chi" }',
        ),
        (
            '{ form = "polynomial", degree = 1, variable = "c" }',
            '{ form = "spline", knots = { r = [0.05, 0.1, 0.15] } }',
            '{ form = "scaled", of = "steinruck2020_rs" }',
        ),
        (
            '{ form = "spline", knots = { c = ["0.5 mol/L", "1 mol/L"] } }',
            '{ form = "spline", knots = { m = ["0.5 mol/kg", "1 mol/kg"] } }',
            '{ form = "spline", knots = { c = [0.5, 1.0] } }',
        ),
    )
)
FITS += (
    FIT + "[fit]\n"
    'kappa = { form = "constant", start = "1 mS/cm", min = "0.1 mS/cm", max = "10 mS/cm", prior_sd = "0.1 mS/cm" }\n'
    'chi = { form = "constant", start = 1.0, min = 0.1, max = 10.0, prior_sd = 0.2 }\n',
    FIT + '[fit]\nprior = "set"\n',
    FIT
    + """data = ["c.csv", { file = "I.csv", error = "1 %", noise = "free", from = "0 s", to = "1 h", every = 2 }]
[nuisance.area]
experiments = ["1 cell"]
data = ["I.csv"]
start = "1 cm^2"
prior_sd = "0.1 cm^2"
min = "0.5 cm^2"
max = "2 cm^2"
[nuisance.shift]
role = "time_offset"
prior_sd = 10
[[points]]
kind = "conductivity"
file = "kappa.csv"
temperature = "90 degC"
frame = "mass"
basis = "molar"
reference = { c = "1 mol/L" }
error = "1 mS/cm"
label = "kappa"
noise = "free"
""",
    (ROOT / "cases" / "fit_example" / "tables.toml").read_text(encoding="utf-8"),
)
FITS += (
    """[[experiment]]
case = "mixed/cell.toml"
[[fit.number]]
name = "components.tau.EC"
start = 2.8
min = 1.0
max = 5.0
prior_sd = 0.2
spread = 0.3
""",
)
_NAMES = re.compile(
    r'"([\w./-]+\.(?:csv|txt|dat|toml|nc|npz|h5|data|xtc|dcd|tpr|pdb|gro|tif|lammpstrj|dump|xyz|cell|mpt|edf|ts))"'
)


def read_fit(path: Path) -> None:
    """A fit, and what only ``cellsim watch`` reads of it."""
    with suppress(InputError):
        read_targets(path, ())
    read_recipe(path)


def read_analyses(path: Path) -> None:
    """SPECIES.toml and the tables of all analyses."""
    file = read_species(path)
    for read in (read_estimate, read_shells, read_residence, read_activity, read_interface, read_mobility):
        with suppress(InputError):
            read(file)


READERS: dict[str, Callable[[Path], object]] = {
    "case": read_case,
    "set": load_electrolyte,
    "fit": read_fit,
    "species": read_analyses,
}
_MARKS = {
    "case": {"cell", "electrolyte", "step"},
    "set": {"name", "status", "range"},
    "fit": {"experiment"},
    "species": {"species", "temperature"},
}
"""Keys by which a file of each format is known."""
_ADDITIONS = {"case": CELL + SALT + REST, "fit": FIT, "species": SPECIES}
"""What a part of a file, as the pages show it, is added to."""


def shipped_files() -> Iterator[tuple[str, Path]]:
    """Format and path of every shipped file that has a schema."""
    for path in sorted([*(ROOT / "cases").rglob("*.toml"), *(ROOT / "cellsim" / "electrolyte").rglob("*.toml")]):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, marks in _MARKS.items():
            # A system file of the engine has species and a temperature, too, and a recipe of a pipeline has a cell.
            if marks <= set(data) and "system" not in data and (name == "species") == (path.name == "SPECIES.toml"):
                yield name, path
                break


def on_pages() -> Iterator[tuple[str, str]]:
    """Format and text of the examples in the documentation; a part is added to a whole file."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            try:
                keys = set(tomllib.loads(block))
            except ValueError:
                continue
            for name, marks in _MARKS.items():
                if marks <= keys:
                    yield name, block
                elif name in _ADDITIONS and keys:
                    with suppress(ValueError):
                        tomllib.loads(_ADDITIONS[name] + block)
                        yield name, _ADDITIONS[name] + block


def learn() -> dict[str, Format]:
    """Every format, as its readers ask for it."""
    formats = {name: Format(name) for name in FORMATS}
    for name, path in shipped_files():
        formats[name].learn(path, READERS[name])
    texts = [("case", text) for text in CASES] + [("fit", text) for text in FITS]
    texts += [("species", text) for text in (SPECIES + MOBILITY, OF_CP2K, TWO_OF_CP2K)] + list(on_pages())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for k, (name, text) in enumerate(texts):
            place = folder / str(k)
            place.mkdir()
            for file in _NAMES.findall(text):
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                (place / file).write_text(FILES.get(file, ""), encoding="utf-8")
            (place / "cell.toml").write_text(_ADDITIONS["case"], encoding="utf-8")
            (place / "example.toml").write_text(text, encoding="utf-8")
            with suppress(InputError):  # its data do not exist; its keys were asked for
                formats[name].learn(place / "example.toml", READERS[name])
    return formats


def main() -> None:
    """Write the schemas."""
    for name, learned in learn().items():
        shipped(name).write_text(as_text(learned.schema()), encoding="utf-8")


if __name__ == "__main__":
    main()
