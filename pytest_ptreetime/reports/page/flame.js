// A flame graph of processor time: each node as wide as what it and everything below it used. Coloured by the change it
// is the differential one (Brendan Gregg, "Differential Flame Graphs", 2014): the widths are now's, or before's.

const FRAME_HEIGHT = 20;
const LEAST_FRAME = 0.0015; // of the whole width: about two pixels

class Flame {
  constructor(box, forest, compared, colouring, onJump) {
    this.box = box;
    this.forest = forest;
    this.compared = compared;
    this.colouring = colouring;
    this.scheme = compared ? "change" : "tool";
    this.onJump = onJump;
    this.side = "now";
    this.path = []; // the rows from the root to what is zoomed to
  }

  width(row) {
    return row.total[this.side]?.cpu ?? 0;
  }

  draw() {
    const frames = document.createDocumentFragment();
    const zoomed = this.path.at(-1);
    const top = zoomed ? [zoomed] : this.forest.below(null);
    const whole = top.reduce((sum, row) => sum + this.width(row), 0) || 1;
    let deepest = this.path.length;
    this.path.slice(0, -1).forEach((row, depth) => frames.append(this.frame(row, depth, 0, 1)));
    const waiting = this.placed(top, zoomed ? this.path.length - 1 : 0, 0, whole);
    while (waiting.length) {
      const [row, depth, left, width] = waiting.pop();
      frames.append(this.frame(row, depth, left, width));
      deepest = Math.max(deepest, depth + 1);
      waiting.push(...this.placed(this.forest.below(row.key), depth + 1, left, whole));
    }
    this.box.style.height = `${deepest * FRAME_HEIGHT}px`;
    this.box.replaceChildren(frames);
  }

  placed(rows, depth, from, whole) {
    let left = from;
    const places = [];
    for (const row of rows.slice().sort((a, b) => (a.key < b.key ? -1 : 1))) {
      const width = this.width(row) / whole;
      if (width >= LEAST_FRAME) places.push([row, depth, left, width]);
      left += width;
    }
    return places;
  }

  frame(row, depth, left, width) {
    const label = shortOf(row.key);
    const { before, now, ratio } = row.total;
    const compared = this.compared && before ? `, ${seconds(before.cpu, now?.cpu)} before, ${changeOf(ratio.cpu)}` : "";
    const title = `${label}: ${seconds(now?.cpu ?? 0, before?.cpu)} of processor time with everything below${compared}`;
    return element(
      "button",
      {
        type: "button",
        class: `frame ${this.colouring.ofNode(row.key, this.scheme)}`,
        title,
        "aria-label": title,
        style: `left:${100 * left}%;width:${100 * width}%;top:${depth * FRAME_HEIGHT}px`,
        onclick: () => this.zoom(row),
        ondblclick: () => this.onJump(row.key),
      },
      width > 0.02 ? label : "",
    );
  }

  zoom(row) {
    const again = this.path.at(-1) === row;
    this.path = [];
    for (let each = again ? this.forest.above(row) : row; each; each = this.forest.above(each)) this.path.unshift(each);
    if (this.path.length === 1) this.path = []; // the root is the whole
    this.draw();
    [...this.box.children].find((one) => one.title.startsWith(`${shortOf(row.key)}:`))?.focus();
  }
}
