// What can be set, between which values, and the presets. Pure data: no document, no solver.
"use strict";

const Settings = (() => {
  // Constants of nature, and the volumes of PEO-LiTFSI at 90 degC (Steinrueck et al. 2020, doi:10.1039/D0EE02193H, Eq. 4).
  const F = 96485.33212331; // C/mol
  const R = 8.31446261815324; // J/(mol K)
  const N_A = 6.02214076e23; // 1/mol
  const CONSTANTS = Object.freeze({
    F, R,
    T: 363.15, // K
    V_e: 224e-30 * N_A, // m^3/mol of salt
    V_0: 66.4e-30 * N_A, // m^3/mol of ether oxygen
    V_metal: 13.0e-6, // m^3/mol of lithium
  });

  // name, symbol, what it is, least and greatest value in SI, whether the slider is logarithmic, and the units it is shown
  // in with their size in SI: the largest unit that leaves at least one is taken, else the first.
  const SLIDERS = Object.freeze([
    { name: "V", symbol: "V", label: "Cell voltage", low: 0.01, high: 0.5, log: true, units: [["mV", 1e-3], ["V", 1]] },
    { name: "thickness", symbol: "L", label: "Thickness", low: 20e-6, high: 3e-3, log: true, units: [["µm", 1e-6], ["mm", 1e-3]] },
    { name: "r", symbol: "r", label: "Salt per solvent", low: 0.02, high: 0.2, log: true, units: [["", 1]] },
    { name: "t_plus", symbol: "t₊⁰", label: "Transference number", low: -1.5, high: 0.9, log: false, units: [["", 1]] },
    { name: "D", symbol: "D", label: "Diffusion coefficient", low: 5e-12, high: 5e-10, log: true, units: [["µm²/s", 1e-12]] },
    { name: "kappa", symbol: "κ", label: "Conductivity", low: 2e-3, high: 1, log: true, units: [["µS/cm", 1e-4], ["mS/cm", 0.1]] },
    { name: "chi", symbol: "χ", label: "Thermodynamic factor", low: 0.5, high: 4, log: true, units: [["", 1]] },
    { name: "R_int", symbol: "R_int", label: "Interfacial resistance", low: 0, high: 0.02, log: false, units: [["Ω cm²", 1e-4]] },
  ]);

  // The unit a value is shown in, and its size in SI.
  const unitOf = (slider, value) => slider.units.filter(([, size]) => Math.abs(value) >= size * 0.9999).pop() || slider.units[0];

  // Other spellings of units that may be typed.
  const SPELT = { um: "µm", "μm": "µm", m: ["m", 1], cm: ["m", 0.01], "m2/s": ["m2/s", 1], "m²/s": ["m²/s", 1], "cm²/s": ["m²/s", 1e-4], "cm2/s": ["m²/s", 1e-4],
    "um2/s": "µm²/s", "um²/s": "µm²/s", "us/cm": "µS/cm", "ms/cm": "mS/cm", "s/m": ["S/m", 1], "s/cm": ["S/m", 100], "ohm cm2": "Ω cm²", "ohm cm^2": "Ω cm²", "Ω cm2": "Ω cm²" };

  // What was typed, in SI: a number alone is in the unit shown. NaN where it cannot be read.
  function typed(slider, text, shown) {
    const found = text.trim().replace(/−/g, "-").replace(",", ".").match(/^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(.*)$/i);
    if (!found) return NaN;
    const number = Number(found[1]), unit = found[2].trim();
    if (unit === "") return number * unitOf(slider, shown)[1];
    const known = slider.units.find(([name]) => name.toLowerCase() === unit.toLowerCase());
    if (known) return number * known[1];
    const other = SPELT[unit.toLowerCase()];
    if (typeof other === "string") return typed(slider, found[1] + " " + other, shown);
    const dimensions = { thickness: ["m"], D: ["m²/s", "m2/s"], kappa: ["S/m"] }[slider.name] || [];
    return other && dimensions.includes(other[0]) ? number * other[1] : NaN;
  }

  const PRESETS = Object.freeze([
    { name: "Steinrück 2020: PEO-LiTFSI, 3 mm",
      note: "Close to the cell of Steinrück et al. 2020, with constant properties: a reconstruction.",
      setting: { V: 0.3, thickness: 3e-3, r: 0.1, t_plus: 0.2, D: 1.4e-11, kappa: 0.145, chi: 2.2, R_int: 0, motion: true } },
    { name: "Thin polymer film",
      note: "The same electrolyte, 100 µm thick, between two resistive interfaces.",
      setting: { V: 0.05, thickness: 1e-4, r: 0.1, t_plus: 0.2, D: 1.4e-11, kappa: 0.145, chi: 2.2, R_int: 5e-3, motion: true } },
    { name: "Like a liquid carbonate",
      note: "D and κ of the size found for LiPF₆ in carbonates. Volumes and temperature stay those of PEO-LiTFSI.",
      setting: { V: 0.05, thickness: 2.5e-4, r: 0.06, t_plus: 0.3, D: 3e-10, kappa: 0.9, chi: 2, R_int: 4e-3, motion: true } },
    { name: "Fang 2026: t₊⁰ = −1, yet ρ₊ = 0.7",
      note: "What simulations found for a salt with a giant anion, here as a 1:1 salt with assumed D and κ.",
      setting: { V: 0.05, thickness: 1e-4, r: 0.02, t_plus: -1, D: 1e-10, kappa: 7.73e-3, chi: 1, R_int: 0, motion: true } },
    { name: "Dilute and ideal",
      note: "t₊⁰ = D₊/(D₊ + D₋) and χ = 1: where ρ₊ equals t₊⁰.",
      setting: { V: 0.05, thickness: 1e-4, r: 0.02, t_plus: 0.4, D: 2.4e-11, kappa: 0.0723, chi: 1, R_int: 0, motion: false } },
    { name: "Depletion",
      note: "0.5 V across a slow, well-conducting electrolyte: the salt runs out at the plating electrode.",
      setting: { V: 0.5, thickness: 3e-4, r: 0.05, t_plus: 0.1, D: 6e-12, kappa: 0.1, chi: 0.8, R_int: 0, motion: true } },
  ]);

  const clip = (value, low, high) => Math.min(Math.max(value, low), high);

  // Where a value stands on its slider, 0 to 1, and back.
  function place(slider, value) {
    const { low, high, log } = slider;
    return clip(log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low), 0, 1);
  }

  function valueAt(slider, part) {
    const { low, high, log } = slider;
    return log ? low * Math.pow(high / low, part) : low + (high - low) * part;
  }

  return Object.freeze({ CONSTANTS, SLIDERS, PRESETS, unitOf, typed, place, valueAt, clip });
})();
