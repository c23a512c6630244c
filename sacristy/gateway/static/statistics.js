// What happened lately, by version: asked for every few seconds while somebody looks, and shown without flicker.

import { ask } from "./asking.js";
import { Chart, colour } from "./charts.js";
import { comparison } from "./comparison.js";
import { element, graphic } from "./elements.js";
import { clock, count, milliseconds, percent } from "./figures.js";

const EVERY_MS = 5000;
const RANGES = { "1 h": 1, "6 h": 6, "24 h": 24, "7 d": 168 };
const STEPS_MS = { minute: 60e3, hour: 3600e3 };
const MOST_LABELS = 5;

export class Statistics {
  constructor(root) {
    this.root = root;
    this.hours = 1;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.volume = new Chart({ title: "Requests", format: count, kind: "pillars", least: 4, stepMs: 60e3 });
    this.latency = new Chart({ title: "Latency: median, and 95 % (dashed)", format: milliseconds });
    this.agreement = new Chart({ title: "Agreement with feedback, so far", format: (share) => percent(share, 0), top: 1 });
    this.labels = element("div", { class: "labels" });
    const labels = element("figure", {}, element("figcaption", {}, "Labels"), this.labels);
    this.part("charts").replaceChildren(this.volume.node, this.latency.node, labels, this.agreement.node);
    this.choose();
    setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    this.refresh();
  }

  choose() {
    const buttons = Object.entries(RANGES).map(([name, hours]) => {
      const click = () => {
        this.hours = hours;
        buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
        this.refresh();
      };
      const button = element("button", { type: "button", "aria-pressed": String(hours === this.hours), click }, name);
      return button;
    });
    this.part("ranges").replaceChildren(...buttons);
  }

  async refresh() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const { content } = await ask(`${this.root.dataset.address}&hours=${this.hours}`);
      if (turn === this.turn) this.show(content); // an earlier one that came late is not shown
    } catch (error) {
      if (turn === this.turn) this.stale(error.message);
    }
  }

  stale(message) {
    const live = this.part("live");
    live.classList.add("stale");
    live.textContent = this.seen ? `as of ${clock(this.seen, false)}: ${message}` : message;
  }

  show(found) {
    this.seen = Date.now();
    const text = JSON.stringify({ ...found, since: 0, until: 0 });
    this.part("live").classList.remove("stale");
    this.part("live").textContent = "live";
    const versions = Object.entries(found.versions);
    this.part("empty").hidden = versions.length > 0;
    this.part("filled").hidden = versions.length === 0;
    this.draw(versions, Date.parse(found.since), Date.parse(found.until), STEPS_MS[found.span]);
    if (text === this.text) return; // all but the charts' time is as it was
    this.text = text;
    this.part("tiles").replaceChildren(...tiles(versions.map(([, each]) => each)));
    this.labels.replaceChildren(...labels(versions));
    this.part("table").replaceChildren(table(versions));
    this.part("versions").hidden = !found.comparison;
    if (found.comparison) this.part("comparison").replaceChildren(comparison(found.comparison, found.comparison.a, found.comparison.b));
  }

  draw(versions, since, until, stepMs) {
    const points = (found, value) => found.over_time.map((point) => ({ at: Date.parse(point.at), value: point[value] }));
    const named = versions.map(([version, found], index) => ({ name: `version ${version}`, index, found }));
    this.volume.shape.stepMs = stepMs;
    this.volume.show(named.map((each) => ({ ...each, points: points(each.found, "requests") })), since, until);
    const p50 = named.map((each) => ({ ...each, points: points(each.found, "p50_ms") }));
    const p95 = named.map((each) => ({ ...each, name: "", faint: true, points: points(each.found, "p95_ms") }));
    this.latency.show([...p50, ...p95], since, until);
    this.agreement.show(named.map((each) => ({ ...each, points: soFar(each.found.over_time) })), since, until);
  }
}

// The share that agreed up to each point, with Wilson's 95 % interval: it narrows as feedback comes in.
export function soFar(points) {
  const z = 1.959964;
  let [n, hits] = [0, 0];
  return points.flatMap((point) => {
    if (!point.feedback) return [];
    [n, hits] = [n + point.feedback, hits + point.agreed];
    const share = hits / n;
    const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
    const margin = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
    return [{ at: Date.parse(point.at), value: share, low: Math.max(0, middle - margin), high: Math.min(1, middle + margin) }];
  });
}

function tiles(versions) {
  const sum = (value) => versions.reduce((total, each) => total + (value(each) ?? 0), 0);
  const [requests, n] = [sum((each) => each.requests), sum((each) => each.agreement.n)];
  const agreed = sum((each) => (each.agreement.value ?? 0) * each.agreement.n);
  const mostAsked = versions.reduce((best, each) => (best && best.requests >= each.requests ? best : each), null);
  const failed = sum((each) => each.failed);
  const tile = (name, value, note) => element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, note)));
  return [
    tile("Requests", count(requests), failed ? `${count(failed)} failed` : "none failed"),
    tile("Median latency", milliseconds(mostAsked?.latency_ms.p50), `95 % below ${milliseconds(mostAsked?.latency_ms.p95)}`),
    tile("Feedback", count(n), n ? "opinions on answers" : "none given yet"),
    tile("Agreement", n ? percent(agreed / n, 0) : "–", n ? "of the opinions" : "no opinions yet"),
  ];
}

// Each version's label shares as one bar, the labels in one order for all.
function labels(versions) {
  const totals = {};
  for (const [, found] of versions) for (const [label, each] of Object.entries(found.labels)) totals[label] = (totals[label] ?? 0) + each.count;
  const known = Object.entries(totals).sort((one, other) => other[1] - one[1]).map(([label]) => label);
  if (!known.length) return [element("p", { class: "quiet" }, "No labels in this time")];
  const shown = known.slice(0, MOST_LABELS - 1);
  const key = [...shown, ...(known.length > shown.length ? ["others"] : [])];
  const rows = versions.flatMap(([version, found]) => {
    const shares = shown.map((label) => found.labels[label]?.share ?? 0);
    const others = 1 - shares.reduce((sum, share) => sum + share, 0);
    const parts = key.length > shown.length ? [...shares, Math.max(0, others)] : shares;
    const told = key.map((label, index) => `${label} ${percent(parts[index])}`).join(", ");
    let left = 0;
    const rects = parts.map((share, index) => {
      left += share * 100;
      return graphic("rect", { class: index < shown.length ? `f${colour(index)}` : "f4", x: `${left - share * 100}%`, width: `${share * 100}%`, height: "100%" });
    });
    return [element("span", { class: "quiet" }, `version ${version}`), graphic("svg", { role: "img", "aria-label": told }, rects)];
  });
  const all = Object.values(totals).reduce((sum, each) => sum + each, 0);
  const rest = all - shown.reduce((sum, label) => sum + totals[label], 0);
  const swatches = key.map((label, index) => {
    const rect = graphic("rect", { class: index < shown.length ? `f${colour(index)}` : "f4", width: "100%", height: "100%" });
    const share = (index < shown.length ? totals[label] : rest) / all;
    return element("li", {}, graphic("svg", { "aria-hidden": "true" }, rect), `${label} ${percent(share)}`);
  });
  return [...rows, element("span"), element("ul", { class: "key" }, swatches)];
}

function table(versions) {
  const heads = ["Version", "Requests", "Refused", "Failed", "p50", "p95", "p99", "Feedback", "Agreement, 95 % interval"];
  const rows = versions.map(([version, found]) => {
    const { value, low, high, n } = found.agreement;
    const agreement = n ? `${percent(value)} (${percent(low, 0)} to ${percent(high, 0)})` : "–";
    const cells = [count(found.requests), count(found.refused), count(found.failed), ...["p50", "p95", "p99"].map((part) => milliseconds(found.latency_ms[part])), count(n), agreement];
    return element("tr", {}, element("th", { scope: "row" }, version), cells.map((cell) => element("td", {}, cell)));
  });
  return element("table", {}, element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, rows));
}
