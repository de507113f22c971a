// Reading what html.py has embedded: texts, deflated, in base64. `Build` is one run's processes as columns.

const $ = (selector, root = document) => root.querySelector(selector);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value ?? "";
    else if (name === "style") made.style.cssText = value ?? ""; // an attribute would break the page's own policy
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children); // strings become text nodes: nothing from a build is ever parsed as markup
  return made;
}

async function embedded(id) {
  const text = document.getElementById(id).textContent.trim();
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const inflating = new DecompressionStream("deflate");
  const writer = inflating.writable.getWriter();
  writer.write(bytes);
  writer.close();
  const reader = inflating.readable.getReader();
  const decoder = new TextDecoder();
  let inflated = ""; // by hand: a Blob or a Response sends all of it through another of the browser's processes, and back
  for (let part = await reader.read(); !part.done; part = await reader.read()) inflated += decoder.decode(part.value, { stream: true });
  return inflated;
}

const UNKNOWN = "–";

// Amounts and changes as in system/figures.py.
const SCALES = {
  s: [["s", 1], ["ms", 1e-3], ["µs", 1e-6]],
  B: [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10], ["B", 1]],
};

function isUnknown(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

// In the unit that the larger of `value` and `beside` needs.
function amount(value, unit, beside) {
  if (isUnknown(value)) return UNKNOWN;
  if (!unit) return `${value}`;
  const largest = Math.max(Math.abs(value), isUnknown(beside) ? 0 : Math.abs(beside));
  if (largest === 0) return `0 ${unit}`;
  const size = unit === "s" ? Number(largest.toPrecision(3)) : largest;
  const [name, scale] = SCALES[unit].find((each) => size >= each[1]) ?? SCALES[unit].at(-1);
  const scaled = value / scale;
  if (name === "B" || Math.abs(scaled) >= 999.5) return `${scaled.toFixed(0)} ${name}`;
  return `${Number(scaled.toPrecision(3))} ${name}`;
}

function seconds(value, beside) {
  return amount(value, "s", beside);
}

function bytes(value) {
  return amount(value, "B");
}

function changeOf(ratio) {
  if (isUnknown(ratio)) return UNKNOWN;
  if (ratio >= 3) return `x${ratio.toFixed(ratio < 99.95 ? 1 : 0)}`;
  const percent = Math.round((ratio - 1) * 1000) / 10 || 0;
  return `${percent < 0 ? "" : "+"}${percent.toFixed(ratio < 1.9995 ? 1 : 0)} %`;
}

// `cc1 src/table.c` of `make/gcc/cc1[src/table.c]`.
function shortOf(key) {
  const bracket = key.indexOf("[");
  if (bracket < 1 || !key.endsWith("]")) return key.slice(key.lastIndexOf("/") + 1) || key;
  const name = key.slice(key.lastIndexOf("/", bracket) + 1, bracket);
  return `${name} ${key.slice(bracket + 1, -1)}`;
}

// A column with one value throughout is that value alone.
function column(values, count) {
  return Array.isArray(values) ? values : new Array(count).fill(values?.all);
}

function columns(named, count) {
  return Object.fromEntries(Object.entries(named).map(([name, values]) => [name, column(values, count)]));
}

class Build {
  constructor(data, strings) {
    this.strings = strings;
    this.count = data.name.length;
    this.name = Int32Array.from(data.name);
    this.key = Int32Array.from(data.key);
    this.label = Int32Array.from(column(data.label, this.count)); // -1: the name with what is in the key
    this.directory = Int32Array.from(column(data.directory, this.count)); // of the file that it works on; -1: none
    this.parent = Int32Array.from(data.parent); // -1: none
    this.pid = data.pid;
    this.start = running(data.start); // microseconds from the root's start, as differences
    this.end = Float64Array.from(data.duration, (duration, i) => this.start[i] + duration);
    this.row = Int32Array.from(data.row);
    this.rows = data.rows;
    this.critical = new Uint8Array(this.count);
    for (const index of data.critical) this.critical[index] = 1;
    this.criticalOrder = data.critical;
    this.numbers = columns(data.numbers, this.count); // columns with null for unknown: microseconds, bytes, statuses
    this.marks = new Map(data.marks); // index -> words: still running, reparented
    this.exe = column(data.exe, this.count);
    this.cwd = column(data.cwd, this.count);
    this.cpus = data.cpus;
    this.commands = null; // a string for each process, loaded after the first picture
    this.span = this.end.reduce((most, end) => Math.max(most, end), 1);
    this.byStart = sortedBy(this.start);
    this.byEnd = sortedBy(this.end);
    this.rowIndex = indexByRow(this);
    this.byKey = new Map(); // in preorder
    for (let i = 0; i < this.count; i++) {
      const same = this.byKey.get(this.key[i]);
      if (same) same.push(i);
      else this.byKey.set(this.key[i], [i]);
    }
    this.childCount = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) if (this.parent[i] >= 0) this.childCount[this.parent[i]]++;
  }

  nameOf(index) {
    return this.strings[this.name[index]];
  }

  keyOf(index) {
    return this.strings[this.key[index]];
  }

  // The name with what matters of the arguments: `cc1 src/table.c`.
  labelOf(index) {
    if (this.label[index] >= 0) return this.strings[this.label[index]];
    const key = this.keyOf(index);
    const bracket = key.indexOf("[");
    return bracket < 0 || !key.endsWith("]") ? this.nameOf(index) : `${this.nameOf(index)} ${key.slice(bracket + 1, -1)}`;
  }

  commandOf(index) {
    return this.commands === null ? "" : this.commands[index];
  }

  firstChild(index) {
    for (let i = index + 1; i < this.count; i++) if (this.parent[i] === index) return i; // preorder: close by
    return -1;
  }

  wall(index) {
    return (this.end[index] - this.start[index]) / 1e6;
  }

  number(name, index) {
    return this.numbers[name]?.[index] ?? null;
  }

  withKey(key) {
    return this.byKey.get(this.strings.indexOf(key)) ?? [];
  }

  // The process of `other` (before, or now) that is the same step: of those with its key the one in the same place.
  counterpart(index, other) {
    const place = this.byKey.get(this.key[index]).indexOf(index);
    return other.byKey.get(this.key[index])?.[place] ?? -1;
  }

  longest(key) {
    return this.withKey(key).reduce((best, i) => (best < 0 || this.wall(i) > this.wall(best) ? i : best), -1);
  }

  search(text) {
    const wanted = text.toLowerCase();
    this.lowered ??= Array.from({ length: this.count }, (_, i) => this.labelOf(i).toLowerCase());
    const found = [];
    for (let i = 0; i < this.count; i++) {
      if (this.lowered[i].includes(wanted) || (this.commands !== null && this.commands[i].toLowerCase().includes(wanted))) {
        found.push(i);
      }
    }
    return found.sort((a, b) => this.start[a] - this.start[b]);
  }

  neighbour(index, step) {
    const row = this.rowIndex[this.row[index]];
    return row[row.indexOf(index) + step] ?? index;
  }

  at(time, rowNumber, slack) {
    const row = this.rowIndex[rowNumber];
    if (row === undefined) return -1;
    let best = -1;
    let bestDistance = slack;
    for (let i = firstEndingAfter(this, row, time - slack); i < row.length && this.start[row[i]] <= time + slack; i++) {
      const index = row[i];
      const distance = Math.max(this.start[index] - time, time - this.end[index], 0);
      if (distance < bestDistance || (distance === 0 && best < 0)) [best, bestDistance] = [index, distance];
    }
    return best;
  }
}

function running(differences) {
  const sums = new Float64Array(differences.length);
  let sum = 0;
  differences.forEach((difference, i) => (sums[i] = sum += difference));
  return sums;
}

function sortedBy(times) {
  return Int32Array.from(times, (_, i) => i).sort((a, b) => times[a] - times[b]);
}

// Bars of one row never overlap, so that their starts and their ends are both sorted.
function indexByRow(build) {
  const rows = Array.from({ length: build.rows }, () => []);
  for (const index of build.byStart) rows[build.row[index]].push(index);
  return rows;
}

function firstEndingAfter(build, row, time) {
  let low = 0;
  let high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (build.end[row[middle]] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function diffRows(diff, strings) {
  const count = diff.key.length;
  const [parent, kind, finding, line, sessions] = ["parent", "kind", "finding", "line", "sessions"].map((name) => column(diff[name], count));
  const [now, before, ratio] = [diff.now, diff.before, diff.ratio].map((named) => columns(named, count));
  const side = (values, i) => {
    if (values.count[i] === null) return null;
    const metrics = {};
    for (const metric in values) if (values[metric][i] !== null) metrics[metric] = values[metric][i];
    return metrics;
  };
  return diff.key.map((key, i) => ({
    key: strings[key],
    parent: strings[parent[i]] ?? null,
    kind: strings[kind[i]],
    finding: strings[finding[i]],
    line: strings[line[i]], // the sessions of the store: a sparkline, and in words
    sessions: strings[sessions[i]],
    now: side(now, i),
    before: side(before, i),
    ratio: { wall: ratio.wall[i], cpu: ratio.cpu[i] }, // at the baseline's machine speed
  }));
}
