// Plots: SVG drawn by hand, axes with units, crisp at any width, described in words for those who cannot see them.
"use strict";

const Plot = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const MARGIN = { left: 58, right: 14, top: 16, bottom: 40 };

  function add(parent, tag, attributes, text) {
    const node = document.createElementNS(SPACE, tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  // Width and height of a plot, asked of the browser once: to ask after each change makes it lay out the page anew.
  const sizes = new Map();
  function sizeOf(svg) {
    if (!sizes.has(svg.id)) sizes.set(svg.id, [Math.max(svg.clientWidth || 320, 200), svg.clientHeight || 260]);
    return sizes.get(svg.id);
  }

  // Round numbers between low and high, about `count` of them.
  function ticks(low, high, count) {
    const rough = (high - low) / count, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].find((k) => k * power >= rough * 0.999) * power;
    const out = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) out.push(k * step);
    return out;
  }

  function decades(low, high, most) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first + 1) / most)), out = [];
    for (let k = first; k <= last; k += every) out.push(Math.pow(10, k));
    return out;
  }

  // A number for an axis: no more digits than the step needs.
  function plain(value, step) {
    if (Math.abs(value) < 1e-9 * step) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return power(value);
    return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "−");
  }

  function power(value) {
    const k = Math.floor(Math.log10(Math.abs(value)) + 1e-9), front = value / Math.pow(10, k);
    const raised = String(k).replace(/-/g, "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+d]);
    const rounded = Number(front.toPrecision(2));
    return (rounded === 1 ? "" : rounded === -1 ? "−" : String(rounded).replace("-", "−") + "·") + "10" + raised;
  }

  const decade = (value) => (value >= 0.009 && value < 1e4 ? String(Number(value.toPrecision(1))) : power(value));

  // Draw axes, then lines, rules and marks. Returns the scales, for the pointer.
  function draw(svg, spec) {
    const [width, height] = sizeOf(svg);
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    add(svg, "title", {}, spec.title);
    add(svg, "desc", {}, spec.desc);
    const { left, right, top, bottom } = MARGIN, inner = { x: left, y: top, w: width - left - right, h: height - top - bottom };
    const { x: X, y: Y } = spec;
    const part = (axis, v) => (axis.log ? Math.log(v / axis.low) / Math.log(axis.high / axis.low) : (v - axis.low) / (axis.high - axis.low));
    const sx = (v) => inner.x + inner.w * part(X, v), sy = (v) => inner.y + inner.h * (1 - part(Y, v));
    const id = svg.id + "-clip", clip = add(add(svg, "defs", {}), "clipPath", { id });
    add(clip, "rect", { x: inner.x, y: inner.y - 3, width: inner.w, height: inner.h + 6 });

    if (!Y.hidden) {
      const at = ticks(Y.low, Y.high, 5), step = at.length > 1 ? at[1] - at[0] : 1;
      for (const v of at) {
        add(svg, "line", { class: "grid", x1: inner.x, x2: inner.x + inner.w, y1: sy(v), y2: sy(v) });
        add(svg, "text", { x: inner.x - 7, y: sy(v) + 4, "text-anchor": "end" }, plain(v, step));
      }
      add(svg, "text", { transform: `translate(13 ${inner.y + inner.h / 2}) rotate(-90)`, "text-anchor": "middle" }, Y.label);
    }
    const most = Math.max(2, Math.floor(inner.w / 62));
    const along = X.log ? decades(X.low, X.high, most) : ticks(X.low, X.high, Math.min(most, 6));
    for (const v of along) {
      add(svg, "line", { class: "tick", x1: sx(v), x2: sx(v), y1: inner.y + inner.h, y2: inner.y + inner.h + 4 });
      add(svg, "text", { x: sx(v), y: inner.y + inner.h + 17, "text-anchor": "middle" }, X.log ? decade(v) : plain(v, along[1] - along[0]));
    }
    add(svg, "line", { class: "tick", x1: inner.x, x2: inner.x + inner.w, y1: inner.y + inner.h, y2: inner.y + inner.h });
    add(svg, "text", { x: inner.x + inner.w / 2, y: height - 5, "text-anchor": "middle" }, X.label);

    const inside = add(svg, "g", { "clip-path": `url(#${id})`, fill: "none" });
    if (Y.low < 0 && Y.high > 0) add(inside, "line", { class: "tick", x1: inner.x, x2: inner.x + inner.w, y1: sy(0), y2: sy(0) });
    for (const area of spec.areas || []) {
      const upper = Array.from(area.x, (v, k) => `${sx(v).toFixed(1)},${sy(area.upper[k]).toFixed(1)}`);
      const lower = Array.from(area.x, (v, k) => `${sx(v).toFixed(1)},${sy(area.lower[k]).toFixed(1)}`).reverse();
      add(inside, "polygon", { points: [...upper, ...lower].join(" "), fill: area.colour, "fill-opacity": area.opacity });
    }
    for (const line of spec.lines || []) {
      const points = [];
      for (let k = 0; k < line.x.length; k++) {
        const px = sx(line.x[k]), py = Settings.clip(sy(line.y[k]), -1e4, 1e4);
        if (Number.isFinite(px) && Number.isFinite(py)) points.push(px.toFixed(1) + "," + py.toFixed(1));
      }
      add(inside, "polyline", { points: points.join(" "), stroke: line.colour, "stroke-width": line.width || 2,
        "stroke-dasharray": line.dash || "none", "stroke-opacity": line.opacity || 1, "stroke-linejoin": "round" });
    }
    for (const mark of spec.marks || []) drawMark(inside, mark, sx(mark.x), sy(mark.y));
    for (const rule of spec.rules || []) {
      add(inside, "line", { x1: sx(rule.x), x2: sx(rule.x), y1: inner.y, y2: inner.y + inner.h, stroke: "var(--ink)", "stroke-width": 1, "stroke-dasharray": "2 3" });
    }
    (spec.sides || []).forEach((text, k) => {
      add(svg, "text", { x: k ? inner.x + inner.w : inner.x, y: height - 5, "text-anchor": k ? "end" : "start", "font-style": "italic" }, text);
    });
    return { toPart: (px) => Settings.clip((px - inner.x) / inner.w, 0, 1), width };
  }

  function drawMark(parent, mark, x, y) {
    const fill = mark.hollow ? "var(--paper)" : mark.colour, common = { fill, stroke: mark.colour, "stroke-width": 2 };
    if (mark.shape === "square") add(parent, "rect", { x: x - 5, y: y - 5, width: 10, height: 10, ...common });
    else if (mark.shape === "diamond") add(parent, "path", { d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z`, ...common });
    else add(parent, "circle", { cx: x, cy: y, r: 4, ...common });
  }

  // Text into a node, with what follows an underscore set low: R_int, i_ss.
  function rich(node, text) {
    text.split(/_([A-Za-z]+)/).forEach((piece, k) => {
      if (k % 2 === 0) return node.append(piece);
      const low = document.createElement("sub");
      low.textContent = piece;
      return node.append(low);
    });
  }

  // A row of keys above a plot: lines with their dashes, marks with their shapes.
  function legend(list, entries) {
    list.replaceChildren(...entries.map((entry) => {
      const item = document.createElement("li"), key = document.createElementNS(SPACE, "svg");
      key.setAttribute("viewBox", "0 0 26 10");
      if (entry.shape) drawMark(key, entry, 13, 5);
      else if (entry.area) add(key, "rect", { x: 0, y: 0, width: 26, height: 10, fill: entry.colour, "fill-opacity": entry.opacity });
      else add(key, "line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: entry.colour, "stroke-width": entry.width || 2, "stroke-dasharray": entry.dash || "none", "stroke-opacity": entry.opacity || 1 });
      item.append(key);
      rich(item, entry.label);
      return item;
    }));
  }

  return Object.freeze({ add, draw, legend, rich, sizes, sizeOf });
})();
