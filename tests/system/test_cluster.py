"""mdcoeffs onsager by the address of a dask scheduler: the numbers of the serial run, a worker killed in the middle."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.base import InputError
from mdcoeffs.analysis import analyse_many
from mdcoeffs.cli import main
from mdcoeffs.inputs.species import read_species
from mdcoeffs.onsager import ANALYSIS, onsager_from_file
from mdcoeffs.synthetic.walkers import Solvent, particles, walk

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*:UserWarning"
)
OMEGA = [[1.0e-10, 0.3e-10], [0.3e-10, 1.6e-10]]


def write_replicas(folder, count, *, frames=400, seed=0):
    """A SPECIES.toml with positions of a synthetic walk in each replica."""
    lines = [f'temperature = "300 K"\ntitle = "walk {seed}"']
    roles = (("Li", "cation", 1, 7.0), ("X", "anion", -1, 280.0), ("S", "solvent", 0, 90.0))
    for name, role, z, _ in roles:
        lines.append(f'[species.{name}]\nrole = "{role}"\ncharge = {z}')
    masses = np.array([mass for *_, mass in roles])
    for k in range(count):
        summed = walk(OMEGA, frames=frames, dt=1e-11, seed=100 * seed + k, n_salt=40, solvents=Solvent(60, 90.0))
        made = particles(summed, (4e-10, 5e-10, 5e-10), seed=k)
        labels = np.array([one[0] for one in roles])[made.species]
        np.savez(
            folder / f"r{k}.npz",
            time=made.displacements.time,
            positions=made.positions,
            labels=labels,
            masses=masses[made.species],
            volume=made.displacements.volume,
        )
        lines.append(f'[[replica]]\narrays = "r{k}.npz"')
    path = folder / "SPECIES.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def same(one, two):
    assert np.array_equal(one.matrix.samples, two.matrix.samples)
    assert np.array_equal(one.matrix.Omega, two.matrix.Omega)
    assert np.array_equal(one.correlations, two.correlations)
    assert np.array_equal(one.self_part.msd, two.self_part.msd)
    assert one.inputs == two.inputs
    assert one.notes == two.notes


@pytest.mark.slow  # processes that are started and killed
def test_the_cluster_gives_the_serial_numbers_though_a_worker_is_killed(tmp_path):
    from distributed import Client, LocalCluster

    files = []
    for k in range(2):
        (tmp_path / f"c{k}").mkdir()
        files.append(read_species(write_replicas(tmp_path / f"c{k}", 4, seed=k)))
    serial = [onsager_from_file(one, folder=tmp_path) for one in files]
    killed = []

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True, silence_logs=50
    ) as cluster:
        with Client(cluster) as watcher:
            pids = watcher.run(os.getpid)

            def kill():
                deadline = time.monotonic() + 30
                while not killed and time.monotonic() < deadline:
                    for worker, tasks in watcher.processing().items():
                        if tasks and worker in pids:
                            os.kill(pids[worker], signal.SIGKILL)
                            killed.append(worker)
                            return

            thread = threading.Thread(target=kill)
            thread.start()
            told = []
            found = dict(analyse_many(ANALYSIS, files, cluster.scheduler_address, progress=lambda *at: told.append(at)))
            thread.join()
        assert killed, "no task was ever under way"
        assert told[-1] == (8, 8)
        for number, one in enumerate(serial):
            same(one, found[number])
        out = CliRunner().invoke(
            main, ["onsager", str(files[0].path), "-o", str(tmp_path / "out"), "--scheduler", cluster.scheduler_address]
        )
        assert out.exit_code == 0, out.output
        assert "kappa" in out.output and (tmp_path / "out" / "onsager.nc").is_file()
        bad = np.load(files[1].replicas[2].arrays)
        np.savez(files[1].replicas[2].arrays, **{**bad, "positions": bad["positions"] * np.nan})
        with pytest.raises(InputError, match=r"r2\.npz"):
            list(analyse_many(ANALYSIS, files, cluster.scheduler_address))


def test_no_scheduler_there(tmp_path, monkeypatch):
    monkeypatch.setattr("cellsim.workers.CONNECT", 0.5)
    file = read_species(write_replicas(tmp_path, 1))
    with pytest.raises(InputError, match="no dask scheduler answers"):
        list(analyse_many(ANALYSIS, [file], "tcp://127.0.0.1:1"))
    with pytest.raises(InputError, match="no dask scheduler answers"):
        list(analyse_many(ANALYSIS, [file], "nonsense"))
