// The stretch of time that is shown: one for the timelines of before and now, which begin at the same moment.

class View {
  constructor(span) {
    this.span = span;
    this.from = 0;
    this.to = span;
    this.watchers = [];
  }

  show(from, to) {
    const width = to - from;
    const margin = this.span * 0.025;
    this.from = Math.min(Math.max(from, -margin), Math.max(this.span + margin - width, -margin));
    this.to = this.from + width;
    for (const watcher of this.watchers) watcher();
  }

  showAll() {
    this.show(0, this.span);
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    const width = Math.min(Math.max((this.to - this.from) * factor, 5), this.span * 1.05);
    const share = (around - this.from) / (this.to - this.from);
    this.show(around - width * share, around + width * (1 - share));
  }

  pan(share) {
    const step = (this.to - this.from) * share;
    this.show(this.from + step, this.to + step);
  }

  // So that what runs from `start` to `end` is seen with as much around it.
  frame(start, end) {
    const length = Math.max(end - start, 50);
    this.show(start - length, end + length);
  }

  // So that it is seen at the scale that is chosen.
  reveal(start, end) {
    if (start >= this.from && end <= this.to) return;
    const width = this.to - this.from;
    const middle = start + Math.min(end - start, width) / 2;
    this.show(middle - width / 2, middle + width / 2);
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least);
}
