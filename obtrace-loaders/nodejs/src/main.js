'use strict';
// What the entry file calls once it has found no reason to step aside.

const context = require('./context');
const debug = require('./debug');
const exit = require('./exit');
const hook = require('./hook');
const metrics = require('./metrics');
const span = require('./span');
const { Queue, dropped } = require('./queue');
const { finish } = require('./finish');
const { read } = require('./settings');
const { resource, version } = require('./resource');
const { sampler } = require('./ids');

function queues(settings) {
  const identity = { attributes: resource(process.env), version };
  const made = {};
  for (const signal of settings.signals) made[signal] = new Queue(signal, settings, identity);
  return made;
}

/** Reports metrics every interval; gives the function that reports them now. */
function reporter(queue, interval) {
  const report = () => debug.guard('metrics', () => metrics.collect().forEach(metric => queue.push(metric)));
  const timer = setInterval(report, interval);
  if (timer.unref) timer.unref();
  return report;
}

/** Begins. What fails here is a reason to step aside, and said by the entry file. */
function start() {
  const settings = read(process.env);
  if (settings.debug) debug.enable();
  const { traces, logs, metrics: points } = queues(settings);
  context.register();
  span.register({
    sampled: sampler(settings.ratio),
    traced: traces ? settings.traced : new Set(),
    ended: finish,
    take: it => traces.push(it),
  });
  hook.instrument();
  debug.guard('servers', () => require('./http/server').instrument());
  debug.guard('clients', () => require('./http/client').instrument());
  debug.guard('fetch', () => require('./http/undici').instrument());
  if (process.versions.bun) debug.guard('Bun', () => require('./http/bun').instrument());
  debug.guard('routes', () => require('./routes/frameworks').instrument());
  debug.guard('libraries', () => require('./libraries').instrument());
  if (logs) debug.guard('logs', () => require('./logs').instrument(logs));
  let words = () => {};
  if (points) {
    new metrics.Observed('obtrace.nodejs.loader', 'obtrace.loader.dropped', '{item}', 'Items that were not sent.', 'sum', dropped);
    debug.guard('runtime', () => require('./runtime').instrument());
    words = reporter(points, settings.interval);
  }
  exit.watch([traces, logs, points].filter(Boolean), words);
  debug.debug(`obtrace-zero ${version} sends ${[...settings.signals].join(', ')} of ${process.pid}`);
}

module.exports = { start };
