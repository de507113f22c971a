// Busy and waiting processors over time. A process's times are known as sums only: they are spread over its life.
class Utilisation {
  constructor(build) {
    const { cpu, run_delay } = build.numbers;
    const known = (i) => (cpu[i] !== null || run_delay[i] !== null) && build.end[i] > build.start[i];
    const begins = build.byStart.filter(known);
    const ends = build.byEnd.filter(known);
    const steps = begins.length * 2;
    this.known = steps > 0;
    this.time = new Float64Array(steps);
    this.busy = { rate: new Float64Array(steps), sum: new Float64Array(steps), of: build.numbers.cpu };
    this.waiting = { rate: new Float64Array(steps), sum: new Float64Array(steps), of: build.numbers.run_delay };
    for (let i = 0, begun = 0, ended = 0; i < steps; i++) {
      const isBegin = begun < begins.length && build.start[begins[begun]] <= build.end[ends[ended]];
      const index = isBegin ? begins[begun++] : ends[ended++];
      this.time[i] = isBegin ? build.start[index] : build.end[index];
      for (const series of [this.busy, this.waiting]) {
        const rate = (series.of[index] ?? 0) / (build.end[index] - build.start[index]);
        const before = i ? series.rate[i - 1] : 0;
        series.rate[i] = before + (isBegin ? rate : -rate);
        series.sum[i] = i ? series.sum[i - 1] + before * (this.time[i] - this.time[i - 1]) : 0;
      }
    }
  }

  mean(series, from, to) {
    return Math.max((this.sumUntil(series, to) - this.sumUntil(series, from)) / (to - from), 0);
  }

  sumUntil(series, time) {
    let low = 0;
    let high = this.time.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : series.sum[low - 1] + series.rate[low - 1] * (time - this.time[low - 1]);
  }
}

// What all processes can have held together: at any moment the sum of the peaks of those alive, an upper bound.
class MemoryOverTime {
  constructor(build) {
    const known = (i) => build.numbers.max_rss[i] !== null && build.end[i] > build.start[i];
    const begins = build.byStart.filter(known);
    const ends = build.byEnd.filter(known);
    const steps = begins.length * 2;
    this.time = new Float64Array(steps);
    this.sum = new Float64Array(steps); // from that time on
    for (let i = 0, begun = 0, ended = 0, sum = 0; i < steps; i++) {
      const isBegin = begun < begins.length && build.start[begins[begun]] < build.end[ends[ended]];
      const index = isBegin ? begins[begun++] : ends[ended++];
      this.time[i] = isBegin ? build.start[index] : build.end[index];
      this.sum[i] = sum += isBegin ? build.numbers.max_rss[index] : -build.numbers.max_rss[index];
    }
    this.peak = this.sum.reduce((most, sum) => Math.max(most, sum), 0);
    this.scale = this.peak; // of the picture: the same for before and now
  }

  // The largest sum in each of `columns` stretches of equal length.
  most(from, to, columns) {
    const found = new Float64Array(columns);
    let i = 0;
    let sum = 0;
    for (let column = 0; column < columns; column++) {
      const [begin, end] = [from + ((to - from) * column) / columns, from + ((to - from) * (column + 1)) / columns];
      for (; i < this.time.length && this.time[i] <= begin; i++) sum = this.sum[i];
      let most = sum;
      for (; i < this.time.length && this.time[i] < end; i++) most = Math.max(most, (sum = this.sum[i]));
      found[column] = most;
    }
    return found;
  }
}
