"""Transference from what a current moves: amounts between compartments (Hittorf), or velocities in a field (eNMR)."""

from __future__ import annotations

import numpy as np

from cellsim.base import Array, F
from cellsim.cell.protocol import Protocol, hold_current
from cellsim.electrolyte.transport import TransportSet
from cellsim.laboratory import figures
from cellsim.laboratory.bench import Bench, MixtureBench
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.model.closed_forms import sand_time
from cellsim.model.mixture import sand_time as sand_time_of_species
from cellsim.solvers.solution import FRAMES, Solution

HITTORF = (
    "Newman & Balsara, Electrochemical Systems, 4th ed., ch. 12; "
    "Bruce, Hardgrave & Vincent, Solid State Ionics 53-56 (1992) 1087"
)
ENMR = (
    "Timachova, Newman & Balsara, J. Electrochem. Soc. 166 (2019) A264, doi:10.1149/2.0591902jes; "
    "volume frame: Kilchert et al. 2022, arXiv:2209.05769"
)


def amounts(solution: Solution, values: Array, walls: Array) -> Array:
    """What lies between walls, from cell averages at the last time.

    Parameters
    ----------
    solution : Solution
        The run.
    values : ndarray, shape (n,)
        Cell averages of a concentration [mol/m^3].
    walls : ndarray, shape (k,)
        Positions from the positive electrode [m].

    Returns
    -------
    ndarray, shape (k - 1,)
        [mol/m^2]
    """
    faces = solution["position_face"][-1]
    total = np.concatenate([[0.0], np.cumsum(values * np.diff(faces))])
    return np.asarray(np.diff(np.interp(walls, faces, total)))


def hittorf(bench: Bench, *, duration: float = 0.004, change: float = 0.2) -> Record:
    """A current through three equal compartments; salt and solvent of the outer ones are weighed afterwards.

    Parameters
    ----------
    bench : Bench
        The cell; its thirds are the compartments.
    duration : float
        In L^2/D [1].
    change : float
        Change of concentration at the electrodes that sets the current [1].

    Returns
    -------
    Record
        t+ from the salt per mass of solvent (t+0), and from the salt in a fixed volume (t+V).
    """
    transport, layer, c = bench.transport, bench.layer, bench.c
    time = duration * bench.diffusion_time
    i = float(change * c / (2 * abs(layer.migration)) / np.sqrt(time / (np.pi * layer.D)))
    solution = bench.run(Protocol((hold_current(i, time),)), np.linspace(0, time, 21))
    walls = np.array([0.0, 1 / 3, 2 / 3, 1.0]) * bench.thickness
    after = solution["c"][-1]
    width = np.diff(walls)
    salt = amounts(solution, after, walls) - c * width
    still = transport.solvent_motion == "none"
    solvent = np.zeros(3) if still else amounts(solution, transport.c_0(after), walls) - transport.c_0(c) * width
    excess = salt - float(transport.r(c)) * solvent  # salt beyond what the solvent there brought with it
    charge = i * time / transport.charge_per_salt
    t_solvent, t_volume = 1 + excess[-1] / charge, 1 + salt[-1] / charge
    true_volume = 1 - layer.phi_0 * (1 - layer.t_plus)
    centre = 0.5 * (solution["position_face"][-1][1:] + solution["position_face"][-1][:-1])
    middle = (centre > walls[1]) & (centre < walls[2])  # its total tells nothing: as much leaves it as enters
    reached = float(np.max(np.abs(after[middle] - c)) / np.max(np.abs(solution["c_face"][-1] - c)))
    checks = (
        Check("change of c within the middle compartment per change at the electrodes", reached, 0.01),
        Check("anode and cathode compartment disagree by", float(abs(salt[0] + salt[-1]) / abs(salt[-1])), 0.01),
    )
    volume = Check("volume fraction of the salt, not allowed for", 1 - layer.phi_0, 0.01)
    return Record(
        bench,
        "hittorf",
        "Hittorf",
        "the middle compartment keeps its composition",
        HITTORF,
        (
            Reading(
                "t_plus", "1", layer.t_plus, float(t_solvent), 0.0, "salt per mass of solvent, cathode side", checks
            ),
            Reading("t_plus_V", "1", true_volume, float(t_volume), 0.0, "salt in the compartment's volume", checks),
            Reading("t_plus", "1", layer.t_plus, float(t_volume), 0.0, "the same, taken for t+0", (*checks, volume)),
        ),
        {
            "x": centre,
            "c": after,
            "walls": walls,
            "salt": salt,
            "excess": excess,
        },
        {"duration": time, "current": i, "charge": i * time},
        panels=(figures.compartments, figures.carried),
    )


def transference(transport: TransportSet, v_plus: float, v_minus: float) -> float:
    """Share of the current that the cations carry at these velocities, z+ nu+ v+/(z+ nu+ v+ + z- nu- v-).

    Parameters
    ----------
    transport : TransportSet
        The salt.
    v_plus, v_minus : float
        Velocities in one frame [m/s].

    Returns
    -------
    float
        Transference number in that frame [1].
    """
    plus = transport.z_plus * transport.nu_plus * v_plus
    return plus / (plus + transport.z_minus * transport.nu_minus * v_minus)


def electrophoretic_nmr(bench: Bench, *, field: float = 2000.0, longest: float = 0.05) -> Record:
    """A field across the uniform solution for a moment; velocities of cation, anion and solvent in the middle.

    Parameters
    ----------
    bench : Bench
        The cell, closed at both ends: no volume flows through it.
    field : float
        [V/m]
    longest : float
        Duration; less where the electrodes would empty sooner than twenty times that [s].

    Returns
    -------
    Record
        t+ from the velocities as they are in the laboratory, and relative to the solvent.
    """
    transport, layer = bench.transport, bench.layer
    i = layer.kappa * field
    duration = min(longest, 0.05 * sand_time(layer, i))
    solution = bench.run(Protocol((hold_current(i, duration),)), np.linspace(0, duration, 11))
    lab = FRAMES.index("lab")
    middle = np.argmin(np.abs(solution["face"] - 0.5 * bench.thickness))
    true_v = [float(solution[name][lab, -1, middle]) for name in ("v_plus", "v_minus", "v_0")]
    noise = bench.noise.velocity
    v_plus, v_minus, v_0 = (v * (1 + noise * d) for v, d in zip(true_v, bench.noise.draw(5, 3), strict=True))
    t_lab = transference(transport, v_plus, v_minus)
    t_solvent = transference(transport, v_plus - v_0, v_minus - v_0)
    scale = (1 - t_solvent) / (v_minus - v_0), t_solvent / (v_plus - v_0)
    spread = [
        abs(t_solvent * (1 - t_solvent)) * noise * abs(v) / abs(r)
        for v, r in ((v_plus, v_plus - v_0), (v_minus, v_minus - v_0))
    ]
    solvent = abs(t_solvent * scale[0] - (1 - t_solvent) * scale[1]) * noise * abs(v_0)
    error = float(np.sqrt(spread[0] ** 2 + spread[1] ** 2 + solvent**2))
    error_lab = abs(t_lab * (1 - t_lab)) * noise * np.sqrt(2)
    t_volume = 1 - layer.phi_0 * (1 - layer.t_plus)
    reach = Check(
        "diffusion length at the electrodes, per distance to the middle",
        float(np.sqrt(layer.D * duration) / (0.5 * bench.thickness)),
        0.2,
    )
    drift = Check("solvent velocity per anion velocity", abs(true_v[2] / true_v[1]), 0.01)
    metal = Check(
        "motion of the electrodes per anion velocity", abs(float(solution["v_interface"][-1]) / true_v[1]), 0.01
    )
    return Record(
        bench,
        "electrophoretic_nmr",
        "Electrophoretic NMR",
        "the solution is still uniform where it is seen, and the frame is named",
        ENMR,
        (
            Reading("t_plus", "1", layer.t_plus, t_solvent, error, "velocities less the solvent's", (reach,)),
            Reading(
                "t_plus", "1", layer.t_plus, t_lab, float(error_lab), "lab velocities taken as they are", (reach, drift)
            ),
            Reading(
                "t_plus_V", "1", t_volume, t_lab, float(error_lab), "the same, called volume frame", (reach, metal)
            ),
        ),
        {
            "v": np.array([v_plus, v_minus, v_0]),
            "v_solvent": np.array([v_plus - v_0, v_minus - v_0, 0.0]),
            "x": solution["face"],
            "v_plus": solution["v_plus"][lab, -1],
            "v_minus": solution["v_minus"][lab, -1],
            "v_0": solution["v_0"][lab, -1],
            "error": noise * np.abs([v_plus, v_minus, v_0]),
        },
        {"field": field, "duration": duration, "current": i},
        panels=(figures.velocities, figures.frames),
    )


# ---- n components ----------------------------------------------------------------------------------------------------


def hittorf_of_species(bench: MixtureBench, *, duration: float = 0.004, change: float = 0.2) -> Record:
    """A current through three equal compartments of a cell of n components; every species is determined afterwards.

    Parameters
    ----------
    bench : MixtureBench
        The cell; its thirds are the compartments.
    duration : float
        In L^2/D of the fastest mode [1].
    change : float
        Change of the first component to be used up, at the electrodes, that sets the current [1].

    Returns
    -------
    Record
        The moles of each component carried per faraday: from its amount per reference solvent, and from its amount in a
        fixed volume.
    """
    transport, at = bench.transport, bench.transport.at(bench.r)
    time = duration * bench.thickness**2 / bench.layer.modes[-1]
    i = change * float(np.sqrt(sand_time_of_species(bench.cell, transport, bench.r, 1.0) / time))
    solution = bench.run(Protocol((hold_current(i, time),)), np.linspace(0, time, 21))
    walls = np.array([0.0, 1 / 3, 2 / 3, 1.0]) * bench.thickness
    filled = transport.concentrations(bench.r)
    gained = np.array([amounts(solution, c, walls) for c in solution["c"][:, -1]]) - filled[:, None] * np.diff(walls)
    volume = gained[1:-1]
    excess = volume - bench.r[:, None] * gained[-1]  # beyond what the reference solvent there brought with it
    faradays = i * time / F
    centre = 0.5 * (solution["position_face"][-1][1:] + solution["position_face"][-1][:-1])
    middle = (centre > walls[1]) & (centre < walls[2])
    r = solution["r"][:, -1] / bench.r[:, None] - 1
    reached = float(np.max(np.abs(r[:, middle])) / np.max(np.abs(r)))
    apart = float(np.max(np.abs(excess[:, 0] + excess[:, -1])) / np.max(np.abs(excess[:, -1])))
    checks = (
        Check("change within the middle compartment per change at the electrodes", reached, 0.01),
        Check("anode and cathode compartment disagree by", apart, 0.01),
    )
    readings = []
    for name, true, own, fixed in zip(transport.components, at.tau, excess[:, -1], volume[:, -1], strict=True):
        carried = Check("difference of the two counts, relative", abs(float(fixed / own) - 1), 0.01)
        how = f"{name} per mole of {transport.solvent}, cathode side"
        readings += [
            Reading(f"tau_{name}", "1", float(true), float(own / faradays), 0.0, how, checks),
            Reading(
                f"tau_{name}", "1", float(true), float(fixed / faradays), 0.0, "in a fixed volume", (*checks, carried)
            ),
        ]
    return Record(
        bench,
        "hittorf",
        "Hittorf",
        f"the middle compartment keeps its composition; amounts are counted per {transport.solvent}",
        HITTORF,
        tuple(readings),
        {"x": centre, "change": r, "walls": walls, "gained": volume / faradays, "excess": excess / faradays},
        {"duration": time, "current": i, "charge": i * time},
        panels=(figures.compartments_of_species, figures.carried_of_species),
    )


def electrophoretic_nmr_of_species(bench: MixtureBench, *, field: float = 200.0, reach: float = 0.1) -> Record:
    """A field across the uniform solution for a moment; velocities of all species in the middle.

    Parameters
    ----------
    bench : MixtureBench
        The cell, closed at both ends: no volume flows through it.
    field : float
        [V/m]
    reach : float
        How far diffusion from the electrodes gets in that time, per distance to the middle; less where the electrodes
        would empty sooner than twenty times that [1].

    Returns
    -------
    Record
        The moles of each component carried per faraday, c_k v_k/sum z c v, from velocities relative to the reference
        solvent and from those in the lab.
    """
    transport, layer = bench.transport, bench.layer
    at = transport.at(bench.r)
    i = layer.kappa * field
    longest = (0.5 * reach * bench.thickness) ** 2 / layer.modes[-1]
    duration = min(longest, 0.05 * sand_time_of_species(bench.cell, transport, bench.r, i))
    solution = bench.run(Protocol((hold_current(i, duration),)), np.linspace(0, duration, 11))
    middle = np.argmin(np.abs(solution["face"] - 0.5 * bench.thickness))
    exact = solution["v"][FRAMES.index("lab"), :, -1, middle]
    noise = bench.noise.velocity
    v = exact * (1 + noise * bench.noise.draw(5, exact.size))
    c, z = transport.concentrations(bench.r), np.array(transport.charges, dtype=float)

    def carried(velocity: Array) -> Array:
        return np.asarray((c * velocity)[1:-1] / np.sum(z * c * velocity))

    def errors(reference: bool) -> Array:
        """First-order propagation of the relative noise of every velocity."""
        slopes = []
        for k in range(v.size):
            step = 1e-4 * v * (np.arange(v.size) == k)
            ends = [w - w[-1] * reference for w in (v + step, v - step)]
            slopes.append((carried(ends[0]) - carried(ends[1])) / 2e-4)
        return np.asarray(noise * np.sqrt(np.sum(np.square(slopes), axis=0)))

    near = Check(
        "diffusion length at the electrodes, per distance to the middle",
        float(np.sqrt(layer.modes[-1] * duration) / (0.5 * bench.thickness)),
        0.2,
    )
    drift = Check(f"velocity of {transport.solvent} per largest velocity", abs(exact[-1]) / np.abs(exact).max(), 0.01)
    rows = zip(transport.components, at.tau, carried(v - v[-1]), errors(True), carried(v), errors(False), strict=True)
    readings = []
    for name, true, own, error, lab, lab_error in rows:
        quantity, how = f"tau_{name}", f"velocities less that of {transport.solvent}"
        readings += [
            Reading(quantity, "1", float(true), float(own), float(error), how, (near,)),
            Reading(
                quantity, "1", float(true), float(lab), float(lab_error), "lab velocities as they are", (near, drift)
            ),
        ]
    return Record(
        bench,
        "electrophoretic_nmr",
        "Electrophoretic NMR",
        "the solution is still uniform where it is seen, and the frame is named",
        ENMR,
        tuple(readings),
        {"v": v, "v_solvent": v - v[-1], "error": noise * np.abs(v)},
        {"field": field, "duration": duration, "current": i},
        panels=(figures.velocities, figures.carried_of_species),
    )
