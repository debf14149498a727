"""Makes the SYNTHETIC records of this folder: one cell of the set steinruck2020_rs through four experiments.

    python cases/analyse_example/make_data.py

0.5 mm, 1.13 cm^2, 1 mol/L, 90 degC, 20 ohm cm^2 at each electrode; noise from seed 20261129. True: kappa = 0.1515 S/m,
D = 1.4e-11 m^2/s, rho+ = 0.1347, dU/dln m = 71.64 mV, t+0 = 0.2, chi = 1.431, i_L = 7.439 A/m^2.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cellsim.cell.protocol import Protocol, hold_current, hold_voltage, ramp, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.laboratory import bench_of
from cellsim.model.small_signals import impedance

HERE = Path(__file__).parent
AREA = 1.13e-4


def write(name: str, head: str, *columns: np.ndarray) -> None:
    rows = [",".join(f"{x:.7g}" for x in row) for row in zip(*columns, strict=True)]
    (HERE / name).write_text("\n".join(["# SYNTHETIC, make_data.py", head, *rows]) + "\n", encoding="utf-8")


def main() -> None:
    random = np.random.default_rng(20261129)
    on = bench_of(load_set("steinruck2020_rs"), 1000.0, thickness=5e-4, resistance=2e-3)
    time = on.diffusion_time
    # 0.01 V of current for a while, then open circuit; the electrodes have a bias of 0.1 mV
    begin = 0.4 * time
    run = on.run(
        Protocol((hold_current(0.01 / on.total_resistance, begin), rest(0.7 * time))),
        np.concatenate([np.linspace(0, begin, 60), begin + np.linspace(0, 0.7 * time, 341)[1:]]),
    )
    V = run["V"] + 1e-4 + 5e-6 * random.standard_normal(run["time"].size)
    write("rest.csv", "time (s),Ewe (V),I (mA)", run["time"], V, 1e3 * AREA * run["i"])
    # 10 mV held
    end = 0.8 * time
    t = np.unique(np.concatenate([np.geomspace(0.05, 0.01 * end, 60), np.linspace(0.01 * end, end, 300)]))
    run = on.run(Protocol((hold_voltage(0.01, end),)), np.concatenate([[0.0], t]))
    i = run["i"][1:] * (1 + 1e-3 * random.standard_normal(t.size))
    write("hold.csv", "time (s),Ewe (V),I (mA)", t, np.full(t.size, 0.01), 1e3 * AREA * i)
    # a spectrum before that, one depressed arc of the interfaces
    omega = 2 * np.pi * np.geomspace(1e6, 5e-6, 72)
    Z = impedance(replace(on.layer, resistance=0.0), omega) + on.layer.resistance / (1 + (2e-4j * omega) ** 0.9)
    Z = Z / AREA * (1 + 2e-3 * (random.standard_normal(72) + 1j * random.standard_normal(72)))
    write("spectrum.csv", "freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", omega / (2 * np.pi), Z.real, -Z.imag)
    # concentration cells
    c = on.c * np.geomspace(0.75, 4 / 3, 9)
    U = on.transport.concentration_voltage(c, np.full(9, on.c)) + 3e-5 * random.standard_normal(9)
    write("cells.csv", "c (mol/L),U (mV)", c / 1e3, 1e3 * U)
    # a sweep of the voltage to the limiting current in 45 h, 80 relaxation times, and a noise of 0.2 % of it
    end = 9 * time
    run = on.run(Protocol((ramp("voltage", 0.0, 0.45, 0.45 / end),)), np.linspace(0, end, 301))
    i = run["i"] + 2e-3 * run["i"].max() * random.standard_normal(run["time"].size)
    write("sweep.csv", "time (s),Ewe (V),I (mA)", run["time"], run["V"], 1e3 * AREA * i)


if __name__ == "__main__":
    main()
