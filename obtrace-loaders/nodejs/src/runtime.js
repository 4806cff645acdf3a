'use strict';
// The runtime's own metrics, by the semantic conventions for Node.js and V8. What has to be watched all along is started a second
// after the application, so that it does not pay at its start.

const { monitorEventLoopDelay, performance, PerformanceObserver } = require('perf_hooks');
const { guard } = require('./debug');
const { outside } = require('./context');
const { Histogram, Observed } = require('./metrics');

const SCOPE = 'obtrace.nodejs.runtime';
const LATER = 1000;
const RESOLUTION = 20;
const COLLECTIONS = { 1: 'minor', 2: 'minor', 4: 'major', 8: 'incremental', 16: 'weakcb' };
const PAUSES = [0.01, 0.1, 1, 10];

function processes() {
  const modes = ({ user, system }) => [[user / 1e6, { 'cpu.mode': 'user' }], [system / 1e6, { 'cpu.mode': 'system' }]];
  new Observed(SCOPE, 'process.cpu.time', 's', 'Total CPU seconds by mode.', 'sum', () => modes(process.cpuUsage()));
  new Observed(SCOPE, 'process.memory.usage', 'By', 'The amount of physical memory in use.', 'sum', () => [[process.memoryUsage.rss()]]).monotonic = false;
  new Observed(SCOPE, 'process.uptime', 's', 'The time the process has been running.', 'gauge', () => [[process.uptime()]]);
}

function heap() {
  const spaces = property => () => require('v8').getHeapSpaceStatistics().map(space => [space[property], { 'v8js.heap.space.name': space.space_name }]);
  for (const [name, property, description] of [
    ['v8js.memory.heap.limit', 'space_size', 'Total heap memory size pre-allocated.'],
    ['v8js.memory.heap.used', 'space_used_size', 'Heap memory size allocated.'],
    ['v8js.memory.heap.space.available_size', 'space_available_size', 'Heap space available size.'],
    ['v8js.memory.heap.space.physical_size', 'physical_space_size', 'Committed size of a heap space.'],
  ]) new Observed(SCOPE, name, 'By', description, 'sum', spaces(property)).monotonic = false;
}

function loop() {
  let last = performance.eventLoopUtilization();
  const utilization = () => {
    const now = performance.eventLoopUtilization();
    const { utilization: part } = performance.eventLoopUtilization(now, last);
    last = now;
    return [[part]];
  };
  new Observed(SCOPE, 'nodejs.eventloop.utilization', '1', 'Event loop utilization.', 'gauge', utilization);
  new Observed(SCOPE, 'nodejs.eventloop.time', 's', 'Cumulative duration of time the event loop has been in each state.', 'sum', () => {
    const { active, idle } = performance.eventLoopUtilization();
    return [[active / 1e3, { 'nodejs.eventloop.state': 'active' }], [idle / 1e3, { 'nodejs.eventloop.state': 'idle' }]];
  });
}

function delay() {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  const seconds = value => value / 1e9;
  const read = {
    min: it => it.min, max: it => it.max, mean: it => it.mean, stddev: it => it.stddev,
    p50: it => it.percentile(50), p90: it => it.percentile(90), p99: it => it.percentile(99),
  };
  const names = Object.keys(read);
  for (const name of names) {
    new Observed(SCOPE, `nodejs.eventloop.delay.${name}`, 's', `Event loop delay: ${name}.`, 'gauge', () => {
      const value = histogram.count === 0 ? NaN : seconds(read[name](histogram));
      if (name === names[names.length - 1]) histogram.reset();
      return [[value]];
    });
  }
}

function collections() {
  const pauses = new Histogram(SCOPE, 'v8js.gc.duration', 's', 'Garbage collection duration.', PAUSES);
  new PerformanceObserver(list => guard('garbage collection', () => {
    for (const entry of list.getEntries()) {
      const kind = COLLECTIONS[entry.detail ? entry.detail.kind : entry.kind] || 'other';
      pauses.record(entry.duration / 1e3, kind, () => ({ 'v8js.gc.type': kind }));
    }
  })).observe({ entryTypes: ['gc'] });
}

/** Begins to watch the runtime. */
function instrument() {
  processes();
  if (process.versions.bun || process.versions.deno) return;
  guard('heap', heap);
  guard('event loop', loop);
  const timer = outside(() => setTimeout(() => {
    guard('event loop delay', delay);
    guard('garbage collection', collections);
  }, LATER));
  timer.unref();
}

module.exports = { instrument };
