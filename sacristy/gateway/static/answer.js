// The answer: its label and shares, the words that mattered, who gave it and how fast, and whether it was right.

import { bars } from "./bars.js";
import { element } from "./elements.js";
import { feedback } from "./feedback.js";
import { milliseconds, percent } from "./figures.js";
import { words } from "./words.js";

const isShares = (shares) => shares && typeof shares === "object" && Object.values(shares).every(Number.isFinite);

function verdict(prediction) {
  const shares = prediction?.probabilities;
  if (isShares(shares)) {
    const share = element("small", {}, percent(shares[prediction.label]));
    return [element("p", { class: "verdict" }, String(prediction.label), " ", share), ...bars(shares)];
  }
  if (typeof prediction === "number") return [element("p", { class: "verdict" }, String(Number(prediction.toPrecision(6))))];
  if (typeof prediction === "string") return [element("p", { class: "verdict" }, prediction)];
  return [element("pre", {}, JSON.stringify(prediction, null, 2))];
}

function origin(answer, { tookMs, canary, mayLook }) {
  return element(
    "p",
    { class: "origin quiet", id: "origin" },
    element("span", { class: "chip violet" }, `version ${answer.version}`),
    canary && element("span", { class: "chip brass" }, "canary"),
    element("a", { href: `/runs/${encodeURIComponent(answer.run)}` }, `run ${answer.run}`),
    mayLook && element("a", { href: `/images/${encodeURIComponent(answer.model)}/${encodeURIComponent(answer.digest)}` }, element("code", {}, String(answer.digest).slice(7, 19))),
    element("span", {}, milliseconds(tookMs)),
  );
}

// `asked`: {instance, tookMs, canary: did one answer, mayLook: may the asker look into images}; `said` is called once feedback was kept.
export function answered(answer, asked, said) {
  const prediction = answer.predictions[0];
  const explanation = answer.explanations?.[0];
  const text = typeof asked.instance === "string" ? asked.instance : null;
  return [
    ...verdict(prediction),
    explanation && element("section", {}, words(explanation, text)),
    answer.prediction_id && feedback(answer.prediction_id, prediction, said),
    origin(answer, asked),
  ];
}

// One line for those who hear the page.
export function summary(answer) {
  const { label, probabilities } = answer.predictions[0] ?? {};
  const said = label === undefined ? "An answer came" : `Answer: ${label}`;
  return isShares(probabilities) ? `${said}, ${percent(probabilities[label])}` : said;
}
