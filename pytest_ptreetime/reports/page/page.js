// Brings a section of the page to life when it is first looked at: timelines, search, details, table, links between them.

const FIRST_SCREEN_MARGIN = 12; // pixels
const LEAST_TIMELINE = 180; // pixels: the processors and six lanes

class Section {
  constructor(section) {
    this.section = section;
    this.number = section.dataset.number;
    this.details = $(".details", section);
    this.status = $(".found[role=status]", section);
    this.tip = $(".tip", section);
    this.matches = [];
    this.match = -1;
    this.selection = null; // [side, index]
  }

  async start() {
    const begun = performance.now();
    const data = JSON.parse(await embedded(`columns-${this.number}`));
    this.metrics = data.metrics;
    this.now = new Build({ ...data.now, cpus: data.cpus }, data.strings);
    this.before = data.before && new Build({ ...data.before, cpus: data.cpus }, data.strings);
    if (this.before) this.before.isBefore = true;
    const rows = diffRows(data.diff, data.strings);
    this.compared = rows.some((row) => row.before !== null);
    for (const live of this.section.querySelectorAll(".live")) live.hidden = false;
    const forest = new Forest(rows, data.machine);
    const sides = [this.before, this.now].filter(Boolean);
    this.colouring = new Colouring(sides, rows);
    this.view = new View(Math.max(...sides.map((build) => build.span)));
    this.timelines = [];
    this.recolour(); // the legend has its height now
    if (this.before) this.fitOnFirstScreen();
    this.timelines = sides.map((build) => this.timelineOf(build, data.found));
    const most = Math.max(...this.timelines.map(({ memory }) => memory.peak));
    for (const { memory } of this.timelines) memory.scale = most;
    const say = $(".sorted", this.section);
    this.table = new NodeTable($("table.nodes", this.section), say, forest, this.compared, (key) => this.jump(key));
    this.flame = new Flame($(".flame", this.section), forest, this.compared, this.colouring, (key) => this.jump(key));
    this.listen();
    this.listCriticalPath();
    this.section.dataset.ready = Math.round(performance.now() - begun);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); // the first picture, before the rest is read
    this.now.commands = (await embedded(`commands-${this.number}`)).split("\n");
    this.section.dataset.complete = Math.round(performance.now() - begun);
    this.recall();
    if ($(".search", this.section).value) this.search($(".search", this.section).value);
  }

  // Of before and now: each with half of what is left, if that is enough.
  fitOnFirstScreen() {
    const boxes = this.section.querySelectorAll(".lanes");
    const left = innerHeight - scrollY - $(".stage", this.section).getBoundingClientRect().top - FIRST_SCREEN_MARGIN;
    const height = left / boxes.length - $(".side", this.section).offsetHeight;
    for (const box of boxes) box.dataset.height = Math.max(Math.min(box.dataset.height, height), LEAST_TIMELINE);
  }

  timelineOf(build, found) {
    const box = $(build.isBefore ? ".lanes.before" : ".lanes.now", this.section);
    return new Timeline(build, box, this.view, this.colouring, found, {
      select: (index, options) => this.select(build, index, options),
      hover: (index, event) => this.hover(build, index, event),
    });
  }

  other(build) {
    return build === this.now ? this.before : this.now;
  }

  listen() {
    const on = (selector, type, action) => {
      for (const found of this.section.querySelectorAll(selector)) found.addEventListener(type, (event) => action(event, found));
    };
    on(".zoom-in", "click", () => this.view.zoom(0.6));
    on(".zoom-out", "click", () => this.view.zoom(1 / 0.6));
    on(".zoom-all", "click", () => this.view.showAll());
    on(".only-critical", "change", (event) => this.each((one) => (one.onlyCritical = event.target.checked)));
    on(".colour-by", "change", (event) => {
      this.colouring.choose(event.target.value);
      this.recolour();
    });
    on(".search", "input", (event) => this.search(event.target.value));
    on(".search", "keydown", (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
    });
    on(".next", "click", () => this.step(1));
    on(".previous", "click", () => this.step(-1));
    on("[data-key]", "click", (event, button) => this.jump(button.dataset.key));
    on(".filter", "input", (event) => {
      this.table.filter = event.target.value;
      this.table.fill();
    });
    on(".as-tree", "change", (event) => {
      this.table.asTree = event.target.checked;
      this.table.fill();
    });
    on("details.flames", "toggle", () => this.flame.draw());
    on(".flame-by", "change", (event) => {
      this.flame.scheme = event.target.value;
      this.flame.draw();
    });
    on(".flame-side", "change", (event) => {
      this.flame.side = event.target.value;
      this.flame.draw();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || this.section.hidden || event.target.closest("input, textarea")) return;
      event.preventDefault();
      $(".search", this.section).focus();
    });
    this.view.watchers.push(() => this.remember());
  }

  each(change) {
    for (const timeline of this.timelines) {
      change(timeline);
      timeline.draw();
    }
  }

  recolour() {
    this.each((timeline) => timeline.recolour());
    $(".colours", this.section).replaceChildren(...this.colouring.legend());
  }

  search(text) {
    this.matches = text ? this.now.search(text) : [];
    this.match = -1;
    this.each((one) => (one.matches = new Set(text ? (one.build === this.now ? this.matches : one.build.search(text)) : [])));
    const gone = text && this.before && !this.matches.length ? this.before.search(text).length : 0;
    this.say(text ? `${this.matches.length} processes match${gone ? `, ${gone} before` : ""}` : "");
  }

  step(by) {
    if (!this.matches.length) return;
    this.match = (this.match + by + this.matches.length) % this.matches.length;
    this.select(this.now, this.matches[this.match]);
    this.say(`match ${this.match + 1} of ${this.matches.length}`, this.now, this.matches[this.match]);
  }

  // To the longest process of a node, on both sides.
  jump(key) {
    const places = [this.now, this.before].filter(Boolean).map((build) => [build, build.longest(key)]);
    const [build, index] = places.find(([, i]) => i >= 0) ?? [null, -1];
    if (index < 0) {
      if (!key.startsWith("(")) return this.say(`${shortOf(key)} did not run in what is shown`);
      this.view.showAll(); // the build as a whole
      return this.scrollToTimeline(this.now);
    }
    this.select(build, index, { zoom: true });
    this.scrollToTimeline(build);
    const found = build.withKey(key);
    if (found.length > 1) this.say(`the longest of ${found.length}`, build, index);
  }

  scrollToTimeline(build) {
    const { canvas } = this.timelines.find((one) => one.build === build);
    $(".stage", this.section).scrollIntoView({ block: "nearest" });
    canvas.focus({ preventScroll: true });
  }

  say(words, build = null, index = -1) {
    this.status.textContent = index < 0 ? words : `${words}: ${build.labelOf(index)}`;
  }

  hover(build, index, event) {
    this.tip.hidden = index < 0;
    event.target.style.cursor = index < 0 ? "grab" : "pointer";
    if (index < 0) return;
    this.tip.replaceChildren(...tipOf(build, index, this.other(build)));
    const box = $(".stage", this.section).getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(left, 0)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  select(build, index, { zoom = false, quietly = false } = {}) {
    this.selection = index < 0 ? null : [build, index];
    const places = this.timelines.map(({ build: side }) => {
      if (index < 0) return -1;
      return side === build ? index : build.counterpart(index, side);
    });
    this.timelines.forEach((timeline, i) => timeline.select(places[i]));
    if (index >= 0) {
      const known = this.timelines.flatMap(({ build: side }, i) => (places[i] < 0 ? [] : [[side.start[places[i]], side.end[places[i]]]]));
      const own = [build.start[index], build.end[index]];
      const both = [Math.min(...known.map(([start]) => start)), Math.max(...known.map(([, end]) => end))];
      if (!quietly) zoom ? this.view.frame(...both) : this.view.reveal(...own);
    }
    this.show();
    this.remember();
  }

  show() {
    if (this.selection === null) return this.details.replaceChildren("Nothing is selected: click a process, or use the arrow keys.");
    const [build, index] = this.selection;
    const parent = build.parent[index];
    const up = element("button", { type: "button", disabled: parent < 0 ? "" : null, onclick: () => this.select(build, parent) }, "Parent");
    const zoom = element("button", { type: "button", onclick: () => this.select(build, index, { zoom: true }) }, "Zoom to it");
    this.details.replaceChildren(...detailsOf(build, index, this.other(build), this.metrics, [up, " ", zoom]));
    const when = this.before === null ? "" : build.isBefore ? " before" : " now";
    this.say(`selected, ${seconds(build.wall(index))}${when}`, build, index);
  }

  listCriticalPath() {
    const list = $(".critical", this.section);
    const most = 500;
    const { now } = this;
    for (const index of now.criticalOrder.slice(0, most)) {
      const go = () => this.select(now, index, { zoom: true });
      const button = element("button", { type: "button", class: "jump", title: now.keyOf(index), onclick: go }, now.labelOf(index));
      list.append(element("li", {}, button, ` ${seconds(now.wall(index))}`));
    }
    if (now.criticalOrder.length > most) list.append(element("li", {}, `and ${now.criticalOrder.length - most} more`));
  }

  // The link of the page holds what is selected and shown.
  remember() {
    if (this.section.hidden || this.recalling) return;
    const { from, to, span } = this.view;
    const state = new URLSearchParams();
    if (this.selection !== null) {
      const [build, index] = this.selection;
      state.set("node", build.keyOf(index));
      const place = build.withKey(build.keyOf(index)).indexOf(index);
      if (place) state.set("place", place);
      if (build.isBefore) state.set("side", "before");
    }
    if (from !== 0 || to !== span) {
      state.set("from", Math.round(from));
      state.set("to", Math.round(to));
    }
    clearTimeout(this.remembering); // browsers refuse more than some in a second
    this.remembering = setTimeout(() => history.replaceState(null, "", `#${this.section.id}${state.size ? `?${state}` : ""}`), 100);
  }

  recall() {
    const [id, state] = linked();
    if (id !== this.section.id || !state.size) return;
    this.recalling = true;
    if (state.has("from")) this.view.show(Number(state.get("from")), Number(state.get("to")));
    const build = state.get("side") === "before" && this.before ? this.before : this.now;
    const index = build.withKey(state.get("node"))[Number(state.get("place") ?? 0)] ?? -1;
    if (index >= 0) this.select(build, index, { quietly: true });
    this.recalling = false;
  }
}

// `#test-2?node=...` is the section test-2 with that node selected.
function linked() {
  const [id, state] = location.hash.slice(1).split("?");
  return [id, new URLSearchParams(state ?? "")];
}

const sections = [...document.querySelectorAll("section[data-number]")].map((section) => new Section(section));
const started = new Set();

function choose() {
  const [id] = linked();
  const wanted = sections.find((one) => one.section.id === id) ?? sections[0];
  for (const one of sections) {
    one.section.hidden = one !== wanted;
    const link = document.querySelector(`nav a[href="#${one.section.id}"]`);
    if (one === wanted) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
  }
  if (!wanted) return;
  document.title = wanted.section.dataset.title;
  if (!started.has(wanted)) {
    started.add(wanted);
    wanted.start().catch((error) => {
      wanted.status.textContent = `The timeline can't be shown by this browser (${error}); the tables below are complete.`;
      console.error(error);
    });
  } else wanted.recall();
}

// On paper everything is dark on white, and as wide as the page.
function onPaper(printing) {
  document.documentElement.toggleAttribute("data-paper", printing);
  for (const one of started) for (const timeline of one.timelines ?? []) timeline.onPaper(printing);
}

addEventListener("hashchange", choose);
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));
document.documentElement.classList.add("js");
choose();
