"""Every kind of file that the commands read: a small good one, what is asked of it, and how it is damaged."""

import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from child import WRONG, run_command
from mutation import (
    damaged_bytes,
    damaged_hdf5,
    damaged_json,
    damaged_npz,
    damaged_text,
    lost_bytes,
    lost_lines,
)

ROOT = Path(__file__).parents[2]
CASE = """title = "toy"
[cell]
thickness = "1 mm"
area = "1 cm^2"
temperature = "298.15 K"
[electrolyte]
transport = "set.toml"
salt = { c = "10 mol/m^3" }
[electrodes.positive]
resistance = "20 ohm cm^2"
[[step]]
hold = "voltage"
value = "10 mV"
duration = "2 h"
[output]
interval = "10 min"
[[measured]]
file = "profiles.csv"
kind = "profile"
"""
SPECIES = """temperature = "300 K"
{source}
[species.Li]
selection = "type 1"
charge = 1
role = "cation"
molecule = "atom"
{count}
[species.X]
selection = "type 2"
charge = -1
role = "anion"
molecule = "atom"
{count}
[species.S]
selection = "type 3"
role = "solvent"
molecule = "atom"
{count}
"""
UNITS = 'units = {position = "angstrom", time = "ps"}'
EDGE, N, FRAMES = 16.0, 12, 60
WARM = ("mdcoeffs.onsager", "mdcoeffs.frames.trajectory", "mdcoeffs.cli", "mdcoeffs.chain.pipeline_file", "cellsim.cli")
WARM += ("cellsim.fit.recipe", "cellsim.fit.design", "mdcoeffs.md.system", "h5netcdf", "matplotlib.pyplot")
ENDINGS = ("xtc", "trr", "dcd", "nc", "dump", "xyz", "pdb", "h5md")
TEXTS = ("dump", "xyz", "pdb")


@dataclass(frozen=True)
class Kind:
    """A file to damage, and what is then called; `ask` gets the folder and returns an exit code."""

    name: str
    file: str
    damage: object
    ask: object

    def outcome(self, seeds, folder, rng):
        """What to call in a child: the good files, one of them damaged, and the question."""
        shutil.copytree(seeds / self.name.split(":")[0], folder, dirs_exist_ok=True)
        path = folder / self.file
        path.write_bytes(self.damage(path.read_bytes(), rng))
        return lambda: self.ask(folder)


def cellsim(*arguments):
    """A command of cellsim in the folder."""

    def ask(folder):
        from cellsim.cli import main

        return run_command(main, [each.format(folder) for each in arguments])

    return ask


def mdcoeffs(*arguments):
    """A command of mdcoeffs in the folder."""

    def ask(folder):
        from mdcoeffs.cli import main

        return run_command(main, [each.format(folder) for each in arguments])

    return ask


def reader(call):
    """A reader as a command uses it: behind the door where errors become sentences."""

    def ask(folder):
        import click

        from cellsim.terminal import Commands

        group = Commands("main", commands={"read": click.Command("read", callback=lambda: call(folder))})
        return run_command(group, ["read"])

    return ask


# ---- questions ------------------------------------------------------------------------------------------------------


def _potentiostat(name):
    def call(folder):
        from cellsim.instruments.potentiostat import read_potentiostat

        read_potentiostat(folder / name).current_density(1e-4)

    return call


def _xpcs(name):
    def call(folder):
        from cellsim.instruments.xpcs.files import read_xpcs

        read_xpcs(folder / name)

    return call


def _intensity(name):
    def call(folder):
        from cellsim.instruments.xam_files import read_intensity

        read_intensity(folder / name)

    return call


def _kept_run(folder):
    from cellsim.run.folder import read_run, write_report

    case, solution = read_run(folder / "run")
    write_report(solution, folder, case, figures=[])


def _recipe(folder):
    from cellsim.fit.recipe import read_recipe

    read_recipe(folder / "fit.toml")


def _tables(folder):
    from cellsim.fit.recipe import read_recipe

    read_recipe(folder / "tables.toml")


def _design(folder):
    from cellsim.fit.design import read_design

    read_design(folder / "design.toml")


def _system(folder):
    from mdcoeffs.md.system import read_system

    read_system(folder / "short.toml")


def _pipeline(folder):
    from mdcoeffs.chain.pipeline_file import read_pipeline

    read_pipeline(folder / "pipeline.toml")


def _onsager(folder):
    from mdcoeffs.onsager.result import read_onsager

    read_onsager(folder)


def _motion(name):
    def call(folder):
        from mdcoeffs.inputs.species import read_species
        from mdcoeffs.onsager.motion import motion_of_replica

        motion_of_replica(read_species(folder / name), 0, self_part="ions", scratch=folder)

    return call


def _positions(name):
    """All frames of a trajectory that is taken are those that were written, the last ones perhaps missing."""

    def call(folder):
        from mdcoeffs.frames.stream import open_stream
        from mdcoeffs.inputs.species import read_species

        truth, wrong = np.load(folder / "truth.npy"), False
        for snapshot in open_stream(read_species(folder / name)).snapshots():  # a later frame may betray an earlier one
            there = snapshot.raw - truth[min(snapshot.number, FRAMES - 1)]
            wrong |= bool(np.abs(there - EDGE * np.rint(there / EDGE)).max() > 0.01)  # an XTC keeps 0.005
        if wrong:
            sys.exit(WRONG)

    return call


def _lines_of_no_frame(raw, rng):
    """Lines lost or added, but not as many as frames have: XYZ has neither times nor numbers that would tell."""
    while True:
        damaged = lost_lines(raw, rng)
        if (damaged.count(b"\n") - raw.count(b"\n")) % (N + 2):
            return damaged


def _stress(name):
    def call(folder):
        from mdcoeffs.onsager.viscosity import viscosity_of_tables

        viscosity_of_tables([folder / name], T=300.0, volume=3e-26, averaged=True)

    return call


def _record(folder):
    from mdcoeffs.md.record import read_record

    read_record(folder)


# ---- good files -----------------------------------------------------------------------------------------------------


def _other_programs(folder, wrapped):
    """A dump with unit style and times, the same in yaml, and a run of CP2K with its cell file."""
    for name, file in (("headed", "headed.dump"), ("yaml", "run.yaml")):
        text = SPECIES.format(source=f'topology = "top.data"\ntrajectory = "{file}"', count="")
        (folder / f"{name}.toml").write_text(text)
    source = 'topology = "top.data"\ntrajectory = "run-pos-1.xyz"\ncell = "run-1.cell"'
    (folder / "cp2k.toml").write_text(SPECIES.format(source=source, count=""))
    with (folder / "headed.dump").open("w") as dump, (folder / "run.yaml").open("w") as yaml:
        for t, frame in enumerate(wrapped):
            dump.write(("" if t else "ITEM: UNITS\nreal\n") + f"ITEM: TIME\n{100 * t}\nITEM: TIMESTEP\n{100 * t}\n")
            dump.write(f"ITEM: NUMBER OF ATOMS\n{N}\nITEM: BOX BOUNDS pp pp pp\n" + "0 16\n" * 3)
            dump.write("ITEM: ATOMS id type x y z\n")
            yaml.write(f"---\ncreator: LAMMPS\ntimestep: {100 * t}\nunits: real\ntime: {100 * t}\nnatoms: {N}\n")
            yaml.write("boundary: [ p, p, p, p, p, p, ]\nbox:\n" + "  - [ 0, 16 ]\n" * 3)
            yaml.write("keywords: [ id, type, x, y, z,  ]\ndata:\n")
            for k, (x, y, z) in enumerate(frame):
                dump.write(f"{k + 1} {k // 4 + 1} {x} {y} {z}\n")
                yaml.write(f"  - [ {k + 1}, {k // 4 + 1}, {x}, {y}, {z}, ]\n")
            yaml.write("...\n")
    with (folder / "run-pos-1.xyz").open("w") as xyz, (folder / "run-1.cell").open("w") as cell:
        units = " ".join(f"{v}{x} [Angstrom]" for v in "ABC" for x in "xyz")
        cell.write(f"# Step Time [fs] {units} Volume [Angstrom^3]\n")
        box = " ".join(f"{v:.10f}" for v in (np.eye(3) * EDGE).ravel())
        for t, frame in enumerate(wrapped):
            xyz.write(f"{N}\n i = {50 * t:8d}, time = {100.0 * t:12.3f}, E = {-1.5:20.10f}\n")
            xyz.writelines(f"A{k} {x} {y} {z}\n" for k, (x, y, z) in enumerate(frame))
            cell.write(f"{50 * t} {100.0 * t:.3f} {box} {EDGE**3:.10f}\n")


def make_seeds(root):
    """A folder of good files for every kind."""
    example = ROOT / "cases" / "fit_example"
    for name in ("case", "run"):
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "case.toml").write_text(CASE)
        shutil.copy(ROOT / "cellsim" / "electrolyte" / "library" / "dilute_ideal.toml", folder / "set.toml")
        rows = [f"{t},{x},{10 + 0.1 * t},0.1" for t in (0, 1, 2) for x in (0.2, 0.5, 0.8)]
        (folder / "profiles.csv").write_text("t (h),x (mm),c (mol/m^3),error (mol/m^3)\n" + "\n".join(rows) + "\n")
    from cellsim.run.case import load_case
    from cellsim.run.folder import predict, write_run

    case = load_case(root / "run" / "case.toml")
    write_run(root / "run" / "run", case, predict(case, solver="material"))
    shutil.copytree(example, root / "fit")
    shutil.copytree(ROOT / "cases" / "coarse_grained", root / "md", ignore=shutil.ignore_patterns("*.npz"))
    _laboratory(root / "lab")
    _trajectories(root / "traj")
    _results(root / "results")
    _stresses(root / "stress")
    for module in WARM:  # once here, and not in each of the processes that are forked from this one
        import_module(module)
    return root


def _laboratory(folder):
    folder.mkdir()
    for source in ("eclab/ca_point.mpt", "gamry/chronoa_point.dta"):
        shutil.copy(ROOT / "tests" / "data" / source, folder)
    t = np.arange(0.0, 50.0, 5.0)
    rows = "\n".join(f"{s};{1e-3 * np.exp(-s / 20):.6f};0.01" for s in t)
    (folder / "current.csv").write_text("time (s);I (mA);U (V)\n" + rows.replace(".", ",") + "\n")
    head = "[Summary]\nNovonix\n[Data]\nCycle Number,Run Time (h),Current (A),Potential (V)\n"
    (folder / "novonix.csv").write_text(head + "".join(f"1,{s / 3600:.6f},1e-3,{0.01 * s}\n" for s in t))
    g2 = 1 + 0.1 * np.exp(-np.outer(np.ones(2), np.geomspace(1e-3, 1, 8)))
    arrays = {
        "q": np.array([1e7, 2e7]),
        "azimuth": np.array([0.0, 1.0]),
        "tau": np.geomspace(1e-3, 1, 8),
        "g2": g2,
        "error": np.full(g2.shape, 1e-3),
        "time": np.array(3.0),
    }
    np.savez(folder / "curves.npz", **arrays)
    np.savez(folder / "map.npz", time=t, position=np.linspace(0, 1e-3, 6), intensity=np.full((t.size, 6), 1e4))
    import h5py

    with h5py.File(folder / "curves.h5", "w") as file:
        file["/exchange/norm-0-g2"], file["/exchange/norm-0-stderr"] = g2.T, arrays["error"].T
        file["/exchange/tau"] = np.arange(1.0, 9.0)[None]
        file["/measurement/instrument/detector/exposure_period"] = np.array([[0.1]])
        file["/xpcs/dqlist"], file["/xpcs/dphilist"] = np.array([[1e-3, 2e-3]]), np.array([[0.0, 90.0]])


def _trajectories(folder):
    import MDAnalysis as mda

    folder.mkdir()
    rng = np.random.default_rng(1)
    start = rng.integers(0, 16 * 64, size=(N, 3)) / 64
    path = start + np.rint(rng.normal(size=(FRAMES, N, 3)) * 64).cumsum(axis=0) / 64
    wrapped, kinds = path % EDGE, np.repeat(["Li", "X", "S"], 4)
    mass = np.repeat([7.0, 96.0, 18.0], 4)
    arrays = {
        "time": 0.1 * np.arange(FRAMES),
        "positions": wrapped,
        "labels": kinds,
        "masses": mass,
        "box": np.eye(3) * EDGE,
    }
    np.savez(folder / "run.npz", **arrays)
    sums = np.stack([(path - path[0])[:, kinds == kind].sum(1) for kind in ("Li", "X", "S")], axis=1)
    np.savez(folder / "sums.npz", time=arrays["time"], R=sums, volume=EDGE**3 * 1e-30)
    import h5py

    with h5py.File(folder / "run.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values.astype("S") if name == "labels" else values
    lines = ["LAMMPS data file", "", f"{N} atoms", "3 atom types", "", "0 16 xlo xhi", "0 16 ylo yhi", "0 16 zlo zhi"]
    lines += ["", "Masses", "", "1 7.0", "2 96.0", "3 18.0", "", "Atoms # full", ""]
    lines += [f"{k + 1} {k + 1} {k // 4 + 1} 0 {x} {y} {z}" for k, (x, y, z) in enumerate(wrapped[0])]
    (folder / "top.data").write_text("\n".join(lines) + "\n")
    universe = mda.Universe.empty(N, trajectory=True)
    for ending in ENDINGS:
        if ending in ("dump", "pdb"):
            continue
        options = {
            "dcd": {"dt": 0.1, "nsavc": 1, "istart": 0},
            "h5md": {"timeunit": "ps", "lengthunit": "Angstrom", "velocities": False, "forces": False},
        }.get(ending, {})
        with mda.Writer(str(folder / f"run.{ending}"), N, **options) as writer:
            for t in range(FRAMES):
                universe.atoms.positions = path[t] if ending == "xyz" else wrapped[t]
                universe.dimensions = [EDGE] * 3 + [90] * 3
                universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
                writer.write(universe.atoms)
    with (folder / "run.dump").open("w") as stream:
        for t in range(FRAMES):
            stream.write(f"ITEM: TIMESTEP\n{100 * t}\nITEM: NUMBER OF ATOMS\n{N}\nITEM: BOX BOUNDS pp pp pp\n")
            stream.write("0 16\n" * 3 + "ITEM: ATOMS id type x y z\n")
            stream.writelines(f"{k + 1} {k // 4 + 1} {x} {y} {z}\n" for k, (x, y, z) in enumerate(wrapped[t]))
    atom = "ATOM  {:5d}  {:<3s} {:>3s} A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00\n"
    with (folder / "run.pdb").open("w") as stream:
        for t in range(FRAMES):
            stream.write(f"MODEL     {t + 1:4d}\nCRYST1{EDGE:9.3f}{EDGE:9.3f}{EDGE:9.3f}  90.00  90.00  90.00 P 1\n")
            stream.writelines(
                atom.format(k + 1, *[kinds[k].upper()] * 2, k + 1, *place) for k, place in enumerate(wrapped[t])
            )
            stream.write("ENDMDL\n")
        stream.write("END\n")
    with (folder / "top.gro").open("w") as stream:
        stream.write(f"toy\n{N:5d}\n")
        for k, (x, y, z) in enumerate(wrapped[0] / 10):
            name = kinds[k].upper()
            stream.write(f"{k + 1:5d}{name:<5s}    C{k + 1:5d}{x:8.3f}{y:8.3f}{z:8.3f}\n")
        stream.write("   1.60000   1.60000   1.60000\n")
    np.save(folder / "truth.npy", wrapped)
    with (folder / "extended.xyz").open("w") as stream:
        for t in range(FRAMES):
            stream.write(f'{N}\nLattice="{EDGE} 0 0 0 {EDGE} 0 0 0 {EDGE}" Properties=species:S:1:pos:R:3 step={t}\n')
            stream.writelines(f"{kinds[k]} {x} {y} {z}\n" for k, (x, y, z) in enumerate(wrapped[t]))
    source = 'topology = "top.data"\ntrajectory = "extended.xyz"\nframe_interval = "0.1 ps"'
    (folder / "extended.toml").write_text(SPECIES.format(source=source, count=""))
    atoms = [f"{k + 1} {k // 4 + 1} 0 {x} {y} {z}" for k, (x, y, z) in enumerate(wrapped[0])]
    with (folder / "XDATCAR").open("w") as stream:
        stream.write(f"toy\n1.0\n{EDGE} 0 0\n0 {EDGE} 0\n0 0 {EDGE}\nLi Cl O\n4 4 4\n")
        for t in range(FRAMES):
            stream.write(f"Direct configuration= {t + 1}\n")
            stream.writelines(f"{x} {y} {z}\n" for x, y, z in wrapped[t] / EDGE)
    source = 'topology = "XDATCAR"\ntrajectory = "XDATCAR"\nframe_interval = "0.1 ps"'
    text = SPECIES.format(source=source, count="")
    for number, name in enumerate(("Li", "Cl", "O"), 1):
        text = text.replace(f"type {number}", f"element {name}")
    (folder / "xdatcar.toml").write_text(text)
    head = [line.replace("# full", "# charge") for line in lines[:-N]]
    (folder / "charge.data").write_text("\n".join([*head, *atoms]) + "\n")
    source = 'topology = "charge.data"\ntrajectory = "run.xtc"'
    (folder / "charge.toml").write_text(SPECIES.format(source=source, count=""))
    _other_programs(folder, wrapped)
    for name in ("npz", "h5"):
        (folder / f"{name}.toml").write_text(SPECIES.format(source=f'arrays = "run.{name}"\n{UNITS}', count=""))
    (folder / "sums.toml").write_text(
        SPECIES.format(source=f'arrays = "sums.npz"\n{UNITS}', count='count = 4\nmass = "50 g/mol"')
    )
    for ending in ENDINGS:
        more = {"dump": '\ntimestep = "1 fs"', "dcd": '\nframe_interval = "0.1 ps"'}.get(ending, "")
        more += '\ntrajectory_format = "NCDF"' if ending == "nc" else ""
        more += '\nframe_interval = "0.1 ps"' if ending == "pdb" else ""
        if ending == "xyz":
            more = f'\nframe_interval = "0.1 ps"\nvolume = "{EDGE**3} angstrom^3"\ncoordinates = "unwrapped"'
        source = f'topology = "top.data"\ntrajectory = "run.{ending}"{more}'
        (folder / f"{ending}.toml").write_text(SPECIES.format(source=source, count=""))
    text = SPECIES.format(source='topology = "top.gro"\ntrajectory = "run.xtc"', count="")
    for number, name in enumerate(("LI", "X", "S"), 1):
        text = text.replace(f"type {number}", f"resname {name}")
    (folder / "gro.toml").write_text(text)


def _stresses(folder):
    """Tables of a stress that forgets itself from row to row."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows = np.column_stack([0.1 * np.arange(200), rng.normal(0, 100, (200, 6))])
    names = ("xx", "yy", "zz", "xy", "xz", "yz")
    head = ",".join(["t (ps)", *(f"P{name} (bar)" for name in names)])
    np.savetxt(folder / "stress.csv", rows, "%.3f", ",", header=head, comments="")
    legends = [f'@ s{k} legend "Pres-{name.upper()}"' for k, name in enumerate(names)]
    head = "\n".join(["# gmx energy", '@    xaxis  label "Time (ps)"', '@    yaxis  label "(bar)"', *legends])
    np.savetxt(folder / "stress.xvg", rows, "%.3f", header=head, comments="")
    tensor = rng.normal(0, 1e7, (200, 3, 3))
    np.savez(folder / "stress.npz", time=1e-13 * np.arange(200), stress=tensor + np.swapaxes(tensor, 1, 2))


def _results(folder):
    import json

    from cellsim.electrolyte.onsager import OnsagerMatrix
    from cellsim.files.writing import write_netcdf

    folder.mkdir()
    import xarray as xr

    matrix = OnsagerMatrix(np.array([[5e-11, 1e-11], [1e-11, 7e-11]]), (1, -1), (1, 1), 1000.0, 300.0, "barycentric")
    data = xr.Dataset(
        {"Omega": (("a", "b"), matrix.Omega), "covariance": (("d", "e"), np.eye(3) * 1e-24)},
        attrs={"z": [1.0, -1.0], "nu": [1.0, 1.0], "c": 1000.0, "T": 300.0, "frame": "barycentric"},
    )
    write_netcdf(folder / "onsager.nc", data)
    record = {"frames": 10, "temperature": 300.0, "temperature_error": 1.0, "potential_energy": -1.0, "momentum": 1e-9}
    record |= {"steps_per_second": 10.0, "platform": "CPU", "digest": "x" * 64}
    (folder / "run.json").write_text(json.dumps(record))


KINDS = (
    Kind("case", "case.toml", damaged_text, cellsim("check", "{}/case.toml")),
    Kind("case:plan", "case.toml", damaged_text, cellsim("plan", "{}/case.toml")),
    Kind("case:set", "set.toml", damaged_text, cellsim("sets", "{}/set.toml")),
    Kind("case:bytes", "case.toml", damaged_bytes, cellsim("check", "{}/case.toml")),
    Kind("case:data", "profiles.csv", damaged_text, cellsim("check", "{}/case.toml")),
    Kind("run:solution", "run/solution.nc", damaged_hdf5, cellsim("export", "{}/run", "--csv", "-o", "{}/csv")),
    Kind("run:report", "run/solution.nc", damaged_hdf5, reader(_kept_run)),
    Kind("run:summary", "run/summary.json", damaged_json, reader(_kept_run)),
    Kind("fit", "fit.toml", damaged_text, reader(_recipe)),
    Kind("fit:cell", "cell.toml", damaged_text, reader(_recipe)),
    Kind("fit:data", "profiles.csv", damaged_text, reader(_recipe)),
    Kind("fit:design", "design.toml", damaged_text, reader(_design)),
    Kind("lab:mpt", "ca_point.mpt", damaged_text, reader(_potentiostat("ca_point.mpt"))),
    Kind("lab:mptbytes", "ca_point.mpt", damaged_bytes, reader(_potentiostat("ca_point.mpt"))),
    Kind("lab:dta", "chronoa_point.dta", damaged_text, reader(_potentiostat("chronoa_point.dta"))),
    Kind("lab:csv", "current.csv", damaged_text, reader(_potentiostat("current.csv"))),
    Kind("lab:npz", "curves.npz", damaged_npz, reader(_xpcs("curves.npz"))),
    Kind("lab:h5", "curves.h5", damaged_hdf5, reader(_xpcs("curves.h5"))),
    Kind("lab:map", "map.npz", damaged_npz, reader(_intensity("map.npz"))),
    Kind("md:system", "short.toml", damaged_text, reader(_system)),
    Kind("md:pipeline", "pipeline.toml", damaged_text, reader(_pipeline)),
    Kind("results:onsager", "onsager.nc", damaged_hdf5, reader(_onsager)),
    Kind("results:record", "run.json", damaged_json, reader(_record)),
    Kind("traj:species", "npz.toml", damaged_text, reader(_motion("npz.toml"))),
    Kind("traj:npz", "run.npz", damaged_npz, reader(_motion("npz.toml"))),
    Kind("traj:sums", "sums.npz", damaged_npz, reader(_motion("sums.toml"))),
    Kind("traj:h5", "run.h5", damaged_hdf5, reader(_motion("h5.toml"))),
    Kind("traj:topology", "top.data", damaged_text, reader(_motion("xtc.toml"))),
    Kind("traj:command", "run.xtc", damaged_bytes, mdcoeffs("onsager", "{}/xtc.toml", "-o", "{}/out")),
    *(
        Kind(
            f"traj:{ending}",
            f"run.{ending}",
            damaged_text if ending in TEXTS else damaged_hdf5 if ending == "h5md" else damaged_bytes,
            reader(_motion(f"{ending}.toml")),
        )
        for ending in ENDINGS
    ),
    Kind("traj:gro", "top.gro", damaged_text, reader(_motion("gro.toml"))),
    Kind("traj:pdbbytes", "run.pdb", damaged_bytes, reader(_motion("pdb.toml"))),
    Kind("fit:tables", "tables.toml", damaged_text, reader(_tables)),
    Kind("fit:points", "tables.csv", damaged_text, reader(_tables)),
    Kind("lab:export", "novonix.csv", damaged_text, reader(_potentiostat("novonix.csv"))),
    Kind("stress:csv", "stress.csv", damaged_text, reader(_stress("stress.csv"))),
    Kind("stress:xvg", "stress.xvg", damaged_text, reader(_stress("stress.xvg"))),
    Kind("stress:npz", "stress.npz", damaged_npz, reader(_stress("stress.npz"))),
    Kind("traj:extended", "extended.xyz", damaged_text, reader(_motion("extended.toml"))),
    Kind("traj:xdatcar", "XDATCAR", damaged_text, reader(_motion("xdatcar.toml"))),
    Kind("traj:charge", "charge.data", damaged_text, reader(_motion("charge.toml"))),
    Kind("traj:headed", "headed.dump", damaged_text, reader(_motion("headed.toml"))),
    Kind("traj:yaml", "run.yaml", damaged_text, reader(_motion("yaml.toml"))),
    Kind("traj:cp2k", "run-pos-1.xyz", damaged_text, reader(_motion("cp2k.toml"))),
    Kind("traj:cell", "run-1.cell", damaged_text, reader(_motion("cp2k.toml"))),
)
SHIFTED = (
    *(
        Kind(
            f"traj:{ending}",
            f"run.{ending}",
            _lines_of_no_frame if ending == "xyz" else lost_lines if ending in TEXTS else lost_bytes,
            reader(_positions(f"{ending}.toml")),
        )
        for ending in (*ENDINGS, "npz", "h5")
    ),
    Kind("traj:xdatcar", "XDATCAR", lost_lines, reader(_positions("xdatcar.toml"))),
    Kind("traj:headed", "headed.dump", lost_lines, reader(_positions("headed.toml"))),
    Kind("traj:yaml", "run.yaml", lost_lines, reader(_positions("yaml.toml"))),
    Kind("traj:cp2k", "run-pos-1.xyz", lost_lines, reader(_positions("cp2k.toml"))),
)
"""Trajectories from which bytes or lines were lost, or to which some were added: none may be read as something else."""
