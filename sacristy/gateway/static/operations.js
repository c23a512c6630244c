// Keeps a page for ops true: asks for it anew and takes over those parts that changed; compares canaries live.
// The new page is parsed, not run: it is this gateway's own, escaped like the first one.

import { ask } from "./asking.js";
import { comparison } from "./comparison.js";
import { element } from "./elements.js";
import { clock, count, percent } from "./figures.js";

const EVERY_MS = 3000;
const BUSY_MS = 700; // while something is under way
const compared = new Map(); // what was drawn last, by place: it survives the parts' replacement

function agreement(found) {
  const { value, low, high, n } = found.agreement;
  if (!n) return "Nothing was asked of both yet.";
  return `Both said the same in ${percent(value)} of ${count(n)} answers (${percent(low)} to ${percent(high)})${found.since ? `, since ${clock(found.since, true)}` : ""}.`;
}

async function compare(place) {
  const kept = compared.get(place.dataset.keep);
  if (kept) place.replaceChildren(...kept);
  try {
    const { content } = await ask(place.dataset.canary);
    const found = content[place.dataset.kind];
    if (!found) return;
    const drawn = [element("p", {}, agreement(found)), comparison(found, content.version, found.version)];
    compared.set(place.dataset.keep, drawn);
    place.replaceChildren(...drawn);
  } catch (error) {
    if (!kept) place.replaceChildren(element("p", { class: "quiet" }, error.message));
  }
}

const compareAll = () => document.querySelectorAll("[data-canary]").forEach(compare);
const source = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.outerHTML]));

function take(fresh) {
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const here = document.getElementById(part.id);
    if (!here || source.get(part.id) === part.outerHTML || here.contains(document.activeElement)) continue;
    source.set(part.id, part.outerHTML);
    const atEnd = here.scrollTop + here.clientHeight >= here.scrollHeight - 4;
    here.replaceWith(part);
    part.closest("section")?.removeAttribute("hidden");
    if (atEnd) part.scrollTop = part.scrollHeight;
  }
}

async function refresh() {
  try {
    const response = await fetch(location.href);
    if (response.ok) take(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    return; // the next turn asks again
  }
  compareAll();
}

const state = () => document.getElementById("outcome")?.dataset.state;

async function turn() {
  const before = state();
  if (!document.hidden && (before === undefined || before === "running")) await refresh();
  const after = state();
  if (after === undefined || after === "running") setTimeout(turn, after === "running" ? BUSY_MS : EVERY_MS);
}

compareAll();
setTimeout(turn, state() === "running" ? BUSY_MS : EVERY_MS);
