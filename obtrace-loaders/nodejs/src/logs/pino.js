'use strict';
// pino: the line as it is written is what is told, so that what it redacts stays redacted.

const { BODY, STACK, bounded } = require('../limits');
const { guard } = require('../debug');
const { watch } = require('../hook');
const logs = require('.');

const SCOPE = 'pino';
const NAMES = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
const NUMBERS = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 };
const ELSEWHERE = new Set(['level', 'time', 'pid', 'hostname']);

/** The severity of a level's number; levels of the application's own count as the next below. */
function severity(level) {
  let found = 1;
  for (const known of Object.keys(NAMES)) if (level >= Number(known)) found = NUMBERS[NAMES[known]];
  return found;
}

/** Body and attributes of a line. */
function parse(line, messageKey, errorKey) {
  const record = JSON.parse(line);
  const { [messageKey]: message, [errorKey]: error } = record;
  const attributes = logs.fields(record, new Set([...ELSEWHERE, messageKey, errorKey]));
  if (error && typeof error === 'object') {
    Object.assign(attributes, { 'exception.type': error.type, 'exception.message': error.message, 'exception.stacktrace': bounded(String(error.stack || ''), STACK) });
  }
  return { body: typeof message === 'string' ? message : message === undefined ? (error && error.message) || '' : JSON.stringify(message), attributes };
}

function wrap(prototype) {
  const symbols = Object.fromEntries(Object.getOwnPropertySymbols(prototype).map(it => [it.description, it]));
  const own = symbols['pino.asJson'];
  const original = prototype[own];
  if (typeof original !== 'function') return;
  prototype[own] = function (object, message, level, time) {
    const line = original.apply(this, arguments);
    guard('pino', () => {
      const known = Object.getOwnPropertySymbols(this);
      const option = name => {
        for (let at = this; at; at = Object.getPrototypeOf(at)) {
          const symbol = (at === this ? known : Object.getOwnPropertySymbols(at)).find(it => it.description === name);
          if (symbol) return at[symbol];
        }
        return undefined;
      };
      const { body, attributes } = parse(line, option('pino.messageKey') || 'msg', option('pino.errorKey') || 'err');
      const text = (this.levels && this.levels.labels && this.levels.labels[level]) || NAMES[level] || String(level);
      logs.tell(SCOPE, severity(level), text, bounded(body, BODY), attributes);
    });
    return line;
  };
}

/** Begins to wait for pino. */
function instrument() {
  watch('pino', (exports, file) => {
    if (file === 'lib/proto.js' && typeof exports === 'function') wrap(Object.getPrototypeOf(exports()));
  });
}

module.exports = { NUMBERS, instrument, severity };
