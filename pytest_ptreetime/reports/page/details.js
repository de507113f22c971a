// What is told of one process: in the tip at the pointer, and in full when it is selected.

function micro(value) {
  return isUnknown(value) ? null : value / 1e6;
}

function timesOf(build, index) {
  return `${seconds(build.wall(index))}, cpu ${seconds(micro(build.number("cpu", index)))}`;
}

// The label, both sides' times, the command.
function tipOf(build, index, other) {
  const twin = other === null ? -1 : build.counterpart(index, other);
  const sides = build.isBefore ? [[build, index, "before"], [other, twin, "now"]] : [[other, twin, "before"], [build, index, "now"]];
  const told = sides.filter(([side]) => side !== null);
  const times = told.map(([side, i, when]) => (told.length > 1 ? `${when}: ${i < 0 ? "not there" : timesOf(side, i)}` : timesOf(side, i)));
  const command = build.commandOf(index);
  return [
    element("strong", {}, build.labelOf(index)),
    ...times.map((text) => element("div", {}, text)),
    ...(command ? [element("div", { class: "command" }, command.length > 300 ? `${command.slice(0, 300)}…` : command)] : []),
  ];
}

// Everything that is known, before and now where there are both.
function detailsOf(build, index, other, metrics, buttons) {
  const twin = other === null ? -1 : build.counterpart(index, other);
  const unitless = (text) => (isUnknown(text) || text === "" ? UNKNOWN : `${text}`);
  const at = (side, i, name) => (i < 0 ? null : side.number(name, i));
  const ended = (side, i) => {
    if (i < 0) return UNKNOWN;
    const how = at(side, i, "signal") !== null ? `signal ${at(side, i, "signal")}` : unitless(at(side, i, "exit_code") === null ? "" : `exit status ${at(side, i, "exit_code")}`);
    return [how, side.marks.get(i)].filter(Boolean).join(", ");
  };
  const measured = [
    ["start", (side, i) => (i < 0 ? UNKNOWN : seconds(side.start[i] / 1e6))],
    ["wall", (side, i) => (i < 0 ? UNKNOWN : seconds(side.wall(i)))],
    ...metrics.map(({ name, label, unit }) => [label, (side, i) => amount(unit === "s" ? micro(at(side, i, name)) : at(side, i, name), unit)]),
    ["started processes", (side, i) => (i < 0 ? UNKNOWN : `${side.childCount[i]}`)],
    ["on the critical path", (side, i) => (i < 0 ? UNKNOWN : side.critical[i] ? "yes" : "no")],
    ["ended", ended],
  ];
  const sides = other === null ? [[build, index]] : build.isBefore ? [[build, index], [other, twin]] : [[other, twin], [build, index]];
  const table = element("table", { class: "figures" });
  if (sides.length > 1) {
    const head = ["", "before", "now"].map((text) => element(text ? "th" : "td", text ? { scope: "col", class: "number" } : {}, text));
    table.append(element("thead", {}, element("tr", {}, ...head)));
  }
  const body = element("tbody", {});
  for (const [name, text] of measured) {
    const texts = sides.map(([side, i]) => text(side, i));
    if (texts.every((one) => one === UNKNOWN)) continue;
    body.append(element("tr", {}, element("th", { scope: "row" }, name), ...texts.map((one) => element("td", { class: "number" }, one))));
  }
  table.append(body);
  const facts = [
    ["process", `${build.labelOf(index)}${isUnknown(build.pid?.[index]) ? "" : `, pid ${build.pid[index]}`}`],
    ["key", build.keyOf(index)],
    ["directory", build.strings[build.cwd?.[index]] ?? UNKNOWN],
    ["program", build.strings[build.exe?.[index]] ?? UNKNOWN],
  ].filter(([, value]) => value !== UNKNOWN);
  const list = element("dl", {});
  for (const [name, value] of facts) list.append(element("dt", {}, name), element("dd", {}, value));
  const command = build.commandOf(index);
  return [element("p", {}, ...buttons), list, ...(command ? [element("pre", {}, command)] : []), element("div", { class: "wide" }, table)];
}
