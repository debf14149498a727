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

  // name, symbol, what it is, least and greatest value in SI, whether the slider is logarithmic, unit shown, SI per unit shown
  const SLIDERS = Object.freeze([
    { name: "V", symbol: "V", label: "Cell voltage", low: 0.01, high: 0.5, log: true, unit: "mV", si: 1e-3 },
    { name: "thickness", symbol: "L", label: "Thickness", low: 20e-6, high: 3e-3, log: true, unit: "µm", si: 1e-6 },
    { name: "r", symbol: "r", label: "Salt per solvent molecule", low: 0.02, high: 0.2, log: true, unit: "", si: 1 },
    { name: "t_plus", symbol: "t₊⁰", label: "Transference number", low: -1.5, high: 0.9, log: false, unit: "", si: 1 },
    { name: "D", symbol: "D", label: "Diffusion coefficient", low: 5e-12, high: 5e-10, log: true, unit: "·10⁻¹² m²/s", si: 1e-12 },
    { name: "kappa", symbol: "κ", label: "Conductivity", low: 2e-3, high: 1, log: true, unit: "mS/cm", si: 0.1 },
    { name: "chi", symbol: "χ", label: "Thermodynamic factor", low: 0.5, high: 4, log: true, unit: "", si: 1 },
    { name: "R_int", symbol: "R_int", label: "Interfacial resistance", low: 0, high: 0.02, log: false, unit: "Ω cm²", si: 1e-4 },
  ]);

  const PRESETS = Object.freeze([
    { name: "PEO-LiTFSI, 3 mm",
      note: "Close to the cell of Steinrück et al. 2020, with constant properties: a reconstruction.",
      setting: { V: 0.3, thickness: 3e-3, r: 0.1, t_plus: 0.2, D: 1.4e-11, kappa: 0.145, chi: 2.2, R_int: 0, motion: true } },
    { name: "Thin polymer film",
      note: "The same electrolyte, 100 µm thick, between two resistive interfaces.",
      setting: { V: 0.05, thickness: 1e-4, r: 0.1, t_plus: 0.2, D: 1.4e-11, kappa: 0.145, chi: 2.2, R_int: 5e-3, motion: true } },
    { name: "Like a liquid carbonate",
      note: "D and κ of the size found for LiPF₆ in carbonates. Volumes and temperature stay those of PEO-LiTFSI.",
      setting: { V: 0.05, thickness: 2.5e-4, r: 0.06, t_plus: 0.3, D: 3e-10, kappa: 0.9, chi: 2, R_int: 4e-3, motion: true } },
    { name: "t₊⁰ = −1, yet ρ₊ = 0.7",
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

  return Object.freeze({ CONSTANTS, SLIDERS, PRESETS, place, valueAt, clip });
})();
