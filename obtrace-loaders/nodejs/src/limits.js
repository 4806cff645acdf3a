'use strict';
// The bounds of CONTRACT.md, sections 6 and 7.

const ATTRIBUTES = 128;
const EVENTS = 32;
const LINKS = 32;
const STRING = 4096;
const ELEMENTS = 128;
const STACK = 16384;
const BODY = 16384;

/** An attribute's value within bounds; undefined if it is none. */
function bounded(value, most = STRING) {
  switch (typeof value) {
    case 'string':
      return value.length > most ? value.slice(0, most) : value;
    case 'number':
    case 'boolean':
      return value;
    case 'bigint':
      return String(value);
    default:
      return Array.isArray(value) ? value.slice(0, ELEMENTS).map(item => bounded(item, most)).filter(item => item !== undefined) : undefined;
  }
}

/** The attributes of an exception event or log record. */
function exception(error) {
  const object = error !== null && typeof error === 'object';
  return {
    'exception.type': type(error),
    'exception.message': bounded(String(object ? error.message : error)),
    ...(object && typeof error.stack === 'string' && { 'exception.stacktrace': bounded(error.stack, STACK) }),
  };
}

/** What `error.type` says of something thrown. */
function type(error) {
  if (error === null || typeof error !== 'object') return typeof error;
  const name = error.name || (error.constructor && error.constructor.name) || 'Error';
  return String(name === 'Error' && typeof error.code === 'string' ? error.code : name);
}

module.exports = { ATTRIBUTES, EVENTS, LINKS, STACK, BODY, bounded, exception, type };
