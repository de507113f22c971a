// Brings a section of the page to life when it is first looked at: timeline, search, details, table, links between them.

class Section {
  constructor(section) {
    this.section = section;
    this.number = section.dataset.number;
    this.canvas = $("canvas", section);
    this.details = $(".details", section);
    this.status = $("[role=status]", section);
    this.tip = $(".tip", section);
    this.matches = [];
    this.match = -1;
  }

  async start() {
    const begun = performance.now();
    this.build = new Build(await embedded(`columns-${this.number}`));
    for (const live of this.section.querySelectorAll(".live")) live.hidden = false;
    this.timeline = new Timeline(this.build, this.canvas, (index) => this.show(index), (index, event) => this.hover(index, event));
    const compared = this.build.diff.some((row) => row.before !== null);
    this.table = new NodeTable($("table.nodes", this.section), this.status, this.build.diff, compared, (key) => this.jump(key));
    this.listen();
    this.listCriticalPath();
    this.section.dataset.ready = Math.round(performance.now() - begun);
    this.build.commands = await embedded(`commands-${this.number}`);
    this.section.dataset.complete = Math.round(performance.now() - begun);
    if (this.timeline.selected >= 0) this.show(this.timeline.selected);
    if ($(".search", this.section).value) this.search($(".search", this.section).value);
  }

  listen() {
    const on = (selector, type, action) => {
      for (const found of this.section.querySelectorAll(selector)) found.addEventListener(type, (event) => action(event, found));
    };
    on(".zoom-in", "click", () => this.timeline.zoom(0.6));
    on(".zoom-out", "click", () => this.timeline.zoom(1 / 0.6));
    on(".zoom-all", "click", () => this.timeline.showAll());
    on(".only-critical", "change", (event) => {
      this.timeline.onlyCritical = event.target.checked;
      this.timeline.draw();
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
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || this.section.hidden || event.target.closest("input, textarea")) return;
      event.preventDefault();
      $(".search", this.section).focus();
    });
  }

  search(text) {
    this.matches = text ? this.build.search(text) : [];
    this.match = -1;
    this.timeline.matches = new Set(this.matches);
    this.timeline.draw();
    this.say(text ? `${this.matches.length} processes match` : "");
  }

  step(by) {
    if (!this.matches.length) return;
    this.match = (this.match + by + this.matches.length) % this.matches.length;
    this.timeline.select(this.matches[this.match]);
    this.say(`match ${this.match + 1} of ${this.matches.length}`, this.matches[this.match]);
  }

  jump(key) {
    const found = this.build.withKey(key);
    if (!found.length) return this.say(`${key} did not run in the round that is shown`);
    const longest = found.reduce((a, b) => (this.build.end[b] - this.build.start[b] > this.build.end[a] - this.build.start[a] ? b : a));
    this.timeline.select(longest, { zoom: true });
    this.canvas.scrollIntoView({ block: "center" });
    this.canvas.focus({ preventScroll: true });
    if (found.length > 1) this.say(`the longest of ${found.length}`, longest);
  }

  say(words, index = -1) {
    this.status.textContent = index < 0 ? words : `${words}: ${this.build.nameOf(index)}`;
  }

  hover(index, event) {
    this.tip.hidden = index < 0;
    this.canvas.style.cursor = index < 0 ? "grab" : "pointer";
    if (index < 0) return;
    const { build } = this;
    const command = build.commandOf(index);
    this.tip.replaceChildren(
      element("strong", {}, build.nameOf(index)),
      ` ${seconds((build.end[index] - build.start[index]) / 1e6)}, cpu ${seconds(micro(build.numbers.cpu[index]))}`,
      element("div", { class: "command" }, command.length > 300 ? `${command.slice(0, 300)}…` : command),
    );
    const box = this.canvas.parentElement.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(left, 0)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  show(index) {
    if (index < 0) return this.details.replaceChildren("Nothing is selected: click a process, or use the arrow keys.");
    const { build } = this;
    const at = (name) => build.numbers[name][index];
    const ended = at("signal") !== null ? `signal ${at("signal")}` : at("exit_code") !== null ? `exit status ${at("exit_code")}` : UNKNOWN;
    const facts = [
      ["process", `${build.nameOf(index)}, pid ${build.pid[index]}`],
      ["ended", [ended, build.marks.get(index)].filter(Boolean).join(", ")],
      ["start", seconds(build.start[index] / 1e6)],
      ["wall", seconds((build.end[index] - build.start[index]) / 1e6)],
      ...build.metrics.map(({ name, label, unit }) => [label, amount(unit === "s" ? micro(at(name)) : at(name), unit)]),
      ["started processes", `${build.childCount[index]}`],
      ["on the critical path", build.critical[index] ? "yes" : "no"],
      ["directory", build.strings[build.cwd[index]] ?? UNKNOWN],
      ["program", build.strings[build.exe[index]] ?? UNKNOWN],
      ["key", build.keyOf(index)],
    ];
    const list = element("dl", {});
    for (const [name, value] of facts) list.append(element("dt", {}, name), element("dd", {}, value));
    const parent = build.parent[index];
    const up = element("button", { type: "button", disabled: parent < 0 ? "" : null, onclick: () => this.timeline.select(parent) }, "Parent");
    const zoom = element("button", { type: "button", onclick: () => this.timeline.select(index, { zoom: true }) }, "Zoom to it");
    this.details.replaceChildren(element("p", {}, up, " ", zoom), list, element("pre", {}, build.commandOf(index)));
    this.say(`selected, ${seconds((build.end[index] - build.start[index]) / 1e6)}`, index);
  }

  listCriticalPath() {
    const list = $(".critical", this.section);
    const most = 500;
    for (const index of this.build.criticalOrder.slice(0, most)) {
      const length = seconds((this.build.end[index] - this.build.start[index]) / 1e6);
      const go = () => this.timeline.select(index, { zoom: true });
      const button = element("button", { type: "button", class: "jump", onclick: go }, this.build.keyOf(index));
      list.append(element("li", {}, button, ` ${length}`));
    }
    if (this.build.criticalOrder.length > most) list.append(element("li", {}, `and ${this.build.criticalOrder.length - most} more`));
  }
}

function micro(value) {
  return value === null || value === undefined ? null : value / 1e6;
}

const sections = [...document.querySelectorAll("section[data-number]")].map((section) => new Section(section));
const started = new Set();

function choose() {
  const wanted = sections.find((one) => `#${one.section.id}` === location.hash) ?? sections[0];
  for (const one of sections) {
    one.section.hidden = one !== wanted;
    const link = document.querySelector(`nav a[href="#${one.section.id}"]`);
    if (one === wanted) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
  }
  if (wanted && !started.has(wanted)) {
    started.add(wanted);
    wanted.start().catch((error) => {
      wanted.status.textContent = `The timeline can't be shown by this browser (${error}); the tables below are complete.`;
      console.error(error);
    });
  }
}

addEventListener("hashchange", choose);
document.documentElement.classList.add("js");
choose();
