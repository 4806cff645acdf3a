'use strict';
// Histograms, sums and gauges, cumulative since the start. Not the OpenTelemetry SDK's: a request costs one look-up in a Map.

const clock = require('./clock');

const MOST_SETS = 1000;
const OVERFLOW = { 'otel.metric.overflow': true };
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

const start = clock.wall(clock.ticks());
const instruments = [];

class Histogram {
  constructor(scope, name, unit, description, bounds) {
    Object.assign(this, { scope, name, unit, description, bounds, form: 'histogram' });
    this.sets = new Map();
    instruments.push(this);
  }

  /** `identity`: a text that differs wherever the attributes do; `attributes` makes them, once a set. */
  record(value, identity, attributes) {
    let set = this.sets.get(identity);
    if (set === undefined) {
      const full = this.sets.size >= MOST_SETS;
      set = full ? this.sets.get(null) : undefined;
      if (set === undefined) {
        const { bounds } = this;
        set = { attributes: full ? OVERFLOW : attributes(), bounds, counts: new Array(bounds.length + 1).fill(0), count: 0, sum: 0, min: Infinity, max: -Infinity };
        this.sets.set(full ? null : identity, set);
      }
    }
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]) at++;
    set.counts[at] += 1;
    set.count += 1;
    set.sum += value;
    if (value < set.min) set.min = value;
    if (value > set.max) set.max = value;
  }

  points(time) {
    return [...this.sets.values()].map(set => ({ ...set, counts: set.counts.slice(), start, time }));
  }
}

/** A gauge or sum whose points `read` gives as [value, attributes] when they are asked for. */
class Observed {
  constructor(scope, name, unit, description, form, read) {
    Object.assign(this, { scope, name, unit, description, form, read, monotonic: true });
    instruments.push(this);
  }

  points(time) {
    return this.read().filter(([value]) => Number.isFinite(value)).map(([value, attributes]) => ({ value, attributes: attributes || {}, start, time }));
  }
}

const BATCH = 500;

/** Everything there is to report, in pieces of at most 500 points. */
function collect() {
  const time = clock.wall(clock.ticks());
  const found = [];
  for (const instrument of instruments) {
    const { scope, name, unit, description, form, monotonic } = instrument;
    const points = instrument.points(time);
    for (let at = 0; at < points.length; at += BATCH) found.push({ scope, name, unit, description, form, monotonic, points: points.slice(at, at + BATCH) });
  }
  return found;
}

module.exports = { Histogram, Observed, SECONDS, collect };
