// What one sees, in words that follow the state. Pure: numbers in, sentences out.
"use strict";

const Words = (() => {
  // A value for reading: three digits, or a power of ten.
  function say(value, digits = 3) {
    if (!Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) {
      const k = Math.floor(Math.log10(size)), raised = String(k).replace(/-/g, "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+d]);
      return `${(value / Math.pow(10, k)).toPrecision(digits)}·10${raised}`.replace("-", "−");
    }
    return String(Number(value.toPrecision(digits))).replace("-", "−");
  }

  const TIMES = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1], ["ms", 1e-3], ["µs", 1e-6]];
  const timeUnit = (t) => TIMES.find(([, size]) => t >= 2 * size) || TIMES[TIMES.length - 1];

  function duration(t) {
    if (t === 0) return "0 s";
    const [unit, size] = TIMES.find(([, long]) => t >= long) || TIMES[TIMES.length - 1];
    return `${say(t / size)} ${unit}`;
  }

  // The unit of velocities up to `v` [m/s], and its size.
  const SPEEDS = [["µm/s", 1e-6], ["nm/s", 1e-9], ["Å/s", 1e-10]];
  const speedUnit = (v) => SPEEDS.find(([, size]) => v >= 5 * size) || SPEEDS[2];

  // A value of a control, with its unit.
  function withUnit(slider, value) {
    const [unit, size] = Settings.unitOf(slider, value);
    return say(value / size, 4) + (unit ? " " + unit : "");
  }

  // All settings, for print and for files.
  const settings = (p) => Settings.SLIDERS.map((s) => `${s.symbol} = ${withUnit(s, p[s.name])}`).concat("solvent motion " + (p.motion ? "on" : "off"));

  const percent = (part) => `${say(100 * part, part > 0.1 ? 3 : 2)} %`;

  // One sentence for the whole run.
  function summary(result) {
    const g = result.closed, fall = percent(result.i[result.i.length - 1] / g.i_0);
    if (result.status === "depleted") {
      return `The salt at the plating electrode is used up after ${duration(result.t_end)}. The current had then fallen to ${fall} of its first value, ${say(g.i_0)} A/m².`;
    }
    if (result.status === "saturated") return `After ${duration(result.t_end)} no room is left for solvent at the dissolving electrode.`;
    if (result.status !== "steady") return "The solver did not get to the end with this setting.";
    return `The current starts at ${say(g.i_0)} A/m² and settles at ${say(g.i_ss)} A/m², ${fall} of it; after ${duration(Solver.settlingTime(result, 0.01))} it is within 1 % of that.`;
  }

  // What each control does, said when it has just been moved.
  const MOVED = {
    V: (p, g) => `One unit of ln m is worth V_c = (2RT/F)(1 − t₊⁰)χ = ${say(1e3 * g.K)} mV here. You apply ${say(1e3 * p.V)} mV, which is ${say(g.drive)} times V_c. ${g.c_0_ss < 1.1 * g.c0 && g.c_L_ss > 0.9 * g.c0 ? "The profile stays within a tenth of c0: a small signal, and the fraction of the current that is left does not depend on V." : "That is no small signal: in the end the salt stands between " + say(g.c_L_ss / g.c0) + " and " + say(g.c_0_ss / g.c0) + " times c0, and the current no longer scales with V."}`,
    thickness: (p, g) => `The time to settle is set by L²/D = ${duration(g.t_unit)}: ten times thicker takes a hundred times longer. ${p.R_int > 0 ? "Currents fall with L, less than 1/L because the interfaces do not grow with it; a thicker electrolyte makes them matter less." : "Currents scale with 1/L, and so do velocities."}`,
    r: (p, g) => `r = ${say(p.r)} means c0 = ${say(g.c0 / 1e3)} mol/L, which takes up ${percent(g.phi_e)} of the volume. More salt is a larger reservoir: Ne = ${say(g.Ne)} falls as 1/c while κ is held.`,
    t_plus: (p, g) => `Salt moves with the fraction 1 − t₊⁰ = ${say(1 - p.t_plus)} of the current and raises a counter-voltage with that factor again, so Ne goes with (1 − t₊⁰)². ${p.t_plus < 0 ? "" : p.t_plus > 0.75 ? "Near t₊⁰ = 1 hardly any salt moves." : ""}`,
    D: (p, g) => `Diffusion undoes what the current builds up. A larger D shortens L²/D (${duration(g.t_unit)}), flattens the profile and lowers Ne, now ${say(g.Ne)}.`,
    kappa: (p, g) => `κ enters the first current, i₀ = V/(L/κ + R_int) = ${say(g.i_0)} A/m²${p.R_int > g.R_b ? ", but the interfaces rule it" : ""}. The steady current gains less: a better conductor polarises more, because Ne (${say(g.Ne)}) is proportional to κ.`,
    chi: (p, g) => `χ says how strongly the chemical potential answers to concentration. It leaves the first current alone; the larger χ, the more voltage a given gradient costs (Ne = ${say(g.Ne)}).`,
    R_int: (p, g) => `The interfaces take ${percent(p.R_int / (p.R_int + g.R_b))} of the voltage at the start. They do not polarise, so they hide part of the decay: the ratio of currents rises from ρ₊ = ${say(g.rho_plus)} to ${say(g.ratio_small)}, for a small voltage.`,
    motion: (p, g) => (p.motion ? `Where anions leave, solvent comes in: no volume may be lost. Salt takes up ${percent(g.phi_e)} of the volume, so v₋ = −ε v₀ with ε = ${say((1 - g.phi_e) / g.phi_e)} at c0.` : "The solvent is held still. That is exact only for dilute salt. The steady currents for small voltages stay the same; profiles and velocities do not."),
  };

  // Cards for the state: {title, text, warn, moved}.
  function notes(result, view, moved) {
    const { setting: p, closed: g } = result, now = view.profile, cards = [];
    const add = (title, text, warn = false) => cards.push({ title, text, warn });
    if (result.status === "depleted") {
      const above = g.i_0 > g.i_lim;
      add("Depletion", `${above ? `The first current is ${say(g.i_0 / g.i_lim)} times the limiting current, ${say(g.i_lim)} A/m², the most that diffusion can feed.` : `The limiting current is ${say(g.i_lim)} A/m².`} Where lithium plates, the salt falls below a thousandth of c0, and the calculation stops there. In a real cell dendrites are to be expected from here on. Lower V or raise D. A larger t₊⁰ raises the limiting current, and at a held voltage the current with it, so it need not help.`, true);
    } else if (g.i_0 > g.i_lim) {
      add("Beyond the limiting current, for a while", `i₀ is ${say(g.i_0 / g.i_lim)} times the limiting current (${say(g.i_lim)} A/m²). It cannot last: the salt at the plating electrode thins out and its concentration voltage holds the current back, at ${percent(g.i_ss / g.i_lim)} of the limit.`);
    }
    const free = p.V - now.i * (g.R_b + p.R_int);
    if (g.Ne < 0.02) {
      add("Hardly any decay", `With Ne = ${say(g.Ne)} the gradients cost almost no voltage: ${p.t_plus > 0.75 ? "t₊⁰ is close to one, so little salt is moved" : "diffusion keeps up with the current"}.`);
    } else {
      add("Why the current falls", `At ${duration(now.time)}, ${percent(free / p.V)} of the voltage is spent on the difference in concentration between the electrodes, and only the rest drives current. Anions cannot leave the cell: they pile up on the left until diffusion carries back what the current moves.`);
    }
    if (p.t_plus < 0) {
      add("A negative transference number", `t₊⁰ = ${say(p.t_plus)}: in a uniform field the cations drift against the current, as seen from the solvent: the anions drag them along (Ω₊₋ > Ω₊₊). Clusters with more anions than cations do that; so can a solvent that takes up much room. Yet ρ₊ = ${say(g.rho_plus)} is positive, as it must be: ρ₊ = 1/(1 + Ne) depends on D, κ and χ as well. A small ρ₊ does not follow from t₊⁰ < 0, and t₊⁰ cannot be read off a current.`);
    } else if (Math.abs(g.rho_plus - p.t_plus) < 0.01) {
      add("ρ₊ = t₊⁰, for once", "The fraction of the current that is left equals the transference number. That holds in an ideal dilute solution, and elsewhere only by coincidence.");
    } else {
      add("ρ₊ is not t₊⁰", `The current that is left tells ρ₊ = ${say(g.rho_plus)}; the transference number is ${say(p.t_plus)}. They are often taken for one another.`);
    }
    const miss = g.ratio / g.rho_plus - 1;
    if (result.status !== "steady") {
      // no steady state to compare with
    } else if (p.R_int > 0 && g.ratio_small / g.rho_plus > 1.03) {
      add("Interfaces hide the decay", `i_ss/i₀ = ${say(g.ratio)}, but ρ₊ = ${say(g.rho_plus)}: part of the voltage falls on R_int, which does not polarise. The small-signal formula with R_int gives ${say(g.ratio_small)}; the Bruce–Vincent correction undoes exactly that, for small voltages.`);
    } else if (Math.abs(miss) > 0.03) {
      add("Not a small signal", `i_ss/i₀ = ${say(g.ratio)} instead of ρ₊ = ${say(g.rho_plus)}: the formula 1/(1 + Ne) holds for voltages well below V_c = (2RT/F)(1 − t₊⁰)χ = ${say(1e3 * g.K)} mV.`);
    }
    if (!p.motion) {
      add("Solvent held still", "v₀ = 0, the dilute limit that many published models take. All frames but the lab's are then the same.");
    } else if (view.frame === "lab") {
      add("The lab frame", `Lithium dissolves on the left and plates on the right, so both interfaces, and all between them, move left at ${say(1e10 * Math.abs(now.v_s))} Å/s. This is what an X-ray beam fixed in the lab sees: it has to be taken off before v₋ = −ε v₀ may be used.`);
    } else if (view.frame === "solvent") {
      add("The solvent's frame", "Here the solvent stands still by definition. Transference numbers are defined in this frame: t₊⁰ is the cations' share of the current in a uniform solution, seen from the solvent.");
    } else {
      const alone = (now.i * Math.abs(1 - p.t_plus) * (1 - g.phi)) / (Settings.CONSTANTS.F * g.c0); // their speed at the start, at this current
      const quiet = Math.max(...now.minus.map(Math.abs)) < 0.02 * alone;
      add("The interface frame", quiet ? "Steady: anions and solvent have come to rest, and only lithium moves. Fastest where it is scarce, since now i = F c₊ v₊ everywhere." : `Neither anions nor solvent pass an electrode, so both stand still there. In between they move against each other: v₋ = −ε v₀, ε = (1 − φₑ)/φₑ.`);
    }
    if (moved && MOVED[moved]) cards.unshift({ title: "You changed " + (moved === "motion" ? "solvent motion" : Settings.SLIDERS.find((s) => s.name === moved).symbol), text: MOVED[moved](p, g), moved: true });
    return cards;
  }

  return Object.freeze({ say, duration, timeUnit, speedUnit, withUnit, settings, percent, summary, notes });
})();
