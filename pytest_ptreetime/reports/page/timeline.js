// A timeline: one canvas, lanes of nested bars; only what is visible is drawn, and nothing smaller than a pixel twice.

const ROW_HEIGHT = 18;
const USAGE_HEIGHT = 44;
const USAGE_SHOWN = 4; // times the processors: what waits beyond that is said, not drawn
const AXIS_HEIGHT = 18;
const PAPER_HEIGHT = 560; // pixels: a page in landscape
const APART = 0.5; // pixels between two bars that are wide enough
const LABEL_FROM = 28; // pixels of width from which a bar has its name on it
const LINES = ["memory", "text", "muted", "line", "surface", "critical", "selected", "busy", "waiting", "match", "bar-text", "bad", "good"];

// Rectangles at one height, from left to right: those of one colour that touch are drawn as one, which is most of the time.
class Strip {
  constructor(context, y, height) {
    Object.assign(this, { context, y, height, pieces: [] });
  }

  add(left, right, colour, alpha) {
    const last = this.pieces.at(-1);
    if (last && colour === last.colour && alpha === last.alpha && left - last.right < APART) last.right = right;
    else this.pieces.push({ left, right, colour, alpha });
  }

  paint() {
    for (const { left, right, colour, alpha } of this.pieces) {
      this.context.globalAlpha = alpha;
      this.context.fillStyle = colour;
      this.context.fillRect(left, this.y, right - left, this.height);
    }
  }
}

class Timeline {
  // `actions` are what the page does: select(index, options), hover(index, event), escape().
  constructor(build, box, view, colouring, found, actions) {
    this.build = build;
    this.box = box; // it scrolls; the canvas sticks to its upper edge
    this.canvas = $("canvas", box);
    this.view = view;
    this.colouring = colouring;
    this.actions = actions;
    this.found = []; // [index, number, kind] of what was found
    for (const { key, number, kind } of found) for (const index of build.withKey(key)) this.found.push([index, number, kind]);
    this.foundKind = new Map(this.found.map(([index, , kind]) => [index, kind]));
    this.usage = new Utilisation(build);
    this.memory = new MemoryOverTime(build);
    this.axis = this.canvas.hasAttribute("data-axis") ? AXIS_HEIGHT : 0;
    this.top = this.axis + USAGE_HEIGHT + 4;
    this.selected = -1;
    this.matches = new Set();
    this.onlyCritical = false;
    this.context = this.canvas.getContext("2d");
    this.pending = false;
    this.scroll = 0;
    this.recolour();
    new ResizeObserver(() => this.resize()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
    view.watchers.push(() => this.draw());
    box.addEventListener("scroll", () => {
      this.scroll = box.scrollTop;
      this.draw();
    });
    listen(this);
    this.resize();
    if (this.found.length) this.reveal(this.found[0][0]);
  }

  recolour() {
    this.codes = this.colouring.codes(this.build);
  }

  resize({ atOnce = false } = {}) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.colours = Object.fromEntries(LINES.map((name) => [name, colour(name)]));
    this.bars = COLOURS.map(colour);
    const whole = this.top + this.build.rows * ROW_HEIGHT + 4;
    this.box.style.height ||= `${Math.min(whole, Number(this.box.dataset.height)) + 2}px`;
    this.height = Math.max(Math.min(whole, this.box.clientHeight), this.top);
    this.canvas.style.height = `${this.height}px`;
    $(".spacer", this.box).style.height = `${Math.max(whole - this.height, 0)}px`;
    this.width = this.box.clientWidth;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.max(Math.round(this.width * scale), 1);
    this.canvas.height = Math.round(this.height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    if (atOnce) this.paint();
    else this.draw();
  }

  // What a page has no room for is not on paper: there is nothing to scroll.
  onPaper(printing) {
    if (printing) this.heightOnScreen = this.box.style.height;
    this.box.style.height = printing ? `${Math.min(this.top + this.build.rows * ROW_HEIGHT + 6, PAPER_HEIGHT)}px` : this.heightOnScreen;
    this.resize({ atOnce: true });
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
    return ((time - this.view.from) / (this.view.to - this.view.from)) * this.width;
  }

  time(x) {
    return this.view.from + (x / this.width) * (this.view.to - this.view.from);
  }

  paint() {
    const { context, width, height, colours, top } = this;
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.paintUsage();
    this.paintMemory();
    this.paintGrid();
    context.save();
    context.beginPath();
    context.rect(0, top, width, height - top);
    context.clip();
    const first = Math.max(Math.floor(this.scroll / ROW_HEIGHT), 0);
    const last = Math.min(Math.ceil((this.scroll + height - top) / ROW_HEIGHT), this.build.rows);
    for (let row = first; row < last; row++) this.paintRow(row);
    for (const [index, , kind] of this.found) this.outline(index, this.colourOfKind(kind), 2);
    if (this.selected >= 0) this.outline(this.selected, colours.selected, 3);
    context.restore();
    this.paintMarks();
  }

  paintRow(rowNumber) {
    const { build, context, width, colours } = this;
    const { from, to } = this.view;
    const row = build.rowIndex[rowNumber];
    const y = this.top + rowNumber * ROW_HEIGHT - this.scroll;
    const perPixel = (to - from) / width;
    const bars = new Strip(context, y + 1, ROW_HEIGHT - 2);
    const path = new Strip(context, y + ROW_HEIGHT - 4, 3);
    const labelled = [];
    let painted = -1; // the last pixel column that has something in it
    for (let i = firstEndingAfter(build, row, from); i < row.length; i++) {
      const index = row[i];
      if (build.start[index] > to) break;
      const left = Math.max((build.start[index] - from) / perPixel, 0);
      const right = Math.min(Math.max((build.end[index] - from) / perPixel, left + 1), width);
      if (right <= painted + 1) {
        // Whatever else ends inside the pixel that is painted already: jump over it all at once.
        const next = firstEndingAfter(build, row, from + (painted + 1) * perPixel);
        if (next > i + 1) i = next - 1;
        continue;
      }
      painted = Math.floor(right - 1);
      const wide = right - left >= 3;
      const alpha = this.faded(index) ? 0.2 : 1;
      const colour = this.matches.has(index) ? colours.match : this.bars[this.codes[index]];
      bars.add(left, right - (wide ? APART : 0), colour, alpha);
      if (build.critical[index]) path.add(left, right, colours.critical, alpha);
      if (right - left >= LABEL_FROM) labelled.push([index, left, right, alpha]);
    }
    bars.paint();
    path.paint();
    for (const [index, left, right, alpha] of labelled) this.label(index, left, right, y, alpha);
    context.globalAlpha = 1;
  }

  faded(index) {
    if (this.onlyCritical && !this.build.critical[index]) return true;
    return this.matches.size > 0 && !this.matches.has(index);
  }

  // Without directories where there is no room for them, then cut.
  label(index, left, right, y, alpha) {
    const { context } = this;
    const room = right - left - 6;
    const most = Math.floor(room / 5.5);
    let text = this.build.labelOf(index);
    if (text.length > most) text = text.replace(/\S*\/(?=\S)/g, "");
    if (text.length > most) text = most > 1 ? `${text.slice(0, most - 1)}…` : "";
    context.globalAlpha = alpha;
    context.fillStyle = this.colours["bar-text"];
    context.fillText(text, left + 3, y + ROW_HEIGHT / 2 - 1, room);
  }

  outline(index, colour, thickness) {
    const { context, build } = this;
    const y = this.top + build.row[index] * ROW_HEIGHT - this.scroll;
    if (y < this.top - ROW_HEIGHT || y > this.height || build.end[index] < this.view.from || build.start[index] > this.view.to) return;
    const left = this.x(build.start[index]);
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.strokeRect(left, y + 1, Math.max(this.x(build.end[index]) - left, 3), ROW_HEIGHT - 2);
  }

  colourOfKind(kind) {
    return kind === "improvement" || kind === "removed" ? this.colours.good : this.colours.bad;
  }

  // What was found, with its number in the table, below the processors: seen also where its lane is not.
  paintMarks() {
    const { context, build } = this;
    const y = this.axis + USAGE_HEIGHT;
    const painted = new Set();
    for (const [index, number, kind] of this.found) {
      const x = this.x((build.start[index] + build.end[index]) / 2);
      if (x < 0 || x > this.width || painted.has(Math.round(x / 8))) continue;
      painted.add(Math.round(x / 8));
      context.fillStyle = this.colourOfKind(kind);
      context.beginPath();
      context.moveTo(x - 6, y - 9);
      context.lineTo(x + 6, y - 9);
      context.lineTo(x, y + 2);
      context.fill();
      context.fillText(`${number}`, x + 8, y - 5);
    }
  }

  paintGrid() {
    const { context, width, colours, view } = this;
    const step = niceStep((view.to - view.from) / Math.max(width / 110, 1));
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.fillStyle = colours.muted;
    for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
      const x = Math.round(this.x(time)) + 0.5;
      context.beginPath();
      context.moveTo(x, this.axis ? this.axis - 4 : 0);
      context.lineTo(x, this.height);
      context.stroke();
      if (this.axis) context.fillText(seconds(time / 1e6), Math.min(x + 3, width - 48), this.axis / 2);
    }
    const end = Math.round(this.x(this.build.span)) + 0.5; // of the build: the other one may have taken longer
    context.strokeStyle = colours.text;
    context.beginPath();
    context.moveTo(end, this.axis);
    context.lineTo(end, this.height);
    context.stroke();
  }

  paintUsage() {
    const { context, width, colours, usage, build } = this;
    const bottom = this.axis + USAGE_HEIGHT;
    context.fillStyle = colours.surface;
    context.fillRect(0, this.axis, width, USAGE_HEIGHT);
    if (!usage.known) return;
    const values = [];
    let most = build.cpus || 1;
    for (let x = 0; x < width; x += 2) {
      const [from, to] = [this.time(x), this.time(x + 2)];
      const busy = usage.mean(usage.busy, from, to);
      const waiting = usage.mean(usage.waiting, from, to);
      values.push([x, busy, waiting]);
      most = Math.max(most, busy + waiting);
    }
    const shown = Math.min(most, build.cpus ? USAGE_SHOWN * build.cpus : most);
    const scale = (USAGE_HEIGHT - 14) / shown;
    const bar = (x, amount) => context.fillRect(x, bottom - Math.min(amount, shown) * scale, 2, Math.min(amount, shown) * scale);
    context.fillStyle = colours.waiting;
    for (const [x, busy, waiting] of values) bar(x, busy + waiting);
    context.fillStyle = colours.busy;
    for (const [x, busy] of values) bar(x, busy);
    if (!build.cpus) return;
    const y = Math.round(bottom - build.cpus * scale) + 0.5;
    context.strokeStyle = context.fillStyle = colours.text;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    context.setLineDash([]);
    const cut = most > shown ? `, up to ${Math.round(most - build.cpus)} more wanted` : "";
    context.fillText(`${build.cpus} CPUs${cut}`, 4, y - 6);
  }

  paintMemory() {
    const { context, width, colours, memory, view } = this;
    if (!memory.peak) return;
    const bottom = this.axis + USAGE_HEIGHT;
    const scale = (USAGE_HEIGHT - 14) / memory.scale;
    context.strokeStyle = context.fillStyle = colours.memory;
    context.lineWidth = 1.5;
    context.beginPath();
    const end = this.x(this.build.span);
    memory.most(view.from, view.to, Math.ceil(width / 2)).forEach((sum, column) => {
      if (2 * column <= end) context.lineTo(2 * column, bottom - sum * scale);
    });
    context.stroke();
    context.textAlign = "right";
    context.fillText(`at most ${bytes(memory.peak)}`, width - 4, this.axis + 6);
    context.textAlign = "left";
  }

  // -1 for none.
  select(index) {
    this.selected = index;
    if (index >= 0) this.reveal(index);
    this.draw();
  }

  // Scrolls so that the process's lane is seen.
  reveal(index) {
    const y = this.build.row[index] * ROW_HEIGHT;
    const room = this.height - this.top;
    if (y < this.scroll || y + ROW_HEIGHT > this.scroll + room) this.box.scrollTop = y - room / 2;
  }

  pointed(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (y < this.top) return -1;
    const slack = ((this.view.to - this.view.from) / this.width) * 2;
    return this.build.at(this.time(x), Math.floor((y - this.top + this.scroll) / ROW_HEIGHT), slack);
  }
}
