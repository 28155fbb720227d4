// What a page knows of one run: the server says what is new, and when to begin anew because old
// points were thinned. The server keeps it bounded, and so it is here.
export class Store {
  constructor() {
    this.run = -1;
    this.clear();
  }

  clear() {
    this.epoch = -1;
    this.number = -1;
    this.head = null;
    this.load = new Map();
    this.replicas = [];
    this.lags = new Map();
    this.latest = null;
  }

  query() {
    return `run=${this.run}&epoch=${this.epoch}&after=${this.number}`;
  }

  apply(answer) {
    if (answer.run !== this.run || answer.whole) {
      this.clear();
      this.run = answer.run;
    }
    this.latest = answer;
    if (answer.run === 0) return;
    if (answer.whole) {
      this.head = answer;
      this.replicas = answer.deployments.map(() => []);
    }
    this.epoch = answer.epoch;
    this.number = answer.number;
    for (const row of answer.load) this.load.set(row[0], row);
    for (const row of answer.replicas) this.replicas[row[0]].push(row);
    for (const lag of answer.lags) this.lags.set(`${lag.step} ${lag.deployment}`, lag);
  }

  // In the order of time: they come in the order in which they changed.
  get bins() {
    return [...this.load.values()].sort((a, b) => a[0] - b[0]);
  }

  // How many points are kept: what an hour of watching must not let grow.
  get size() {
    return this.load.size + this.lags.size + this.replicas.reduce((sum, rows) => sum + rows.length, 0);
  }
}
