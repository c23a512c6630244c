// A model's page: reads an instance from the form that its schema chose, asks, and shows the answer.

import { answered, summary } from "./answer.js";
import { ask } from "./asking.js";
import { Drawing } from "./drawing.js";
import { at } from "./elements.js";
import { Fields } from "./fields.js";
import { Statistics } from "./statistics.js";
import { Json, Writing } from "./writing.js";

const SLOW_MS = 1500; // from here on the seconds are shown, and a way to stop
const SETTLE_MS = 1500; // until what was just said or asked is counted
const question = at("question");
const panel = at("answer");
const kinds = { drawing: Drawing, text: Writing, fields: Fields, json: Json };
const form = new kinds[question.dataset.kind](question);
const figures = at("statistics") && new Statistics(at("statistics"));
const countSoon = () => figures && setTimeout(() => figures.refresh(), SETTLE_MS);

function fault(text) {
  at("fault").textContent = text;
  if (text) form.focus();
  return Boolean(text);
}

function problem(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

// Shows that an answer is on its way; returns what ends that.
function wait(controller) {
  const began = performance.now();
  const button = question.querySelector("[type=submit]");
  button.disabled = true;
  panel.classList.add("busy");
  const tell = () => {
    const seconds = (performance.now() - began) / 1000;
    at("waiting").hidden = false;
    at("waited").textContent = seconds * 1000 < SLOW_MS ? "Asking…" : `Still asking, for ${seconds.toFixed(0)} s`;
    at("stop").hidden = seconds * 1000 < SLOW_MS;
  };
  const soon = setTimeout(tell, 250);
  const ticking = setInterval(tell, 500);
  at("stop").onclick = () => controller.abort();
  return () => {
    clearTimeout(soon);
    clearInterval(ticking);
    button.disabled = false;
    panel.classList.remove("busy");
    at("waiting").hidden = true;
    return performance.now() - began;
  };
}

async function predict() {
  if (fault(form.fault())) return;
  const instance = form.read();
  const explain = question.dataset.explains === "true" ? { explain: true } : {};
  const controller = new AbortController();
  const done = wait(controller);
  problem("");
  try {
    const { content, headers } = await ask(question.dataset.predict, { body: { instances: [instance], ...explain }, signal: controller.signal });
    const asked = { instance, tookMs: done(), canary: headers.has("X-Sacristy-Canary"), mayLook: Boolean(figures) };
    at("empty").hidden = true;
    at("answered").replaceChildren(...answered(content, asked, countSoon).filter(Boolean));
    at("heard").textContent = summary(content);
    countSoon();
  } catch (error) {
    done();
    forget();
    problem(error.name === "AbortError" ? "You stopped asking." : error.message);
  }
}

function forget() {
  at("answered").replaceChildren();
  at("heard").textContent = "";
  at("empty").hidden = false;
}

question.addEventListener("submit", (event) => {
  event.preventDefault();
  predict();
});
question.addEventListener("reset", (event) => {
  event.preventDefault();
  form.clear();
  fault("");
  problem("");
  forget();
  form.focus();
});
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!question.querySelector("[type=submit]").disabled) predict();
  }
});
