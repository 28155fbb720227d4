// Data of one run on the page. The server sends what is new, or everything again after it has thinned
// old points. It bounds what it keeps, and so bounds this too.
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

  // Sorted by time: they come in the order in which they changed.
  get bins() {
    return [...this.load.values()].sort((a, b) => a[0] - b[0]);
  }

  // Number of points kept, which must not grow while somebody watches for an hour.
  get size() {
    return this.load.size + this.lags.size + this.replicas.reduce((sum, rows) => sum + rows.length, 0);
  }
}
