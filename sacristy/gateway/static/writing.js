// A text box with a count; and a box for JSON, where the page knows no better form for a schema.

import { whole } from "./figures.js";

const NEAR = 0.9; // of the longest text: the count is stressed from here on

export class Writing {
  constructor(root) {
    this.box = root.querySelector("textarea");
    this.counter = root.querySelector(".count");
    this.longest = Number(root.dataset.longest);
    this.box.addEventListener("input", () => this.tell());
    this.tell();
  }

  tell() {
    const length = [...this.box.value].length; // as the model counts: code points
    this.counter.textContent = `${whole(length)}${this.longest ? ` of ${whole(this.longest)}` : ""} characters`;
    this.counter.classList.toggle("near", this.longest > 0 && length > this.longest * NEAR);
  }

  fault() {
    if (!this.box.value.trim()) return "There is no text yet: write something first.";
    const over = [...this.box.value].length - this.longest;
    return this.longest && over > 0 ? `The text is ${whole(over)} characters too long.` : "";
  }

  read() {
    return this.box.value;
  }

  focus() {
    this.box.focus();
  }

  clear() {
    this.box.value = "";
    this.tell();
  }
}

export class Json {
  constructor(root) {
    this.box = root.querySelector("textarea");
  }

  fault() {
    if (!this.box.value.trim()) return "There is nothing yet: write one instance as JSON.";
    try {
      JSON.parse(this.box.value);
      return "";
    } catch (error) {
      return `This is not JSON: ${error.message}`;
    }
  }

  read() {
    return JSON.parse(this.box.value);
  }

  focus() {
    this.box.focus();
  }

  clear() {
    this.box.value = "";
  }
}
