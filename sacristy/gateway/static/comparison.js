// Two versions side by side: each measure of both, and their difference with its 95 % interval.

import { element, graphic } from "./elements.js";
import { milliseconds, percent } from "./figures.js";

const points = (share) => `${share < 0 ? "−" : "+"}${(Math.abs(share) * 100).toFixed(1)} points`;
const slower = (ms) => (ms < 0 ? `−${milliseconds(-ms)}` : `+${milliseconds(ms)}`);
const MEASURES = [
  { key: "agreement", title: "Agreement with feedback", show: percent, gap: points, better: 1 },
  { key: "failures", title: "Failed answers", show: percent, gap: points, better: -1 },
  { key: "latency_ms", title: "Mean latency", show: milliseconds, gap: slower, better: -1 },
];

// What a difference says: only an interval that keeps clear of zero says something.
export function meaning(found, better) {
  if (found.low === null || found.difference === null) return ["", "not enough to tell"];
  if (found.low <= 0 && found.high >= 0) return ["", "no clear difference"];
  return found.difference * better > 0 ? ["better", "better"] : ["worse", "worse"];
}

function whisker(found, tone) {
  if (found.low === null) return null;
  const reach = Math.max(Math.abs(found.low), Math.abs(found.high)) || 1;
  const x = (value) => 70 + (value / reach) * 62;
  const line = (attributes) => graphic("line", { y1: 10, y2: 10, ...attributes });
  return graphic(
    "svg",
    { class: `gap ${tone}`, viewBox: "0 0 140 20", "aria-hidden": "true" },
    line({ class: "axis", x1: 70, x2: 70, y1: 0, y2: 20 }),
    line({ class: "whisker", x1: x(found.low), x2: x(found.high) }),
    graphic("circle", { class: "dot", cx: x(found.difference), cy: 10, r: 4 }),
  );
}

function row(measure, found) {
  const [tone, words] = meaning(found, measure.better);
  const gap = found.difference === null ? "–" : measure.gap(found.difference);
  const range = found.low === null ? "" : ` (${measure.gap(found.low)} to ${measure.gap(found.high)})`;
  const chip = element("span", { class: `chip ${{ better: "good", worse: "bad" }[tone] ?? ""}` }, words);
  const side = (value, n) => element("td", {}, measure.show(value), element("span", { class: "quiet" }, ` of ${n}`));
  return element("tr", {}, element("th", { scope: "row" }, measure.title), side(found.a, found.n_a), side(found.b, found.n_b), element("td", {}, gap, element("span", { class: "quiet" }, range)), element("td", {}, whisker(found, tone)), element("td", {}, chip));
}

// `found`: {agreement, failures, latency_ms}, each a DIFFERENCE of docs/how-to/gateway.md; `a`, `b`: the versions.
export function comparison(found, a, b) {
  const heads = ["", `version ${a}`, `version ${b}`, "difference, 95 % interval", "", ""].map((text) => (text ? element("th", { scope: "col" }, text) : element("td")));
  const rows = MEASURES.filter((measure) => found[measure.key]?.n_a !== undefined).map((measure) => row(measure, found[measure.key]));
  return element("div", { class: "scroll compared", tabindex: 0, role: "group", "aria-label": "Comparison" }, element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows)));
}
