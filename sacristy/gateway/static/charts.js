// Charts over time as inline SVG, drawn anew at the width they have: lines, bands and pillars by version.

import { element, graphic } from "./elements.js";
import { clock } from "./figures.js";

const HEIGHT = 176;
const PAD = { left: 44, right: 8, top: 8, bottom: 22 };
const COLOURS = 4;
export const colour = (index) => Math.min(index, COLOURS - 1);

// A round number at or above a value, of which halves are round too.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].find((step) => step * power >= value * 0.999) * power;
}

const swatch = (index, faint) =>
  graphic("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, graphic("path", { class: `line c${colour(index)} ${faint ? "faint" : ""}`, d: "M1 6H25" }));

// A figure whose picture is replaced in one go, so that nothing flickers. `shape`: {title, format, top?, least?, kind?}.
export class Chart {
  constructor(shape) {
    this.shape = shape;
    this.series = [];
    this.key = element("ul", { class: "key" });
    this.plot = graphic("svg", { class: "plot", role: "img" });
    this.readout = element("p", { class: "readout", "aria-hidden": "true" });
    this.node = element("figure", {}, element("figcaption", {}, shape.title, this.key), this.plot, this.readout);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  // `series`: [{name, index, faint?, points: [{at, value, low?, high?}]}], times in milliseconds; `since`, `until` too.
  show(series, since, until) {
    Object.assign(this, { series, since, until });
    this.key.replaceChildren(...series.filter((each) => each.name).map((each) => element("li", {}, swatch(each.index, each.faint), each.name)));
    this.draw();
  }

  get points() {
    return this.series.flatMap((each) => each.points.filter((point) => point.value !== null));
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    const greatest = Math.max(...this.points.map((point) => point.high ?? point.value), 0);
    this.top = this.shape.top ?? ceiling(Math.max(greatest, this.shape.least ?? 0) || 1);
    this.box = { width, x: PAD.left, right: width - PAD.right, y: PAD.top, bottom: HEIGHT - PAD.bottom };
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.plot.setAttribute("aria-label", this.told());
    this.plot.replaceChildren(...this.axes(), ...(this.points.length ? this.marks() : [this.nothing()]));
  }

  x(at) {
    return this.box.x + ((at - this.since) / (this.until - this.since)) * (this.box.right - this.box.x);
  }

  y(value) {
    return this.box.bottom - (Math.min(value, this.top) / this.top) * (this.box.bottom - this.box.y);
  }

  axes() {
    const { x, right, bottom } = this.box;
    const longer = this.until - this.since > 24 * 3600e3;
    const lines = [0, 0.5, 1].map((share) => graphic("line", { class: "grid", x1: x, x2: right, y1: this.y(this.top * share), y2: this.y(this.top * share) }));
    const heights = [0, 0.5, 1].map((share) => graphic("text", { x: x - 6, y: this.y(this.top * share) + 4, "text-anchor": "end" }, this.shape.format(this.top * share)));
    const times = [0, 0.5, 1].map((share) => graphic("text", { x: x + (right - x) * share, y: bottom + 16, "text-anchor": ["start", "middle", "end"][share * 2] }, clock(this.since + (this.until - this.since) * share, longer)));
    return [...lines, ...heights, ...times];
  }

  nothing() {
    return graphic("text", { x: this.box.width / 2, y: HEIGHT / 2 - 8, "text-anchor": "middle" }, "Nothing in this time");
  }

  marks() {
    if (this.shape.kind === "pillars") return this.pillars();
    return this.series.flatMap((each) => {
      const points = each.points.filter((point) => point.value !== null);
      if (!points.length) return [];
      const spot = points.map((point) => `${this.x(point.at).toFixed(1)},${this.y(point.value).toFixed(1)}`);
      const style = `line c${colour(each.index)} ${each.faint ? "faint" : ""}`;
      const made = points.length > 1 ? graphic("polyline", { class: style, points: spot.join(" ") }) : this.dot(each, points[0]);
      return points.length > 1 && points[0].low !== undefined ? [this.band(each, points), made] : [made];
    });
  }

  dot(each, point) {
    const style = each.faint ? `hollow c${colour(each.index)}` : `f${colour(each.index)}`;
    return graphic("circle", { class: style, cx: this.x(point.at), cy: this.y(point.value), r: 3 });
  }

  band(each, points) {
    const above = points.map((point) => `${this.x(point.at).toFixed(1)},${this.y(point.high).toFixed(1)}`);
    const below = points.map((point) => `${this.x(point.at).toFixed(1)},${this.y(point.low).toFixed(1)}`).reverse();
    return graphic("polygon", { class: `band f${colour(each.index)}`, points: [...above, ...below].join(" ") });
  }

  pillars() {
    const step = (this.shape.stepMs / (this.until - this.since)) * (this.box.right - this.box.x);
    const width = Math.max(step - 1, 1.5);
    const heights = new Map();
    return this.series.flatMap((each) =>
      each.points.filter((point) => point.value > 0).map((point) => {
        const under = heights.get(point.at) ?? 0;
        heights.set(point.at, under + point.value);
        const [y, foot] = [this.y(under + point.value), this.y(under)];
        return graphic("rect", { class: `pillar f${colour(each.index)}`, x: Math.min(this.x(point.at), this.box.right - width).toFixed(1), y: y.toFixed(1), width: width.toFixed(1), height: Math.max(foot - y, 0).toFixed(1) });
      }),
    );
  }

  point(event) {
    const times = [...new Set(this.points.map((point) => point.at))];
    if (!times.length) return;
    const left = event.clientX - this.plot.getBoundingClientRect().left;
    const at = times.reduce((best, time) => (Math.abs(this.x(time) - left) < Math.abs(this.x(best) - left) ? time : best));
    const values = this.series.flatMap((each) => each.points.filter((point) => point.at === at && point.value !== null).map((point) => `${each.name}${each.name && " "}${this.shape.format(point.value)}`));
    this.readout.textContent = `${clock(at, true)}: ${values.join(", ")}`;
    this.cursor?.remove();
    this.cursor = graphic("line", { class: "cursor", x1: this.x(at), x2: this.x(at), y1: this.box.y, y2: this.box.bottom });
    this.plot.append(this.cursor);
  }

  leave() {
    this.readout.textContent = "";
    this.cursor?.remove();
  }

  told() {
    const last = this.series.map((each) => [each, each.points.filter((point) => point.value !== null).at(-1)]).filter(([, point]) => point);
    const values = last.map(([each, point]) => `${each.name} ${this.shape.format(point.value)}`.trim());
    return `${this.shape.title}. ${values.length ? `Last: ${values.join(", ")}` : "Nothing in this time"}. The table below has all figures.`;
  }
}
