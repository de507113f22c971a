// The table of nodes, before and now: sorted, filtered, or as a tree. Without JavaScript the page has its head as HTML.

const ROWS_AT_ONCE = 200;
const SLOWER = 1.02; // less than 2 % is not coloured: it is noise more often than not

const COLUMNS = [
  { name: "key", text: (row) => row.key, sort: (row) => row.key },
  { name: "history", text: (row) => row.line, sort: (row) => row.line },
  { name: "count", text: (row) => beforeAndNow(row, "count", (value) => `${value}`), sort: (row) => row.now?.count ?? 0 },
  ...["wall", "cpu"].flatMap((metric) => [
    { name: `${metric}-before`, text: (row) => seconds(row.before?.[metric], row.now?.[metric]), sort: (row) => row.before?.[metric] ?? -1 },
    { name: metric, text: (row) => seconds(row.now?.[metric], row.before?.[metric]), sort: (row) => row.now?.[metric] ?? -1 },
    {
      name: `${metric}-change`,
      text: (row) => changeText(row, metric),
      sort: (row) => Math.round(Math.abs(difference(row, metric)) * 1e4),
      tint: (row) => row.ratio[metric],
    },
  ]),
  { name: "max_rss", text: (row) => bytes(row.now?.max_rss), sort: (row) => row.now?.max_rss ?? -1 },
];

function beforeAndNow(row, metric, format) {
  const [before, now] = [row.before?.[metric], row.now?.[metric]];
  if (now === undefined) return before === undefined ? UNKNOWN : `${format(before)} → 0`;
  return before === undefined || before === now ? format(now) : `${format(before)} → ${format(now)}`;
}

function difference(row, metric) {
  return (row.now?.[metric] ?? 0) - (row.before?.[metric] ?? 0);
}

function changeText(row, metric) {
  if (row.kind === "added") return "new";
  if (row.kind === "removed") return "gone";
  return changeOf(row.ratio[metric]);
}

// The rows with what hangs on them, in each row `total` with all that is below it: worked out when it is first asked for.
class Forest {
  constructor(rows, machine) {
    this.rows = rows;
    this.machine = machine;
  }

  get byKey() {
    return (this.keys ??= new Map(this.rows.map((row) => [row.key, row])));
  }

  // Of the row with that key; of null those that hang on none.
  below(key) {
    this.children ??= this.grown();
    return this.children.get(key) ?? [];
  }

  above(row) {
    return this.byKey.get(row.parent);
  }

  grown() {
    const children = new Map([[null, []]]);
    for (const row of this.rows) {
      const parent = this.byKey.has(row.parent) ? row.parent : null;
      if (!children.has(parent)) children.set(parent, []);
      children.get(parent).push(row);
    }
    const order = [...children.get(null)];
    for (const row of order) order.push(...(children.get(row.key) ?? [])); // grows while it is gone through
    for (const row of order.reverse()) {
      const total = (side) => {
        const parts = [row[side], ...(children.get(row.key) ?? []).map((child) => child.total[side])].filter(Boolean);
        if (!parts.length) return null;
        const sum = (metric) => parts.reduce((all, part) => all + (part[metric] ?? 0), 0);
        return { ...row[side], cpu: sum("cpu"), count: sum("count") };
      };
      const [before, now] = [total("before"), total("now")];
      const cpu = before?.cpu > 0 && now ? now.cpu / before.cpu / (this.machine.cpu ?? 1) : null;
      row.total = { ...row, before, now, ratio: { ...row.ratio, cpu } };
    }
    return children;
  }
}

class NodeTable {
  constructor(table, status, forest, compared, onJump) {
    this.table = table;
    this.status = status;
    this.forest = forest;
    this.onJump = onJump;
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.column);
    this.columns = COLUMNS.filter((column) => heads.includes(column.name));
    this.order = compared ? "cpu-change" : "cpu";
    this.descending = true;
    this.filter = "";
    this.asTree = false;
    this.expanded = null; // keys, once the tree has been looked at
    this.compared = compared;
    this.limit = ROWS_AT_ONCE;
    for (const header of table.tHead.rows[0].cells) this.makeSortable(header);
    this.fill();
  }

  makeSortable(header) {
    const name = header.dataset.column;
    const button = element("button", { type: "button", class: "sort", onclick: () => this.sortBy(name) }, header.textContent);
    header.replaceChildren(button);
  }

  sortBy(name) {
    this.descending = this.order === name ? !this.descending : name !== "key";
    this.order = name;
    this.fill();
    const label = this.table.tHead.querySelector(`[data-column="${name}"]`).textContent;
    this.status.textContent = `sorted by ${label}, ${this.descending ? "largest first" : "smallest first"}`;
  }

  compare() {
    const { sort } = this.columns.find((column) => column.name === this.order);
    const sign = this.descending ? -1 : 1;
    return (a, b) => {
      const one = this.figures(a);
      const other = this.figures(b);
      const x = sort(one);
      const y = sort(other);
      const byCost = (other.now?.cpu ?? 0) - (one.now?.cpu ?? 0);
      return sign * (x < y ? -1 : x > y ? 1 : 0) || byCost || (a.key < b.key ? -1 : 1);
    };
  }

  // A row's own figures; in the tree those with everything below.
  figures(row) {
    return this.asTree && !this.filter ? row.total : row;
  }

  visible() {
    const wanted = this.filter.toLowerCase();
    const matching = (row) => !wanted || row.key.toLowerCase().includes(wanted);
    if (!this.asTree || wanted) return this.forest.rows.filter(matching).sort(this.compare()).map((row) => [row, 0]);
    const shown = [];
    const compare = this.compare();
    const sorted = (key) => this.forest.below(key).slice().sort(compare).reverse();
    const waiting = sorted(null).map((row) => [row, 0]);
    this.expanded ??= this.downToTheFindings();
    while (waiting.length) {
      const [row, depth] = waiting.pop();
      shown.push([row, depth]);
      if (this.expanded.has(row.key)) for (const child of sorted(row.key)) waiting.push([child, depth + 1]);
    }
    return shown;
  }

  downToTheFindings() {
    const open = new Set(this.forest.below(null).map((row) => row.key));
    for (const row of this.forest.rows) {
      if (!row.finding && !(this.compared && row.kind)) continue;
      for (let above = this.forest.above(row); above; above = this.forest.above(above)) open.add(above.key);
    }
    return open;
  }

  fill() {
    const rows = this.visible();
    const body = document.createDocumentFragment();
    for (const [row, depth] of rows.slice(0, this.limit)) body.append(this.line(row, depth));
    if (rows.length > this.limit) {
      const more = element("button", { type: "button", onclick: () => this.showMore() }, `Show ${rows.length - this.limit} more`);
      body.append(element("tr", {}, element("td", { colspan: this.columns.length }, more)));
    }
    this.table.tBodies[0].replaceChildren(body);
    if (this.asTree && !this.filter) this.table.setAttribute("role", "treegrid");
    else this.table.removeAttribute("role");
    for (const header of this.table.tHead.rows[0].cells) {
      const sorted = header.dataset.column === this.order;
      if (sorted) header.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
  }

  showMore() {
    this.limit += 2000;
    this.fill();
  }

  line(row, depth) {
    const cells = this.columns.map((column) => {
      if (column.name === "key") return this.keyCell(row, depth);
      if (column.name === "history") return element("td", { class: "history", title: row.sessions }, row.line);
      const figures = this.figures(row);
      const factor = column.tint?.(figures) ?? null;
      const kind = row.kind || (factor === null ? "" : factor > SLOWER ? "slower" : factor < 1 / SLOWER ? "faster" : "");
      return element("td", { class: column.tint ? `number ${kind}` : "number" }, column.text(figures));
    });
    return element("tr", { class: row.finding ? "cause" : null, "aria-level": this.asTree && !this.filter ? depth + 1 : null }, ...cells);
  }

  keyCell(row, depth) {
    const cell = element("th", { scope: "row", class: "key", style: depth ? `padding-left:${depth * 1.2 + 0.5}em` : null });
    const text = this.asTree && !this.filter ? shortOf(row.key) : row.key;
    if (this.asTree && !this.filter && this.forest.below(row.key).length) {
      const open = this.expanded.has(row.key);
      const toggle = () => {
        if (open) this.expanded.delete(row.key);
        else this.expanded.add(row.key);
        this.fill();
        this.table.querySelector(`[data-toggle="${CSS.escape(row.key)}"]`)?.focus();
      };
      const label = `${open ? "collapse" : "expand"} ${shortOf(row.key)}`;
      const attributes = { type: "button", class: "toggle", "aria-expanded": `${open}`, "aria-label": label, "data-toggle": row.key };
      cell.append(element("button", { ...attributes, onclick: toggle }, open ? "▾" : "▸"));
    }
    const jump = () => this.onJump(row.key);
    cell.append(element("button", { type: "button", class: "jump", title: row.key, onclick: jump }, text));
    for (const badge of [row.kind, row.finding]) {
      if (badge) cell.append(" ", element("span", { class: `badge ${badge}` }, badge));
    }
    return cell;
  }
}
