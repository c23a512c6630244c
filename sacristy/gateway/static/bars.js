// Shares as bars.

import { element, graphic } from "./elements.js";
import { percent } from "./figures.js";

export const MOST_BARS = 10;

function bar(label, share) {
  const rect = graphic("rect", { width: `${Math.max(share, 0.004) * 100}%`, height: "100%" });
  return element(
    "li",
    {},
    element("span", { class: "name" }, label),
    graphic("svg", { "aria-hidden": "true", preserveAspectRatio: "none" }, rect),
    element("span", { class: "share" }, percent(share)),
  );
}

// The greatest shares first; `shares` is {label: share}.
export function bars(shares) {
  const sorted = Object.entries(shares).sort((one, other) => other[1] - one[1]);
  const left = sorted.slice(MOST_BARS);
  const made = [element("ol", { class: "bars", "aria-label": "Probabilities" }, sorted.slice(0, MOST_BARS).map((each) => bar(...each)))];
  const rest = left.reduce((sum, [, share]) => sum + share, 0);
  if (left.length) made.push(element("p", { class: "quiet" }, `and ${left.length} more with ${percent(rest)} together`));
  return made;
}
