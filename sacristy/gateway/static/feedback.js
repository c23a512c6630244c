// "Was this right?": bound to one prediction, said once; asking again with the same words changes nothing.

import { ask } from "./asking.js";
import { element, freshId, graphic } from "./elements.js";

const tick = () => graphic("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, graphic("path", { d: "M2.5 8.5 6.5 12.500 13.500 4" }));

function confirmation(kept) {
  const text = kept.agrees ? "You said that this was right." : `You said that this was wrong${kept.label === null ? "." : `; right is “${kept.label}”.`}`;
  const note = kept.new ? "It is kept with the prediction." : "It was kept already; nothing changed.";
  return element("p", { class: "said", tabindex: -1 }, tick(), element("span", {}, element("strong", {}, "Thank you. "), text, " ", element("span", { class: "quiet" }, note)));
}

class Form {
  constructor(identity, prediction, said) {
    Object.assign(this, { identity, said });
    const label = prediction?.label;
    this.others = label === undefined ? [] : Object.keys(prediction.probabilities ?? {}).filter((each) => each !== label);
    this.problem = element("p", { class: "problem", role: "alert" });
    this.row = element("div", { class: "row" });
    const heading = element("h3", { id: freshId() }, "Was this right?");
    this.node = element("section", { class: "feedback", "aria-labelledby": heading.id }, heading, this.row, this.problem);
    this.begin();
  }

  button(text, kind, click) {
    return element("button", { type: "button", class: kind, click }, text);
  }

  begin() {
    const yes = this.button("Yes", "second", () => this.give({ correct: true }));
    const no = this.others.length === 1 ? this.button(`No, it is “${this.others[0]}”`, "second", () => this.give({ label: this.others[0] })) : this.button("No", "second", () => this.wrong());
    this.row.replaceChildren(yes, no);
  }

  wrong() {
    if (!this.others.length) return this.give({ correct: false });
    const select = element("select", { "aria-label": "The right label" }, element("option", { value: "" }, "What is right?"), this.others.map((each, index) => element("option", { value: index }, each)), element("option", { value: "none" }, "none of these"));
    const send = this.button("Send", "", () => {
      if (select.value === "") return select.focus();
      return this.give(select.value === "none" ? { correct: false } : { label: this.others[Number(select.value)] });
    });
    this.row.replaceChildren(select, send, this.button("Back", "plain", () => this.begin()));
    select.focus();
  }

  async give(opinion) {
    const buttons = [...this.row.querySelectorAll("button, select")];
    buttons.forEach((each) => (each.disabled = true));
    this.problem.textContent = "";
    try {
      const { content } = await ask("/feedback", { body: { prediction_id: this.identity, ...opinion } });
      this.node.replaceChildren(confirmation(content));
      this.node.firstChild.focus();
      this.said();
    } catch (error) {
      buttons.forEach((each) => (each.disabled = false));
      this.problem.textContent = error.message;
    }
  }
}

export const feedback = (identity, prediction, said) => new Form(identity, prediction, said).node;
