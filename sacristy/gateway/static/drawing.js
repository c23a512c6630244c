// A canvas of 8 by 8 cells for a digit, by pointer or by keyboard.

const SIDE = 8; // cells of a drawing, each way
const FINE = 4; // dots of a cell, each way: a cell's value is its share of inked dots

export class Drawing {
  constructor(root) {
    const [canvas, seen] = [root.querySelector("#drawing"), root.querySelector("#seen")];
    Object.assign(this, { canvas, seen, greatest: Number(root.dataset.greatest), pen: null, cell: [3, 3], keyed: false });
    this.ink = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    this.paper = this.ink.getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.pen = null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const change of ["focus", "blur"]) canvas.addEventListener(change, () => this.show());
    this.show();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.keyed = false;
    this.pen = this.place(event);
    this.move(event);
  }

  move(event) {
    if (!this.pen) return;
    const next = this.place(event);
    Object.assign(this.paper, { lineWidth: this.canvas.width / 9, lineCap: "round", strokeStyle: "#000" });
    this.paper.beginPath();
    this.paper.moveTo(...this.pen);
    this.paper.lineTo(next[0] + 0.01, next[1]);
    this.paper.stroke();
    this.pen = next;
    this.show();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    this.keyed = true;
    if (step) this.cell = this.cell.map((value, axis) => Math.min(SIDE - 1, Math.max(0, value + step[axis])));
    else this.toggle();
    this.show();
  }

  toggle() {
    const size = this.canvas.width / SIDE;
    const [left, top] = this.cell.map((value) => value * size);
    const inked = this.paper.getImageData(left + size / 2, top + size / 2, 1, 1).data[3] > 127;
    this.paper.clearRect(left, top, size, size);
    if (!inked) this.paper.fillRect(left, top, size, size);
  }

  show() {
    const face = this.canvas.getContext("2d");
    face.clearRect(0, 0, this.canvas.width, this.canvas.height);
    face.drawImage(this.ink, 0, 0);
    if (this.keyed && document.activeElement === this.canvas) {
      const size = this.canvas.width / SIDE;
      Object.assign(face, { strokeStyle: "#5b3b96", lineWidth: 4 });
      face.strokeRect(this.cell[0] * size + 2, this.cell[1] * size + 2, size - 4, size - 4);
    }
    const small = this.seen.getContext("2d");
    const size = this.seen.width / SIDE;
    this.read().forEach((value, index) => {
      const grey = Math.round(255 * (1 - value / this.greatest));
      small.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
      small.fillRect((index % SIDE) * size, Math.floor(index / SIDE) * size, size, size);
    });
  }

  // The box around the ink: as in the data set's own preparation, a digit fills the height whatever its drawn size.
  bounds() {
    const { width, height } = this.ink;
    const dots = this.paper.getImageData(0, 0, width, height).data;
    let [left, top, right, bottom] = [width, height, -1, -1];
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        if (dots[(y * width + x) * 4 + 3] <= 127) continue;
        [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
      }
    }
    return right < 0 ? null : [left, top, right - left + 2, bottom - top + 2];
  }

  read() {
    const box = this.bounds();
    const cells = new Array(SIDE * SIDE).fill(0);
    if (!box) return cells;
    const dots = SIDE * FINE;
    const fine = Object.assign(document.createElement("canvas"), { width: dots, height: dots });
    const brush = fine.getContext("2d");
    const scale = Math.min(dots / box[2], dots / box[3]);
    const [width, height] = [box[2] * scale, box[3] * scale];
    brush.drawImage(this.ink, ...box, (dots - width) / 2, (dots - height) / 2, width, height);
    const data = brush.getImageData(0, 0, dots, dots).data;
    for (let index = 0; index < dots * dots; index++) {
      const [x, y] = [index % dots, Math.floor(index / dots)];
      const inked = data[index * 4 + 3] > 127 ? 1 : 0;
      cells[Math.floor(y / FINE) * SIDE + Math.floor(x / FINE)] += (inked * this.greatest) / (FINE * FINE);
    }
    return cells;
  }

  // What is wrong with asking now, or an empty string.
  fault() {
    return this.bounds() ? "" : "The field is empty: draw a digit first.";
  }

  focus() {
    this.canvas.focus();
  }

  clear() {
    this.paper.clearRect(0, 0, this.ink.width, this.ink.height);
    this.show();
  }
}
