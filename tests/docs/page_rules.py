"""What the pages presuppose, who reads their TOML, and the lines that are not run as printed, each with its reason."""

from __future__ import annotations

import math
import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import page_cluster
from page_blocks import ROOT, Block, blocks_of
from page_files import Molecules, series_hdf, species_toml, walkers
from page_runner import Rules, call, compare

from cellsim.base import R
from cellsim.electrolyte.set_covariance import write_draws
from cellsim.electrolyte.set_file import load_set, parse_set, read_set
from cellsim.files.schema import parse_toml
from cellsim.fit.recipe import read_recipe
from cellsim.instruments.data import read_measurements
from cellsim.instruments.xpcs.files import read_xpcs, write_npz
from cellsim.instruments.xpcs.series import read_list
from cellsim.run.axes import read_sweep
from cellsim.run.case import load_case
from cellsim.run.mixture import read_case
from mdcoeffs.activity import read_activity
from mdcoeffs.chain.pipeline_file import read_pipeline
from mdcoeffs.chain.to_mixture import KEYS as MIXTURE_KEYS
from mdcoeffs.chain.to_mixture import is_mixture_recipe
from mdcoeffs.inputs.species import read_species
from mdcoeffs.interface.settings import read_interface
from mdcoeffs.interface.umbrella import read_umbrella
from mdcoeffs.md.system import read_system
from mdcoeffs.mobility.settings import read_mobility
from mdcoeffs.onsager import read_estimate
from mdcoeffs.residence.bonds import read_residence
from mdcoeffs.series.calibration import read_targets
from mdcoeffs.series.recipe import read_series
from mdcoeffs.structure.shells import read_shells
from mdcoeffs.synthetic.dynamics import stationary
from tests.toys.md_toys import box_result

# ---- what pages presuppose ----------------------------------------------------------------------------------------

LI, TFSI = Molecules("Li", "cation", 1, 24, ("Li",)), Molecules("TFSI", "anion", -1, 24, ("N", "S1", "S2", "O1"))
PEO = Molecules("PEO", "solvent", 0, 48, ("O", "C1", "C2"))
POLYMER = (LI, TFSI, PEO)
EC, DMC = (Molecules(name, "solvent", 0, 24, ("O1", "C1")) for name in ("EC", "DMC"))
CARBONATE = (LI, TFSI, EC, DMC)
CERAMIC = (
    Molecules("Li", "cation", 1, 200, ("Li",)),
    Molecules("TFSI", "anion", -1, 200, ("N", "S1")),
    Molecules("PEO", "solvent", 0, 50, ("O", "C")),
    Molecules("CER", "solvent", 0, 20, ("Zr", "La")),
)
SULFIDE = (LI, Molecules("PS4", "anion", -1, 24, ("P", "S1", "S2", "S3", "S4")))
CUTOFFS = '[structure.cutoffs]\nTFSI = "3 angstrom"\nPEO = "3 angstrom"'  # walkers have no shells to find
BOX = (26.0, 26.0, 26.0)


def first_block(found: list[Block], language: str, start: str) -> str:
    """Text of the first block of a page in that language that begins so."""
    return next(one.text for one in found if one.language == language and one.first.startswith(start))


def _polymer(folder: Path, found: list[Block]) -> None:
    walkers(folder, POLYMER, box=BOX, frames=200, dt=10.0)
    (folder / "SPECIES.toml").write_text(species_toml(POLYMER, more=CUTOFFS))


def _readme(folder: Path, found: list[Block]) -> None:
    _polymer(folder, found)
    recipe = first_block(blocks_of("docs/mdcoeffs.md"), "toml", 'title = "LiTFSI in PEO, from MD"')
    (folder / "SET.toml").write_text(re.sub(r"onsager = \[.*?\]", 'onsager = ["onsager"]', recipe))


def _mdcoeffs(folder: Path, found: list[Block]) -> None:
    """SPECIES.toml and SET.toml are the page's own blocks; three concentrations stand where SET.toml looks for them."""
    counts = (8, 8, 60)
    types = ((90,), (91, 92, 93, 94, 95), (1,))
    atoms = (("Li",), ("A", "B", "C", "D", "E"), ("O",))
    made = [replace(one, count=n, atoms=names) for one, n, names in zip(POLYMER, counts, atoms, strict=True)]
    walkers(folder, made, box=BOX, frames=300, dt=10.0, files=("run1.xtc", "run2.xtc"), types=types)
    (folder / "SPECIES.toml").write_text(first_block(found, "toml", 'title = "LiTFSI in PEO, r = 0.1"'))
    (folder / "SET.toml").write_text(first_block(found, "toml", 'title = "LiTFSI in PEO, from MD"'))
    _stress(folder)
    for k, name in enumerate(("r005", "r010", "r016")):
        where = folder / f"md_{name}"
        where.mkdir()
        some = [replace(one, count=6 + 2 * k if one.charge else 60) for one in POLYMER]
        walkers(where, some, box=BOX, frames=120, dt=10.0, seed=k)
        (where / "SPECIES.toml").write_text(species_toml(some))
        done(f"mdcoeffs onsager {where}/SPECIES.toml -o {folder / name}")


def _stress(folder: Path) -> None:
    """A table of a stress that forgets itself in 0.2 ps, a row every 0.05 ps."""
    t = 0.05 * np.arange(6001)
    stress = 500 * stationary(np.exp(-t / 0.2), (3,), np.random.default_rng(1))
    _table(folder / "stress.csv", "t (ps),Pxy (bar),Pxz (bar),Pyz (bar)", np.column_stack([t[:-1], stress.T]).tolist())


def _onsager(folder: Path, found: list[Block]) -> None:
    _stress(folder)
    for name, edge in (("small", 3e-9), ("large", 5e-9)):
        box_result(folder / name / "onsager", edge, len(name))


def done(command: str) -> str:
    """Run a command that must succeed; what it printed."""
    said, code = call(command.split())
    assert code == 0, f"$ {command}\nexit code {code}: {said}"
    return said


def _xpcs(folder: Path, found: list[Block]) -> None:
    series_hdf(folder / "series_017.hdf")
    for name in ("g2_0012.npz", "g2_0013.npz"):
        write_npz(read_xpcs(folder / "series_017.hdf"), folder / name)
    (folder / "beamtime.toml").write_text(first_block(found, "toml", 'title = "cell 3, 0.3 V"'))


def _sets(folder: Path, found: list[Block]) -> None:
    rows = [[r, (44.05 + r * 287.09) / (40.0 + 134.9 * r)] for r in (0.02, 0.06, 0.1, 0.2)]
    _table(folder / "densities.csv", "r,density (g/cm^3)", rows)


def _many_machines(folder: Path, found: list[Block]) -> None:
    page_cluster.cases(folder)


def _rivals(folder: Path, found: list[Block]) -> None:
    """A.toml and B.toml are the same cell with two sets, data.csv its synthetic profiles."""
    text = (ROOT / "cases/fit_example/cell.toml").read_text(encoding="utf-8")
    (folder / "A.toml").write_text(text, encoding="utf-8")
    (folder / "B.toml").write_text(text.replace('"steinruck2020_rs"', '"steinruck2020_pnb"'), encoding="utf-8")
    (folder / "data.csv").write_bytes((ROOT / "cases/fit_example/profiles.csv").read_bytes())
    # fit.toml takes in what appears in beamtime/today
    today = folder / "beamtime" / "today"
    today.mkdir(parents=True)
    (folder / "cell.toml").write_text(text, encoding="utf-8")
    fit = (ROOT / "cases/fit_example/fit.toml").read_text(encoding="utf-8")
    for name in ("current.csv", "profiles.csv"):
        fit = fit.replace(f'file = "{name}"', f'files = "{name}"')
        (today / name).write_bytes((ROOT / "cases/fit_example" / name).read_bytes())
    (folder / "fit.toml").write_text(fit, encoding="utf-8")


FILES: dict[str, Callable[[Path, list[Block]], None]] = {
    "README.md": _readme,
    "docs/activity.md": _polymer,
    "docs/fit.md": _rivals,
    "docs/interface.md": _polymer,
    "docs/mdcoeffs.md": _mdcoeffs,
    "docs/mobility.md": _polymer,
    "docs/onsager.md": _onsager,
    "docs/sets.md": _sets,
    "docs/structure.md": _polymer,
    "docs/many_machines.md": _many_machines,
    "docs/xpcs.md": _xpcs,
}


# ---- who reads the TOML -------------------------------------------------------------------------------------------


def _table(path: Path, header: str, rows: list[list[float]]) -> None:
    path.write_text("\n".join([header, *(",".join(f"{value:g}" for value in row) for row in rows)]) + "\n")


def _case(block: Block, folder: Path) -> None:
    _table(folder / "polarisation.csv", "t_h,U (V),I (mA)", [[0, 0.02, 0.02], [3, 0.02, 0.02], [6, 0.02, 0.02]])
    _table(folder / "profiles.csv", "x_mm,0,6000", [[0.1, 2400, 2600], [1.5, 2400, 2400], [2.9, 2400, 2200]])
    (folder / "case.toml").write_text(block.text)
    case = load_case(folder / "case.toml")
    assert len(case.protocol.steps) == 2 and len(case.measured) == 1
    assert "done" in done(f"cellsim run {folder}/case.toml -o {folder}/whole_case --solver sundials --no-figures")


def _protocol(block: Block, folder: Path) -> None:
    _table(folder / "staircase.csv", "t (s),i (A/m^2)", [[0, 1], [600, 1], [600, -1], [1200, 0], [1800, 0]])
    (folder / "protocol.toml").write_text(block.text)
    case = load_case(folder / "protocol.toml")
    assert len(case.protocol.steps) == 42 and case.protocol.steps[-1].duration == 1800
    assert "done" in done(f"cellsim run {folder}/protocol.toml -o {folder}/whole_protocol --no-figures")
    assert "steps 2, 4, ... 40 (20)" in done(f"cellsim plan {folder}/protocol.toml")


def _initial(block: Block, folder: Path) -> None:
    page = next(one.text for one in blocks_of("docs/schema.md") if one.first.startswith('title = "ramp, cycles'))
    head = page[: page.index("[[step]]")]
    step = '[[step]]\nhold = "rest"\nduration = "1 min"\n'
    (folder / "first.toml").write_text(head + step)
    assert "done" in done(f"cellsim run {folder}/first.toml -o {folder}/runs/first --no-figures")
    _table(folder / "start.csv", "x (mm),c (mol/L)", [[0.01, 1.6], [0.1, 1.5], [0.24, 1.4]])
    (folder / "initial.toml").write_text(head.replace("salt = { r = 0.1 }\n", "") + step + block.text)
    assert load_case(folder / "initial.toml").initial is not None


def _set(block: Block, folder: Path) -> None:
    (folder / "set.toml").write_text(block.text)
    assert load_set(folder / "set.toml").kappa(1000.0) > 0


def _covariance(block: Block, folder: Path) -> None:
    """A part of the set above it on the page."""
    (folder / "with_covariance.toml").write_text((folder / "set.toml").read_text() + block.text)
    stated = parse_set((folder / "with_covariance.toml").read_text()).covariance
    assert stated is not None
    numbers = np.array([1e-11, 0.2, 2.3])  # of the set above it
    draws = np.random.default_rng(1).multivariate_normal(numbers, stated.matrix, 1000, method="eigh")
    write_draws(folder / "my_set.draws.nc", stated.parameters, draws)
    found = read_set(folder / "with_covariance.toml").covariance
    assert found is not None and len(found.parameters) == 3 and found.draws is not None


def _kappa(block: Block, folder: Path) -> None:
    """In place of kappa in the shipped set the page begins with, over the range of the measured table."""
    text = (ROOT / "cellsim/electrolyte/library/steinruck2020_rs.toml").read_text(encoding="utf-8")
    text = re.sub(r"\n\[kappa\].*?(?=\n\[)", "\n" + block.text, text, flags=re.S)
    text = re.sub(r"(\[range\].*?\nmax = )[\d.]+", r"\g<1>0.16", text, flags=re.S)
    (folder / "my_set.toml").write_text(text.replace('name = "steinruck2020_rs"', 'name = "my_set"'))
    found = load_set(folder / "my_set.toml")
    assert abs(float(found.kappa(found.c_of(r=0.06))) - 0.176) < 1e-9  # S/m: the table's own point
    assert abs(float(found.kappa(found.c_of(r=0.01))) - 0.0565) < 1e-9  # proportional below the first: half of 0.113


def _sheet(block: Block, folder: Path) -> None:
    """Intensities as the sheet names them: a uniform scan before the polarisation, and one during it."""
    position = np.linspace(-1.2e-3, 1.2e-3, 9)  # from the centre
    np.savez(folder / "raster.npz", time=[-60.0, 6000.0], position=position, intensity=np.full((2, 9), 1e6))
    (folder / "sheet.toml").write_text(block.text)
    (profiles,) = read_measurements(folder / "sheet.toml", load_case("cases/steinruck2020/rs.toml").setup)
    assert profiles.label == "XAM, June" and np.ptp(profiles.value) < 1e-6  # mol/m^3: the scans are alike


def _sheet_of_species(block: Block, folder: Path) -> None:
    """The same of n components."""
    position = np.linspace(0.1e-3, 0.9e-3, 9)
    np.savez(folder / "raster.npz", time=[-60.0, 600.0], position=position, intensity=np.full((2, 9), 1e6))
    (folder / "sheet.toml").write_text(block.text)
    (profiles,) = read_measurements(folder / "sheet.toml", read_case("cases/mixed_solvent/segregation.toml").setup)
    assert "PF6 + 0.17" in profiles.quantity and np.ptp(profiles.value) < 1e-6


def _recipe(block: Block, folder: Path) -> None:
    where = folder / "cases/fit_example"
    _table(where / "U.csv", "r,U (V)", [[0.05, 0.02], [0.15, -0.02]])
    (where / "page.toml").write_text(block.text)
    read = read_recipe(where / "page.toml")
    assert len(read.cases) == 1 and len(read.problem.experiments) == 2, "the cell and its potentials"


def _cell_constant(block: Block, folder: Path) -> None:
    where = folder / "cases/fit_example"
    _table(where / "kappa.csv", "r,kappa (mS/cm)", [[0.05, 1.5], [0.15, 1.2]])
    tables = (where / "tables.toml").read_text(encoding="utf-8")
    points = '[[points]]\nfile = "kappa.csv"\nerror = "1 %"\n'
    (where / "page.toml").write_text(tables + points + block.text)
    problem = read_recipe(where / "page.toml").problem
    u = problem.space.start.copy()
    u[problem.space.index("cell_constant")] += 0.1
    ratio = problem.predictions(u)[-1] / problem.predictions(problem.space.start)[-1]
    np.testing.assert_allclose(ratio, np.exp(0.1), rtol=1e-12)


def _joint(block: Block, folder: Path) -> None:
    """Two cells: every file as its instrument writes it, uniform scans and a plateau, read and not fitted."""
    where = folder / "cases/joint"
    where.mkdir()
    cell = (ROOT / "cases/fit_example/cell.toml").read_text(encoding="utf-8")
    (where / "beam_line.toml").write_text(cell)
    hold = 'hold = "current"\nvalue = "0.1 mA/cm^2"'
    (where / "scanner.toml").write_text(cell.replace('hold = "voltage"\nvalue = "0.3 V"', hold))
    _table(where / "current.csv", "time (s),j (mA/cm^2)", [[600, 0.3], [6000, 0.25]])
    _table(where / "voltage.csv", "time (s),U (V)", [[600, 0.1], [6000, 0.15]])
    position = np.linspace(0.1e-3, 2.9e-3, 9)
    np.savez(where / "xam.npz", time=[-60.0, 6000.0], position=position, intensity=np.full((2, 9), 1e6))
    head = 'energy = "7.35 keV"\nsalt = "LiTFSI"\nsolvent = "EO"\npath_length = "1 mm"\ncounted = true\n'
    (where / "xam.toml").write_text('kind = "xam"\nfile = "xam.npz"\nlabel = "xam"\n' + head)
    series_hdf(where / "g2.hdf")
    series = '[[series]]\nfile = "g2.hdf"\nposition = "1 mm"\ntime = "2 h"\n'
    (where / "xpcs.toml").write_text('kind = "xpcs"\ntitle = "xpcs"\n' + series)
    z = 0.04 * np.arange(128)
    noise = np.random.default_rng(1).standard_normal((3, z.size))
    signal = np.where((z > 1) & (z < 4), 100.0, 0.0) + noise
    _table(where / "mri.csv", "z_mm,t0s,t600s,t6000s", np.column_stack([z, *signal]).tolist())
    (where / "mri.toml").write_text('kind = "mri"\nfile = "mri.csv"\nlabel = "mri"\npositive = "lower"\n')
    (where / "joint.toml").write_text(block.text)
    kinds = [[o.kind for o in e.observations] for e in read_recipe(where / "joint.toml").problem.experiments]
    assert kinds == [["current", "profile", "velocity"], ["voltage", "profile"]]


def _sweep(block: Block, folder: Path) -> None:
    where = folder / "cases/fit_example"
    (where / "sweep.toml").write_text(block.text)
    sweep = read_sweep(where / "sweep.toml")
    assert sweep.shape == (3, 7) and "60 degC" in sweep.top.text


def _windows(block: Block, folder: Path) -> None:
    """Umbrella windows of two places, in nm: read whole."""
    where = folder / "windows"
    where.mkdir()
    for centre in (22, 23):
        rows = "".join(f"{k} {0.1 * centre:.3f}\n" for k in range(200))
        (where / f"window_{centre}.xvg").write_text(f"# time and place\n{rows}")
    (where / "WINDOWS.toml").write_text(block.text)
    umbrella = read_umbrella(where / "WINDOWS.toml")
    assert [window.z.size for window in umbrella.windows] == [100, 100] and umbrella.well is not None
    assert np.allclose([window.z[0] for window in umbrella.windows], [22e-10, 23e-10])


def _family(block: Block, folder: Path) -> None:
    """States of a polymer whose trajectories are empty: read, not run."""
    where = folder / "family"
    for name, T in (("T340", 340), ("run1", 350), ("run2", 350)):
        (where / name).mkdir(parents=True)
        text = species_toml(POLYMER).replace('topology = "system.psf"\ntrajectory = "run.xtc"', 'arrays = "run.npz"')
        text = re.sub(r'temperature = ".*?"', f'temperature = "{T} K"', text)
        (where / name / "SPECIES.toml").write_text(text)
        (where / name / "run.npz").touch()
    for name, key in (("T380_onsager", "quantities"), ("T380_structure", "partners")):
        (where / "runs" / name).mkdir(parents=True)
        (where / "runs" / name / "summary.json").write_text(f'{{"{key}": {{}}}}')
    (where / "kappa.csv").write_text("T (K),quantity,value,error,unit\n340,kappa,0.9,0.05,mS/cm\n")
    (where / "series.toml").write_text(block.text)
    recipe = read_series(where / "series.toml")
    assert [state.name for state in recipe.states] == ["T_340", "T_360", "warm"] and len(recipe.measured) == 1


def _series(block: Block, folder: Path) -> None:
    """Written by the page's own fixture, and used by its commands."""
    assert len(read_list([folder / "beamtime.toml"]).series) == 2


def _analysis(molecules: tuple[Molecules, ...], check: Callable[..., object], run: str = "", **how: object):
    """The reader of a table that stands in a SPECIES.toml; with `run`, the command is run with it too."""

    def read(block: Block, folder: Path) -> None:
        where = folder / "with_table"
        where.mkdir()
        text = species_toml(molecules, more=block.text)
        if run:
            walkers(where, molecules, **how)  # type: ignore[arg-type]
        else:
            text = text.replace('topology = "system.psf"\ntrajectory = "run.xtc"', 'arrays = "run.npz"')
            (where / "run.npz").touch()
        (where / "SPECIES.toml").write_text(text)
        check(read_species(where / "SPECIES.toml"))
        if run:
            done(f"{run} {where}/SPECIES.toml -o {where}/out")

    return read


def _both(file: object) -> None:
    shells, residence = read_shells(file), read_residence(file)  # type: ignore[arg-type]
    assert shells is not None and residence is not None


def _own_file(block: Block, folder: Path) -> None:
    """Written by the page's own fixture, and used by its commands."""
    assert block.text in ((folder / "SPECIES.toml").read_text(), (folder / "SET.toml").read_text())


def _units(block: Block, folder: Path) -> None:
    """A file in reduced units: with species it is one, and its times are those of the comments."""
    where = folder / "reduced"
    where.mkdir()
    (where / "run.gsd").touch()
    species = '[species.Li]\nselection = "type 1"\ncharge = 1\nrole = "cation"\n'
    (where / "SPECIES.toml").write_text(block.text + species)
    file = read_species(where / "SPECIES.toml")
    tau = 3.405e-10 * math.sqrt(39.948e-3 / 996.07)
    assert math.isclose(file.timestep or 0, 0.005 * tau) and math.isclose(file.temperature, 1.2 * 996.07 / R)


def _chain(block: Block, folder: Path) -> None:
    """The shipped file, which the page's commands analyse, under another title."""
    shipped = tomllib.loads((ROOT / "cases/analyse_example/chain.toml").read_text(encoding="utf-8"))
    assert tomllib.loads(block.text) == shipped | {"title": "PEO-LiTFSI, 1 mol/L"}


def _mixture_recipe(block: Block, folder: Path) -> None:
    top = parse_toml(block.text, "SET.toml")
    top.only(*MIXTURE_KEYS)
    assert is_mixture_recipe(top) and len(top.strings("onsager")) == len(top.strings("thermodynamics"))


TOML: dict[tuple[str, str], Callable[[Block, Path], object]] = {
    ("docs/schema.md", 'title = "PEO-LiTFSI, 0.3 V, 90 degC"'): _case,
    ("docs/schema.md", 'title = "ramp, cycles, staircase"'): _protocol,
    ("docs/schema.md", "[initial]"): _initial,
    ("docs/schema.md", 'name = "my_set"'): _set,
    ("docs/schema.md", "[covariance]"): _covariance,
    ("docs/sets.md", "[kappa]"): _kappa,
    ("docs/compare.md", 'kind = "xam"'): _sheet,
    ("docs/fit.md", 'title = "the title above the figures"'): _recipe,
    ("docs/fit.md", "[nuisance.cell_constant]"): _cell_constant,
    ("docs/fit.md", 'title = "two cells, one electrolyte"'): _joint,
    ("docs/sweep.md", 'case = "cell.toml"'): _sweep,
    ("docs/interface.md", 'title = "Li across LLZO | PEO"'): _windows,
    ("docs/series.md", 'title = "LiTFSI in PEO, r = 0.1"'): _family,
    ("docs/xpcs.md", 'title = "cell 3, 0.3 V"'): _series,
    ("docs/analyse.md", 'title = "PEO-LiTFSI, 1 mol/L"'): _chain,
    ("docs/mdcoeffs.md", 'title = "LiTFSI in PEO, r = 0.1"'): _own_file,
    ("docs/mdcoeffs.md", 'title = "LiTFSI in PEO, from MD"'): _own_file,
    ("docs/mdcoeffs.md", 'trajectory = "run.gsd"'): _units,
    ("docs/activity.md", "[activity]"): _analysis(
        POLYMER, read_activity, "mdcoeffs activity", box=BOX, frames=120, dt=10.0
    ),
    ("docs/mixtures.md", "[estimate]"): _analysis(
        CARBONATE, read_estimate, "mdcoeffs onsager", box=BOX, frames=120, dt=10.0
    ),
    ("docs/mixtures.md", 'title = "a salt in two solvents"'): _mixture_recipe,
    ("docs/mixtures.md", 'kind = "xam"'): _sheet_of_species,
    ("docs/structure.md", "[structure]"): _analysis(CARBONATE, _both),
    ("docs/interface.md", "[interface]"): _analysis(CERAMIC, read_interface),
    # 50 ns at the 0.5 ps that the paddle-wheel needs are 100 000 frames: read, not run
    ("docs/mobility.md", "[mobility]"): _analysis(SULFIDE, read_mobility),
}


# ---- blocks without a language ------------------------------------------------------------------------------------


def _misspelt(block: Block, folder: Path) -> None:
    text = Path("my_cell.toml").read_text()
    Path("my_cell.toml").write_text(text.replace("thickness", "thicknes", 1))
    said, code = call(["cellsim", "check", "my_cell.toml"])
    Path("my_cell.toml").write_text(text)
    assert code == 2
    compare(block.text, said, str(block))


def _rest(block: Block, folder: Path) -> None:
    where = "cases/analyse_example/rest.csv"
    said, code = call(["cellsim", "analyse", "relaxation", where, "--thickness", "0.500 ± 0.005 mm"])
    assert code == 0 and said.startswith(block.text.strip()), said


def _synopsis(block: Block, folder: Path) -> None:
    """Every option that is named is an option of the command."""
    words = block.text.split()
    said = done(f"{words[0]} {words[1]} --help")
    named = re.findall(r"(?<![\w-])--?[a-z][\w-]*", block.text)
    unknown = [option for option in named if not re.search(rf"(?<![\w-]){option}(?![\w-])", said)]
    assert named and not unknown, f"{block}\n{unknown} stand on the page and not in the help:\n{said}"


TEXT: dict[tuple[str, str], Callable[[Block, Path], object] | str] = {
    (
        "docs/many_machines.md",
        "export DASK_DISTRIBUTED__COMM__TLS__CA_FILE=ca.pem",
    ): "needs certificates of your own",
    (
        "docs/howto/plan.md",
        'error: my_cell.toml: cell.thicknes is not a key of [cell]; did you mean "thickness"?',
    ): _misspelt,
    (
        "docs/compare.md",
        "cellsim compare CASE DATA... [-o DIR] [--also CASE] [--leave-out X] [--window FROM TO] "
        "[--profile-at T] [--bands N] [--refit NAME]",
    ): _synopsis,
    ("docs/analyse.md", "Restricted diffusion: rest.csv"): _rest,
    (
        "docs/architecture.md",
        "cellsim                                                              mdcoeffs",
    ): "a drawing of the floors",
    (
        "docs/architecture.md",
        "case.toml --run.case--> Cell, TransportSet, Protocol, c0, measurements",
    ): "a drawing of how a run flows",
}


# ---- lines that are not run as printed ----------------------------------------------------------------------------


def _extra(found: re.Match[str], folder: Path) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    unknown = set((found["extra"] or "").split(",")) - set(wanted) - {""}
    assert not unknown, f"pyproject.toml has no extra {unknown}"


def _study(found: re.Match[str], folder: Path) -> None:
    """A coverage study of two systems: its table comes; exit code 1 says that two systems prove nothing."""
    said, code = call(f"{found[1]} --n 2{found[2]}".split())
    assert (
        code in (0, 1)
        and any(row in said for row in ("| all | ", "| plain | 2 | ", "| relaxation D | 2 | ", "2 beam times; "))
        and "Traceback" not in said
    ), said


def _collected(found: re.Match[str], folder: Path) -> None:
    """Hours of mutated files and kills: the tests that the line names are there."""
    said, code = call(shlex.split(f"python -m pytest --collect-only -q {ROOT / found['file']} -k {found['which']}"))
    assert code == 0 and "::" in said, said


def _tested(name: str, *calls: str) -> Callable[[re.Match[str], Path], None]:
    """A script whose work another test does: that test is there, and does it."""

    def check(found: re.Match[str], folder: Path) -> None:
        text = (ROOT / f"tests/validation/test_{name}.py").read_text(encoding="utf-8")
        assert all(one in text for one in calls), f"tests/validation/test_{name}.py no longer has {calls}"

    return check


def _family_read(found: re.Match[str], folder: Path) -> None:
    """The shipped family beside its trajectories: read with all settings of its analyses."""
    recipe = read_series("runs/walkers/series.toml")
    assert len(recipe.states) == 6 and len(recipe.analyses) == 4 and recipe.measured
    assert all(len(state.species.replicas) == 3 for state in recipe.states if state.species is not None)


def _wall_read(found: re.Match[str], folder: Path) -> None:
    """The slab at four temperatures: read with all settings of its analysis, and a temperature to predict for."""
    recipe = read_series("runs/wall/series.toml")
    assert [state.value for state in recipe.states] == [400.0, 500.0, 600.0, 700.0] and recipe.predict == (330.0,)
    assert all(len(state.settings["interface"].barriers) == 2 for state in recipe.states)


def _scalings_read(found: re.Match[str], folder: Path) -> None:
    """The walkers of five charge scalings and the values measured for them: read with all settings."""
    recipe, targets = read_series("runs/scaling/series.toml"), read_targets("runs/scaling/measured.csv")
    assert recipe.variable == "charge_scaling" and len(recipe.states) == 5
    assert [target.quantity for target in targets] == ["kappa", "rho_plus", "chi", "D_salt"]


def _two_solvents_read(found: re.Match[str], folder: Path) -> None:
    """The electrolyte of two solvents and the chain that begins with it: read with all settings."""
    file = read_pipeline("cases/coarse_grained/demixing.toml")
    assert file.mixture and file.system is not None and file.system.points[0].counts == (26, 26, 224, 224)


def _hidden_read(found: re.Match[str], folder: Path) -> None:
    """The simulations of a calibration and its experiments, which are simulations too: read with all settings."""
    where = Path("cases/coarse_grained")
    scaled, hidden = read_system(where / "charge_scaling.toml"), read_system(where / "hidden.toml")
    series = tomllib.loads((where / "calibrate.toml").read_text(encoding="utf-8"))
    states = {point.state: point.charge_scaling for point in scaled.points}
    named = {Path(state["species"]).parent.name: state["value"] for state in series["state"]}
    assert named == states and len({point.counts for point in (*scaled.points, *hidden.points)}) == 1
    assert not {point.digest for point in scaled.points} & {point.digest for point in hidden.points}
    for point in hidden.points:
        targets = read_targets(where / "hidden" / f"{point.state}.csv")
        assert [target.quantity for target in targets] == ["kappa", "rho_plus", "D_salt", "D_msd_M", "D_msd_X"]


LINES = (
    (r"python3 start\.py test", None, "the tests themselves; continuous integration begins with this line"),
    (r"python3 start\.py (.*)", r"cellsim \1", "the set-up is done: what it calls is run"),
    (r"pip install '?cellsim\[(?P<extra>\w+)\]'?", _extra, "no installation in a test: the extra exists"),
    (r"python -m pip install \"?\.(\[(?P<extra>[\w,]+)\])?\"?", _extra, "no installation in a test: the extras exist"),
    (r"(python benchmarks/\w+\.py.*?) --n \d+(.*)", _study, "hours: two systems, whose verdict means nothing"),
    (r"(python benchmarks/mdcoeffs_dask\.py).*", r"\1 --trajectories 2 --frames 100 --rounds 1", "minutes"),
    (
        r"(CELLSIM_\w+=\d+ )*python -m pytest -n0 (-s )?(?P<file>tests/fuzz/\w+\.py) -k (?P<which>\w+|\"[^\"]+\")",
        _collected,
        "hours: the tests named are there",
    ),
    (r"python validation/thienenkamp2022/run\.py", None, "five minutes; the line with --quick is the same script"),
    (
        r"python validation/thienenkamp2022/run\.py --quick",
        _tested("thienenkamp2022", ".main(folder, quick=True)"),
        "half a minute, and a slow test calls it already",
    ),
    (
        r"python validation/steinruck2020/synthetic_beamline\.py",
        _tested("compare_synthetic_steinruck2020", "synthetic.main("),
        "a minute, and a slow test calls it already",
    ),
    (
        r"python validation/steinruck2020/fit\.py",
        _tested("steinruck2020_fit", "study.recover(", "study.fit_constants(", "study.rivals("),
        "two to four minutes, and slow tests call its three parts already",
    ),
    (
        r"mdcoeffs (pipeline cases/coarse_grained/demixing|simulate cases/coarse_grained/two_solvents)\.toml.*",
        _two_solvents_read,
        "minutes: read whole; tests/system/test_pipeline_cli.py runs walkers in two solvents",
    ),
    (
        r"mdcoeffs (onsager|activity|to-set) runs/two/.*",
        None,
        "they need that run; the Python block has the same steps",
    ),
    (r"mdcoeffs simulate cases/coarse_grained/long\.toml.*", page_cluster.long_run, "hours: read whole, run briefly"),
    (
        r"(cellsim fit cases/fit_example/(?:fit|current_only|tables)\.toml\b[^#]*)(?:#.*)?",
        r"\1 --no-profiles",
        "minutes of profile likelihoods",
    ),
    (
        r"(cellsim watch [^#]*)(?:#.*)?",
        r'\1 --for "0 s"',
        "once: it would watch until Ctrl-C",
    ),
    (r"(python cases/series/walkers\.py runs/walkers)", r"\1 31", "31 frames for 601: they are read by no analysis"),
    (
        r"mdcoeffs series runs/walkers/series\.toml.*",
        _family_read,
        "a minute: read whole; tests/system/test_series_cli.py runs smaller families",
    ),
    (
        r"mdcoeffs calibrate c1\.toml c2\.toml.*",
        None,
        "two families: tests/system/test_series_cli.py runs them",
    ),
    (
        r"mdcoeffs umbrella WINDOWS\.toml.*",
        None,
        "pymbar is an extra: tests/unit/mdcoeffs/interface/test_umbrella.py runs the command where it is there",
    ),
    (r"(python cases/series/wall\.py runs/wall)", r"\1 31", "31 frames for 8000: they are read by no analysis"),
    (
        r"mdcoeffs series runs/wall/series\.toml.*",
        _wall_read,
        "a minute: read whole; tests/system/test_series_cli.py runs fewer frames",
    ),
    (
        r"(python cases/series/charge_scaling\.py runs/scaling)",
        r"\1 31",
        "31 frames for 1001: they are read by no analysis",
    ),
    (
        r"mdcoeffs calibrate runs/scaling/series\.toml.*",
        _scalings_read,
        "a minute: read whole; tests/system/test_series_cli.py runs a smaller family",
    ),
    (
        r"mdcoeffs (simulate|calibrate) cases/coarse_grained/(charge_scaling|hidden|calibrate)\.toml.*",
        _hidden_read,
        "an hour: all files are read whole",
    ),
    (r"python cases/coarse_grained/experiment\.py runs/hidden", _hidden_read, "needs an hour of simulations"),
    (r"dask (scheduler|worker .*)", page_cluster.start, "on a free port, two workers for sixteen"),
    (r"(.*) --scheduler tcp://HOST:8786", page_cluster.by_address, "the address of that scheduler"),
)

SLOW = (
    (
        ".*",
        r"(mdcoeffs|cellsim) (pipeline|simulate|fit|design|watch|series|calibrate)",
        "simulations and fits of 5 to 60 s",
    ),
    (".*", r"cellsim (run|compare) (?!.*--solver sundials)", "figures and a report, 3 to 10 s each"),
    (".*", r"(CELLSIM_\w+=\d+ )*python -m pytest -n0", "all tests are collected, ten seconds a line"),
    (".*", r"python3 start\.py run", "an environment of its own; the Python block of the README runs the same case"),
    ("docs/mdcoeffs.md", r"mdcoeffs (structure|residence|activity|interface|mobility|viscosity)", "each has its page"),
    ("docs/onsager.md", r"mdcoeffs (viscosity|sizes)", "figures, 3 s each"),
    ("cases/coarse_grained/README.md", r"mdcoeffs", "the fast test of docs/howto/md.md has the same"),
    (".*", r"python (cases|benchmarks|validation|docs/notebooks)/", "scripts of 5 s to half a minute"),
    ("docs/laboratory.md", r"cellsim lab (all|misuse)", "all experiments: 5 to 10 s"),
    ("docs/analyse.md", r"cellsim (analyse (impedance|fraction|chain)|sets)", "spectra: 3 to 5 s each"),
    ("docs/figures.md", r"cellsim plot", "needs the run"),
    ("docs/many_machines.md", r".*", "starts a scheduler and workers"),
    ("docs/mobility.md", r"mdcoeffs mobility runs/gates|import json", "needs the run"),
    ("docs/engine.md", r"mdcoeffs onsager runs/md", "needs the simulation"),
)

RULES = Rules(lines=LINES, slow=SLOW, toml=TOML, text=TEXT)
