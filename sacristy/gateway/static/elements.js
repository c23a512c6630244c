// Elements made of attributes and children. Text stays text: whatever comes from a user or a model is never markup.

const SVG = document.querySelector("svg").namespaceURI;

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const element = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

export const graphic = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

export const at = (id) => document.getElementById(id);

let names = 0;
export const freshId = () => `made-${++names}`;
