'use strict';
// `console`: what it prints stays as it is.

const { format } = require('util');
const { exception } = require('../limits');
const { guard } = require('../debug');
const logs = require('.');

const SCOPE = 'console';
const LEVELS = { debug: 5, log: 9, info: 9, warn: 13, error: 17, trace: 1 };

function told(level, words) {
  if (logs.isQuiet()) return;
  const error = words.find(word => word instanceof Error);
  logs.tell(SCOPE, LEVELS[level], level, words.length === 1 && typeof words[0] === 'string' ? words[0] : format(...words), error ? exception(error) : {});
}

function wrap(level) {
  const original = console[level];
  const wrapped = {
    [level](...words) {
      guard('the console', () => told(level, words));
      return logs.quietly(() => original.apply(this, words));
    },
  }[level];
  console[level] = wrapped;
  return original;
}

/** `console.trace` prints the stack above itself, so it is done here as Node.js does it, for our frame not to be in it. */
function wrapTrace(error) {
  const wrapped = {
    trace(...words) {
      guard('the console', () => told('trace', words));
      const stack = { name: 'Trace', message: format(...words) };
      Error.captureStackTrace(stack, wrapped);
      logs.quietly(() => error.call(this, stack.stack));
    },
  }.trace;
  console.trace = wrapped;
}

/** Begins to listen. */
function instrument() {
  const originals = {};
  for (const level of ['debug', 'log', 'info', 'warn', 'error']) originals[level] = wrap(level);
  if (!process.versions.bun && !process.versions.deno) wrapTrace(originals.error);
}

module.exports = { LEVELS, instrument };
