// The timeline: one canvas, lanes of nested bars; only what is visible is drawn, and nothing smaller than a pixel twice.

const ROW_HEIGHT = 18;
const AXIS_HEIGHT = 20;
const USAGE_HEIGHT = 64;
const TOP = AXIS_HEIGHT + USAGE_HEIGHT + 8;
const MOST_HEIGHT = 640;
const LABEL_FROM = 28; // pixels of width from which a bar has its name on it
const PALETTE = 10;

class Timeline {
  constructor(build, canvas, onSelect, onHover) {
    this.build = build;
    this.canvas = canvas;
    this.onSelect = onSelect;
    this.onHover = onHover;
    this.usage = new Utilisation(build);
    this.from = 0;
    this.to = build.span;
    this.scroll = 0;
    this.selected = -1;
    this.matches = new Set();
    this.onlyCritical = false;
    this.colourOfName = build.strings.map((name) => hash(name) % PALETTE);
    this.context = canvas.getContext("2d");
    this.pending = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
    this.listen();
    this.resize();
  }

  resize() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(
      ["text", "muted", "line", "surface", "critical", "selected", "busy", "waiting", "match", "bar-text"].map((name) => [
        name,
        style.getPropertyValue(`--${name}`).trim(),
      ]),
    );
    this.bars = Array.from({ length: PALETTE }, (_, i) => style.getPropertyValue(`--bar-${i}`).trim());
    this.height = Math.min(TOP + this.build.rows * ROW_HEIGHT + 8, MOST_HEIGHT);
    this.canvas.style.height = `${this.height}px`;
    this.width = this.canvas.clientWidth;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.max(Math.round(this.width * scale), 1);
    this.canvas.height = Math.round(this.height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  x(time) {
    return ((time - this.from) / (this.to - this.from)) * this.width;
  }

  time(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  paint() {
    const { context, width, height, colours } = this;
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.paintUsage();
    this.paintAxis();
    context.save();
    context.beginPath();
    context.rect(0, TOP, width, height - TOP);
    context.clip();
    const first = Math.max(Math.floor(this.scroll / ROW_HEIGHT), 0);
    const last = Math.min(Math.ceil((this.scroll + height - TOP) / ROW_HEIGHT), this.build.rows);
    for (let row = first; row < last; row++) this.paintRow(row);
    if (this.selected >= 0) this.outline(this.selected, colours.selected, 2);
    context.restore();
  }

  paintRow(rowNumber) {
    const { build, context, width, colours } = this;
    const row = build.rowIndex[rowNumber];
    const y = TOP + rowNumber * ROW_HEIGHT - this.scroll;
    const perPixel = (this.to - this.from) / width;
    let painted = -1; // the last pixel column that has something in it
    for (let i = firstEndingAfter(build, row, this.from); i < row.length; i++) {
      const index = row[i];
      if (build.start[index] > this.to) break;
      const left = Math.max(this.x(build.start[index]), 0);
      const right = Math.min(Math.max(this.x(build.end[index]), left + 1), width);
      if (right <= painted + 1) {
        // Whatever else ends inside the pixel that is painted already: jump over it all at once.
        const next = firstEndingAfter(build, row, this.from + (painted + 1) * perPixel);
        if (next > i + 1) i = next - 1;
        continue;
      }
      painted = Math.floor(right - 1);
      const wide = right - left >= 3;
      const faded = this.faded(index);
      context.globalAlpha = faded ? 0.2 : 1;
      context.fillStyle = this.matches.has(index) ? colours.match : this.bars[this.colourOfName[build.name[index]]];
      context.fillRect(left, y + 1, right - left - (wide ? 0.5 : 0), ROW_HEIGHT - 2);
      if (build.critical[index]) {
        context.fillStyle = colours.critical;
        context.fillRect(left, y + ROW_HEIGHT - 4, right - left, 3);
      }
      if (right - left >= LABEL_FROM) this.label(index, left, right, y);
      context.globalAlpha = 1;
    }
  }

  faded(index) {
    if (this.onlyCritical && !this.build.critical[index]) return true;
    return this.matches.size > 0 && !this.matches.has(index);
  }

  label(index, left, right, y) {
    const { context } = this;
    const room = right - left - 6;
    let text = this.build.labelOf(index);
    const most = Math.floor(room / 5.5);
    if (text.length > most) text = most > 1 ? `${text.slice(0, most - 1)}…` : "";
    context.fillStyle = this.colours["bar-text"];
    context.fillText(text, left + 3, y + ROW_HEIGHT / 2 - 1, room);
  }

  outline(index, colour, thickness) {
    const y = TOP + this.build.row[index] * ROW_HEIGHT - this.scroll;
    const left = this.x(this.build.start[index]);
    this.context.strokeStyle = colour;
    this.context.lineWidth = thickness;
    this.context.strokeRect(left, y + 1, Math.max(this.x(this.build.end[index]) - left, 3), ROW_HEIGHT - 2);
  }

  paintAxis() {
    const { context, width, colours } = this;
    const step = niceStep((this.to - this.from) / Math.max(width / 110, 1));
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.fillStyle = colours.muted;
    for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
      const x = Math.round(this.x(time)) + 0.5;
      context.beginPath();
      context.moveTo(x, AXIS_HEIGHT - 4);
      context.lineTo(x, this.height);
      context.stroke();
      context.fillText(seconds(time / 1e6), Math.min(x + 3, width - 48), AXIS_HEIGHT / 2);
    }
  }

  paintUsage() {
    const { context, width, colours, usage, build } = this;
    const bottom = AXIS_HEIGHT + USAGE_HEIGHT;
    context.fillStyle = colours.surface;
    context.fillRect(0, AXIS_HEIGHT, width, USAGE_HEIGHT);
    const values = [];
    let most = build.cpus || 1;
    for (let x = 0; x < width; x += 2) {
      const from = this.time(x);
      const to = this.time(x + 2);
      const busy = usage.known ? usage.mean(usage.busy, from, to) : 0;
      const waiting = usage.known ? usage.mean(usage.waiting, from, to) : 0;
      values.push([x, busy, waiting]);
      most = Math.max(most, busy + waiting);
    }
    const scale = (USAGE_HEIGHT - 12) / most;
    for (const [x, busy, waiting] of values) {
      context.fillStyle = colours.waiting;
      context.fillRect(x, bottom - (busy + waiting) * scale, 2, waiting * scale);
      context.fillStyle = colours.busy;
      context.fillRect(x, bottom - busy * scale, 2, busy * scale);
    }
    if (build.cpus) {
      const y = Math.round(bottom - build.cpus * scale) + 0.5;
      context.strokeStyle = colours.text;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
      context.setLineDash([]);
      context.fillStyle = colours.text;
      context.fillText(`${build.cpus} CPUs`, 4, y - 6);
    }
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    const width = Math.min(Math.max((this.to - this.from) * factor, 5), this.build.span * 1.05);
    const share = (around - this.from) / (this.to - this.from);
    this.show(around - width * share, around + width * (1 - share));
  }

  pan(share) {
    const step = (this.to - this.from) * share;
    this.show(this.from + step, this.to + step);
  }

  show(from, to) {
    const width = to - from;
    const margin = this.build.span * 0.025;
    this.from = Math.min(Math.max(from, -margin), Math.max(this.build.span + margin - width, -margin));
    this.to = this.from + width;
    this.draw();
  }

  showAll() {
    this.show(0, this.build.span);
  }

  scrollTo(position) {
    const most = Math.max(TOP + this.build.rows * ROW_HEIGHT + 8 - this.height, 0);
    this.scroll = Math.min(Math.max(position, 0), most);
    this.draw();
  }

  select(index, { zoom = false } = {}) {
    this.selected = index;
    if (index >= 0) {
      const length = this.build.end[index] - this.build.start[index];
      const visible = this.build.start[index] >= this.from && this.build.end[index] <= this.to;
      if (zoom) this.show(this.build.start[index] - length, this.build.end[index] + length);
      else if (!visible) {
        const width = this.to - this.from;
        const middle = this.build.start[index] + Math.min(length, width) / 2;
        this.show(middle - width / 2, middle + width / 2);
      }
      const y = this.build.row[index] * ROW_HEIGHT;
      if (y < this.scroll || y + ROW_HEIGHT > this.scroll + this.height - TOP) this.scrollTo(y - (this.height - TOP) / 2);
    }
    this.draw();
    this.onSelect(index);
  }

  pointed(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (y < TOP) return -1;
    const slack = ((this.to - this.from) / this.width) * 2;
    return this.build.at(this.time(x), Math.floor((y - TOP + this.scroll) / ROW_HEIGHT), slack);
  }

  listen() {
    const { canvas } = this;
    let drag = null;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, y: event.clientY, from: this.from, to: this.to, scroll: this.scroll, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag === null) return this.onHover(this.pointed(event), event);
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.moved ||= Math.abs(dx) + Math.abs(dy) > 4;
      if (!drag.moved) return;
      const shift = (dx / this.width) * (drag.to - drag.from);
      this.show(drag.from - shift, drag.to - shift);
      this.scrollTo(drag.scroll - dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (drag !== null && !drag.moved) this.select(this.pointed(event));
      drag = null;
    });
    canvas.addEventListener("pointercancel", () => (drag = null));
    canvas.addEventListener("pointerleave", (event) => this.onHover(-1, event));
    canvas.addEventListener("dblclick", (event) => {
      const index = this.pointed(event);
      if (index >= 0) this.select(index, { zoom: true });
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // A wheel scrolls the page, as everywhere, until a modifier says that the timeline is meant.
  wheel(event) {
    const box = this.canvas.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY * 0.002), this.time(event.clientX - box.left));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.pan((event.deltaX || event.deltaY) / this.width);
    } else if (event.altKey) this.scrollTo(this.scroll + event.deltaY);
    else return;
    event.preventDefault();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { build, selected } = this;
    const start = selected >= 0 ? selected : 0;
    const actions = {
      "+": () => this.zoom(0.6),
      "=": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6),
      0: () => this.showAll(),
      Home: () => this.showAll(),
      a: () => this.pan(-0.2),
      d: () => this.pan(0.2),
      w: () => this.scrollTo(this.scroll - 4 * ROW_HEIGHT),
      s: () => this.scrollTo(this.scroll + 4 * ROW_HEIGHT),
      ArrowLeft: () => (event.shiftKey ? this.pan(-0.2) : this.select(selected < 0 ? 0 : build.neighbour(start, -1))),
      ArrowRight: () => (event.shiftKey ? this.pan(0.2) : this.select(selected < 0 ? 0 : build.neighbour(start, 1))),
      ArrowUp: () => this.select(build.parent[start] >= 0 ? build.parent[start] : start),
      ArrowDown: () => this.select(build.childCount[start] ? build.firstChild(start) : start),
      Enter: () => selected >= 0 && this.select(selected, { zoom: true }),
      Escape: () => this.select(-1),
    };
    if (actions[event.key] === undefined) return;
    actions[event.key]();
    event.preventDefault();
  }
}

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return value >>> 0;
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least);
}
