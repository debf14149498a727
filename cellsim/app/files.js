// What can be taken away: numbers as CSV, the plots as one PNG.
"use strict";

const Files = (() => {
  function offer(name, address) {
    const link = document.createElement("a");
    link.setAttribute("href", address);
    link.setAttribute("download", name);
    link.click();
  }

  // The settings, the current against time and the profiles at one time; a kept curve beside them.
  function csv(result, profile, kept) {
    const lines = [`# Li | electrolyte | Li at constant voltage; ${Words.settings(result.setting).join("; ")}`, "# current", "time (s),i (A/m^2)"];
    const curve = (r) => r.time.forEach((t, k) => lines.push(`${t.toPrecision(7)},${r.i[k].toPrecision(7)}`));
    curve(result);
    lines.push(`# profiles at ${profile.time.toPrecision(7)} s, velocities in the interface frame`, "x (m),c (mol/m^3),v_plus (m/s),v_minus (m/s),v_0 (m/s)");
    profile.x.forEach((x, k) => lines.push([x, profile.c[k], profile.plus[k], profile.minus[k], profile.solvent[k]].map((v) => v.toPrecision(7)).join(",")));
    if (kept) {
      lines.push(`# kept curve; ${Words.settings(kept.setting).join("; ")}`, "time (s),i (A/m^2)");
      curve(kept);
    }
    return lines.join("\n") + "\n";
  }

  const saveCsv = (...all) => offer("polarization.csv", "data:text/csv;charset=utf-8," + encodeURIComponent(csv(...all)));

  // One picture: the cell across, the plots two to a row, each with its keys, under a line that says all settings.
  async function savePng(names, caption) {
    const scale = 2, wide = 1260, style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const real = (text) => text.replace(/var\((--\w+)\)/g, (_, name) => colour(name));
    const pictures = await Promise.all(names.map((name) => picture(document.getElementById("plot-" + name), real)));
    const size = (k) => (k ? wide / 2 - 10 : wide), tall = pictures.map((p, k) => (p.height * size(k)) / p.width);
    const row = (k) => (k < 1 ? tall[0] : Math.max(...tall.slice(2 * k - 1, 2 * k + 1))) + 40, rows = Math.ceil((names.length + 1) / 2);
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    canvas.width = scale * (wide + 20);
    canvas.height = scale * Array.from({ length: rows }, (_, k) => row(k)).reduce((sum, h) => sum + h, 40);
    pen.scale(scale, scale);
    pen.font = "13px system-ui, sans-serif";
    pen.fillStyle = colour("--paper");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = colour("--ink");
    pen.fillText(caption, 10, 22, wide);
    let y = 34;
    pictures.forEach((p, k) => {
      const x = 10 + (k && k % 2 === 0 ? wide / 2 + 10 : 0);
      keys(pen, document.getElementById("legend-" + names[k]), x, y + 18, real);
      pen.drawImage(p, x, y + 28, size(k), tall[k]);
      if (k % 2 === 0) y += row(k >> 1);
    });
    offer("polarization.png", canvas.toDataURL("image/png"));
  }

  // The keys above a plot, as words in the colours of their lines.
  function keys(pen, list, x, y, real) {
    for (const item of list.children) {
      const mark = item.querySelector("svg").firstElementChild, line = mark.getAttribute("stroke") || mark.getAttribute("fill");
      pen.fillStyle = real(line);
      pen.fillRect(x, y - 5, 18, 3);
      pen.fillStyle = real("var(--ink)");
      pen.fillText(item.textContent, x + 23, y);
      x += 40 + pen.measureText(item.textContent).width;
    }
  }

  // A plot as a picture by itself: the styles of the page do not reach into it.
  function picture(svg, real) {
    const copy = svg.cloneNode(true), { width, height } = svg.getBoundingClientRect();
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    const look = document.createElementNS("http://www.w3.org/2000/svg", "style");
    look.textContent = "text { font: 12px system-ui, sans-serif; fill: var(--ink); } .tick { stroke: var(--soft); } .grid { stroke: var(--faint); } .metal { fill: var(--metal); }";
    copy.prepend(look);
    const text = real(new XMLSerializer().serializeToString(copy));
    return new Promise((resolve, reject) => {
      const image = new Image();
      image.width = width;
      image.height = height;
      image.onload = () => resolve(image);
      image.onerror = reject;
      image.setAttribute("src", "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text));
    });
  }

  return Object.freeze({ csv, saveCsv, savePng });
})();
