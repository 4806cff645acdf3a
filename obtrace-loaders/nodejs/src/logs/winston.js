'use strict';
// winston 3: what a logger hands to its transports, after its formats, so that what they take away stays away.

const { STACK, BODY, bounded } = require('../limits');
const { guard } = require('../debug');
const { watch } = require('../hook');
const logs = require('.');

const SCOPE = 'winston';
const LEVEL = Symbol.for('level');
const NUMBERS = { silly: 1, debug: 5, verbose: 6, http: 7, info: 9, warn: 13, error: 17, data: 9, notice: 10, warning: 13, crit: 18, alert: 19, emerg: 21 };
const ELSEWHERE = new Set(['level', 'message', 'stack', 'timestamp']);

function told(logger, info) {
  const level = info[LEVEL] || info.level;
  if (logger.silent || (typeof logger.isLevelEnabled === 'function' && !logger.isLevelEnabled(level))) return;
  const attributes = logs.fields(info, ELSEWHERE);
  if (typeof info.stack === 'string') attributes['exception.stacktrace'] = bounded(info.stack, STACK);
  const body = typeof info.message === 'string' ? info.message : JSON.stringify(info.message) || '';
  logs.tell(SCOPE, NUMBERS[level] || 9, String(level), bounded(body, BODY), attributes);
}

function wrapLogger(Logger) {
  const { push } = Logger.prototype;
  Logger.prototype.push = function (info, ...words) {
    if (info && typeof info === 'object') guard('winston', () => told(this, info));
    return push.call(this, info, ...words);
  };
}

function wrapTransport(Console) {
  const { log } = Console.prototype;
  Console.prototype.log = function (...words) {
    return logs.quietly(() => log.apply(this, words));
  };
}

/** Begins to wait for winston. */
function instrument() {
  watch('winston', (exports, file) => {
    if (file === 'lib/winston/logger.js') wrapLogger(exports);
    if (file === 'lib/winston/transports/console.js') wrapTransport(exports);
  });
}

module.exports = { NUMBERS, instrument };
