'use strict';
// What the application's loggers say, as log records with the ids of the span in which it was said. CONTRACT.md, section 7.

const clock = require('../clock');
const { activeSpan } = require('../context');
const { guard } = require('../debug');
const { ATTRIBUTES, BODY, bounded } = require('../limits');

let queue = null;
let quiet = 0;

/** Whether a logger is at work that tells of its own; what it hands to the console is no record of its own. */
const isQuiet = () => quiet > 0;

/** Calls `work`, during which the console tells nothing. */
function quietly(work) {
  quiet += 1;
  try {
    return work();
  } finally {
    quiet -= 1;
  }
}

/** Tells of a record: severity number and text, body, attributes. Never throws. */
function tell(scope, number, text, body, attributes) {
  guard('a log record', () => {
    const span = activeSpan();
    const context = span && span.spanContext();
    queue.push({ scope, number, text, body: bounded(body, BODY), attributes, context, time: clock.wall(clock.ticks()) });
  });
}

/** The fields of a structured record as attributes, without those that are told otherwise. */
function fields(object, without) {
  const kept = {};
  let count = 0;
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (without.has(name) || value === undefined || value === null || typeof value === 'function' || ++count > ATTRIBUTES) continue;
    kept[name] = bounded(typeof value === 'object' ? JSON.stringify(value) : value);
  }
  return kept;
}

/** Begins to listen to loggers. */
function instrument(records) {
  queue = records;
  require('./console').instrument();
  require('./pino').instrument();
  require('./winston').instrument();
}

module.exports = { fields, instrument, isQuiet, quietly, tell };
