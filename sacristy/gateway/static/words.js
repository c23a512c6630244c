// The words that mattered: the text with its words marked by sign and strength, and the strongest of them as a list.

import { element, graphic } from "./elements.js";
import { signed } from "./figures.js";

const MOST_WORDS = 8;
const WEAK = 0.18; // of the strongest: below this a word is left unmarked
const WORD = /([\p{L}\p{M}\p{N}_][\p{L}\p{M}\p{N}_'’]*|[!?])/u;
const folded = (text) => text.normalize("NFKC").toLowerCase().normalize("NFKC").replaceAll("’", "'");

const strength = (share) => (share > 0.6 ? 3 : share > 0.25 ? 2 : 1);

function tone(contribution, greatest) {
  const share = Math.abs(contribution) / greatest;
  return share < WEAK ? "" : `${contribution > 0 ? "up" : "down"}-${strength(share)}`;
}

// What the model names, found again in the text: letters, digits and apostrophes together, "!" and "?" alone.
export function passage(text, contributions) {
  const greatest = Math.max(...contributions.map((each) => Math.abs(each.contribution)), 1e-9);
  const known = new Map(contributions.map((each) => [folded(each.feature), each.contribution]));
  return text.split(WORD).map((piece) => {
    const found = known.get(folded(piece));
    const name = found === undefined ? "" : tone(found, greatest);
    return name ? element("mark", { class: name, title: signed(found) }, piece) : piece;
  });
}

function pull(feature, contribution, greatest) {
  const half = (Math.abs(contribution) / greatest) * 50;
  const up = contribution > 0;
  const rect = graphic("rect", { class: up ? "up" : "down", x: `${up ? 50 : 50 - half}%`, width: `${half}%`, y: "10%", height: "80%", rx: 2 });
  const axis = graphic("line", { class: "axis", x1: "50%", x2: "50%", y1: 0, y2: "100%" });
  return element(
    "li",
    {},
    element("span", { class: "name" }, feature),
    graphic("svg", { "aria-hidden": "true" }, axis, rect),
    element("span", { class: "amount" }, signed(contribution)),
  );
}

// `text`: what was asked, where that was a text; else only the list is shown.
export function words(contributions, text) {
  const strongest = [...contributions].sort((one, other) => Math.abs(other.contribution) - Math.abs(one.contribution)).slice(0, MOST_WORDS);
  if (!strongest.length) return [element("p", { class: "quiet" }, "No word of this text is known to the model.")];
  const greatest = Math.abs(strongest[0].contribution) || 1;
  const marked = text === null ? [] : passage(text, contributions);
  const shown = marked.some((piece) => typeof piece !== "string") && element("p", { class: "passage", tabindex: 0, role: "group", "aria-label": "The text, with the words that mattered" }, marked);
  return [
    element("h3", {}, text === null ? "What mattered" : "The words that mattered"),
    shown,
    element("ol", { class: "pulls", "aria-label": "Contributions, the strongest first" }, strongest.map((each) => pull(each.feature, each.contribution, greatest))),
    element("p", { class: "quiet" }, "Each figure is what the word added (+) to or took (−) from the answer's score; the model's card says in which unit."),
  ];
}
