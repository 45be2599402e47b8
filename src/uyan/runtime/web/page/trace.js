// The last seconds of every word's scores as lines on a canvas, with the thresholds and a mark for every detection.

const SHOWN_S = 20;
const MARGIN = 6;
const COLOURS = 4;

export class Trace {
  constructor(canvas) {
    this.canvas = canvas;
    this.thresholds = [];
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Nothing heard yet. */
  clear() {
    this.hops = [];
    this.draw();
  }

  /** Where a word's threshold lies. */
  setThreshold(word, value) {
    this.thresholds[word] = value;
    this.draw();
  }

  /** More hops, {word, time_s, score, fired}. */
  add(hops) {
    this.hops.push(...hops);
    const newest = this.newest;
    this.hops = this.hops.filter(({ time_s }) => time_s >= newest - SHOWN_S);
    this.draw();
  }

  get newest() {
    return this.hops.at(-1)?.time_s ?? 0;
  }

  draw() {
    const { canvas } = this;
    const scale = devicePixelRatio;
    [canvas.width, canvas.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const colour = (name) => getComputedStyle(canvas).getPropertyValue(name);
    const end = Math.max(this.newest, SHOWN_S);
    const x = (time_s) => canvas.clientWidth * (1 - (end - time_s) / SHOWN_S);
    const y = (score) => MARGIN + (canvas.clientHeight - 2 * MARGIN) * (1 - score);
    for (const { time_s } of this.hops.filter(({ fired }) => fired)) {
      line(pen, [[x(time_s), 0], [x(time_s), canvas.clientHeight]], colour("--heard"), 3);
    }
    this.thresholds.forEach((threshold, word) => {
      const own = this.hops.filter((hop) => hop.word === word);
      const ink = colour(`--word-${word % COLOURS}`);
      const dashes = this.thresholds.length > 1 ? ink : colour("--quiet");
      line(pen, [[0, y(threshold)], [canvas.clientWidth, y(threshold)]], dashes, 1, [5, 4]);
      line(pen, own.map(({ time_s, score }) => [x(time_s), y(score)]), ink, 2);
    });
  }
}

function line(pen, points, colour, width, dashes = []) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dashes);
  pen.stroke();
}
