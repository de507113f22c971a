// What the colours of bars and frames mean: the tool, the directory, or the change; and the legend that says so.

const PALETTE = 9; // the tenth colour is for all the others
const OTHERS = 9;
const CHANGES = [
  { name: "slower", text: "slower by 2 % or more" },
  { name: "faster", text: "faster by 2 % or more" },
  { name: "new", text: "new" },
  { name: "gone", text: "gone" },
  { name: "same", text: "unchanged" },
];

const COLOURS = [...Array.from({ length: PALETTE + 1 }, (_, i) => `bar-${i}`), ...CHANGES.map(({ name }) => `change-${name}`)];

class Colouring {
  // `sides` are the builds that are shown, the one of now last; `diff` the rows of the table of nodes.
  constructor(sides, diff) {
    this.sides = sides;
    this.strings = sides[0].strings;
    this.diff = diff;
    this.ranks = {}; // by column, worked out when it is first asked for
    this.choose("tool");
  }

  // The texts that use the processor most get a colour each.
  ranked(scheme) {
    const column = scheme === "directory" ? "directory" : "name";
    return (this.ranks[column] ??= this.rank(column));
  }

  rank(column) {
    const sums = new Map();
    let whole = 0;
    const now = this.sides.at(-1);
    for (const build of this.sides) {
      for (let i = 0; i < build.count; i++) {
        const spent = build.number("cpu", i) ?? build.end[i] - build.start[i];
        const text = build[column][i];
        const sum = sums.get(text) ?? { now: 0, most: 0 };
        sum.most += spent;
        if (build === now) [sum.now, whole] = [sum.now + spent, whole + spent];
        sums.set(text, sum);
      }
    }
    const order = [...sums.keys()].filter((text) => text >= 0).sort((a, b) => sums.get(b).most - sums.get(a).most);
    const chosen = order.slice(0, PALETTE);
    const share = (texts) => texts.reduce((sum, text) => sum + sums.get(text).now, 0) / (whole || 1);
    const entries = chosen.map((text, i) => ({ colour: `bar-${i}`, text: this.strings[text] || ".", share: share([text]) }));
    const rest = [...sums.keys()].filter((text) => !chosen.includes(text));
    if (rest.length) entries.push({ colour: `bar-${OTHERS}`, text: column === "name" ? "others" : "others, or no file", share: share(rest) });
    const colours = new Map(chosen.map((text, i) => [text, `bar-${i}`]));
    return { entries, colours, byText: new Map(chosen.map((text, i) => [this.strings[text], `bar-${i}`])) };
  }

  choose(scheme) {
    this.scheme = scheme;
  }

  // A colour's number in COLOURS for each process.
  codes(build) {
    const { scheme } = this;
    const column = scheme === "directory" ? build.directory : build.name;
    return Uint8Array.from({ length: build.count }, (_, i) => COLOURS.indexOf(this.ofText(build.keyOf(i), column[i])));
  }

  ofText(key, text) {
    if (this.scheme === "change") return this.ofChange(key);
    return this.ranked(this.scheme).colours.get(text) ?? `bar-${OTHERS}`;
  }

  ofChange(key) {
    this.changes ??= new Map(this.diff.map((row) => [row.key, changeClass(row)]));
    return `change-${this.changes.get(key) ?? "same"}`;
  }

  ofNode(key, scheme) {
    if (scheme === "change") return this.ofChange(key);
    return this.ranked("tool").byText.get(shortOf(key).split(" ")[0]) ?? `bar-${OTHERS}`;
  }

  legend() {
    const changes = CHANGES.map(({ name, text }) => ({ colour: `change-${name}`, text }));
    const entries = this.scheme === "change" ? changes : this.ranked(this.scheme).entries;
    return entries.map(({ colour, text, share }) =>
      element("span", {}, element("i", { class: colour }), share === undefined ? text : `${text} ${partOf(share)}`),
    );
  }
}

function changeClass(row) {
  if (row.kind === "added") return "new";
  if (row.kind === "removed") return "gone";
  const ratio = row.ratio.cpu ?? row.ratio.wall;
  if (isUnknown(ratio)) return "same";
  return ratio > SLOWER ? "slower" : ratio < 1 / SLOWER ? "faster" : "same";
}

function partOf(ratio) {
  return ratio > 0 && ratio < 0.005 ? "<1 %" : `${Math.round(100 * ratio)} %`;
}
