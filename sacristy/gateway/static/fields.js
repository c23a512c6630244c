// A form made from a JSON schema whose references are resolved: numbers, strings, booleans, choices, lists, records.
// Each part is {node, read, fault, clear}; `read` gives undefined for what is optional and was left empty.

import { element, freshId } from "./elements.js";
import { Json } from "./writing.js";

const MOST_ITEMS = 64; // inputs that a list shows at most
const MOST_AT_FIRST = 16; // a list that begins with more is better written as JSON
const titled = (name, schema) => schema.title ?? name;

export class Fields {
  constructor(root) {
    this.part = part(JSON.parse(root.dataset.schema), "", true);
    this.node = root.querySelector(".fields");
    this.node.replaceChildren(this.part.node);
  }

  fault() {
    return this.part.fault();
  }

  read() {
    return this.part.read();
  }

  focus() {
    this.node.querySelector("[aria-invalid=true], input, select, textarea")?.focus();
  }

  clear() {
    this.part.clear();
  }
}

function part(schema, name, needed) {
  const choices = (schema.anyOf ?? schema.oneOf ?? []).filter((choice) => choice.type !== "null");
  if (schema.anyOf && choices.length === 1) return part({ ...schema, anyOf: undefined, ...choices[0] }, name, false);
  if ("const" in schema) return fixed(schema.const);
  if (schema.enum) return choice(schema, name, needed);
  const makers = { object: record, array: list, boolean: tick, string: line, number: figure, integer: figure };
  const make = schema.type === "object" && !schema.properties ? raw : (makers[schema.type] ?? raw);
  return make(schema, name, needed);
}

const fixed = (value) => ({ node: element("span", { hidden: true }), read: () => value, fault: () => "", clear: () => {} });

function labelled(input, schema, name, needed) {
  const id = (input.id = freshId());
  const help = schema.description && element("p", { class: "quiet", id: `${id}-help` }, schema.description);
  if (help) input.setAttribute("aria-describedby", help.id);
  const mark = needed && name && element("span", { class: "needed", "aria-hidden": "true" }, " *");
  const label = element("label", { for: id }, titled(name, schema) || "Value", mark);
  return input.type === "checkbox"
    ? element("div", { class: "field check" }, input, label, help)
    : element("div", { class: "field" }, label, input, help);
}

// `parse` gives [value, fault] for the text of an input that is not empty.
function control(input, schema, name, needed, parse) {
  const initial = schema.default === undefined || schema.default === null ? "" : String(schema.default);
  input.value = initial;
  const state = () => {
    if (input.value === "") return [undefined, needed ? `${titled(name, schema) || "The value"} is missing.` : ""];
    return parse(input.value);
  };
  const fault = () => {
    const told = state()[1];
    input.setAttribute("aria-invalid", String(Boolean(told)));
    return told;
  };
  const clear = () => (input.value = initial);
  return { node: labelled(input, schema, name, needed), read: () => state()[0], fault, clear };
}

function figure(schema, name, needed) {
  const whole = schema.type === "integer";
  const input = element("input", { type: "number", step: whole ? 1 : "any", min: schema.minimum, max: schema.maximum, inputmode: whole ? "numeric" : "decimal", required: needed });
  return control(input, schema, name, needed, (text) => {
    const value = Number(text);
    if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) return [value, `${titled(name, schema)} must be a ${whole ? "whole " : ""}number.`];
    const [low, high] = [schema.minimum ?? schema.exclusiveMinimum ?? -Infinity, schema.maximum ?? schema.exclusiveMaximum ?? Infinity];
    return [value, value < low || value > high ? `${titled(name, schema)} must be between ${low} and ${high}.` : ""];
  });
}

function line(schema, name, needed) {
  const input = element("input", { type: "text", minlength: schema.minLength, maxlength: schema.maxLength, pattern: schema.pattern, required: needed, autocomplete: "off" });
  return control(input, schema, name, needed && schema.minLength !== 0, (text) => [text, input.checkValidity() ? "" : `${titled(name, schema)}: ${input.validationMessage}`]);
}

function choice(schema, name, needed) {
  const options = schema.enum.map((value, index) => element("option", { value: index }, String(value)));
  const input = element("select", { required: needed }, element("option", { value: "" }, "Choose…"), options);
  const initial = schema.enum.indexOf(schema.default);
  return control(input, { ...schema, default: initial < 0 ? undefined : initial }, name, needed, (text) => [schema.enum[Number(text)], ""]);
}

function tick(schema, name) {
  const input = element("input", { type: "checkbox" });
  const clear = () => (input.checked = schema.default === true);
  clear();
  return { node: labelled(input, schema, name, false), read: () => input.checked, fault: () => "", clear };
}

function record(schema, name) {
  const required = new Set(schema.required ?? []);
  const parts = Object.entries(schema.properties).map(([key, inner]) => [key, part(inner, key, required.has(key))]);
  const nodes = parts.map(([, inner]) => inner.node);
  return {
    node: name ? element("fieldset", {}, element("legend", {}, titled(name, schema)), nodes) : element("div", {}, nodes),
    read: () => Object.fromEntries(parts.map(([key, inner]) => [key, inner.read()]).filter(([, value]) => value !== undefined)),
    fault: () => parts.map(([, inner]) => inner.fault()).find(Boolean) ?? "",
    clear: () => parts.forEach(([, inner]) => inner.clear()),
  };
}

function list(schema, name, needed) {
  const [fewest, most] = [schema.minItems ?? 0, Math.min(schema.maxItems ?? MOST_ITEMS, MOST_ITEMS)];
  if (!schema.items || fewest > MOST_AT_FIRST) return raw(schema, name, needed);
  const title = titled(name, schema) || "Values";
  const rows = [];
  const place = element("div");
  const more = element("button", { type: "button", class: "plain", click: () => add() }, "Add one");
  const tell = () => {
    more.hidden = rows.length >= most;
    rows.forEach((row) => (row.less.hidden = rows.length <= fewest));
  };
  const add = () => {
    const inner = part({ ...schema.items, title: `${title} ${rows.length + 1}` }, String(rows.length + 1), true);
    const less = element("button", { type: "button", class: "plain", "aria-label": "Remove this one", click: () => drop(row) }, "×");
    const row = { inner, less, node: element("div", { class: "item" }, inner.node, less) };
    rows.push(row);
    place.append(row.node);
    tell();
  };
  const drop = (row) => {
    rows.splice(rows.indexOf(row), 1);
    row.node.remove();
    tell();
  };
  const clear = () => {
    [...rows].forEach(drop);
    for (let index = 0; index < Math.max(fewest, needed ? 1 : 0); index++) add();
  };
  clear();
  return {
    node: element("fieldset", {}, element("legend", {}, title), place, more),
    read: () => (rows.length || needed ? rows.map((row) => row.inner.read()) : undefined),
    fault: () => rows.map((row) => row.inner.fault()).find(Boolean) ?? "",
    clear,
  };
}

function raw(schema, name, needed) {
  const input = element("textarea", { class: "code", rows: 4, spellcheck: "false" });
  const node = labelled(input, { ...schema, title: `${titled(name, schema) || "Value"}, as JSON` }, name, needed);
  const box = new Json(node);
  return { node, read: () => (input.value.trim() ? box.read() : undefined), fault: () => (input.value.trim() || needed ? box.fault() : ""), clear: () => box.clear() };
}
