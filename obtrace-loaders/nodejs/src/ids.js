'use strict';
// Random ids, and which of them are kept.

const { randomBytes } = require('crypto');

const POOL = 2048;
const ZERO = /^0+$/;
let pool = '';
let at = 0;

/** `digits` random hexadecimal digits, never all zeros. */
function id(digits) {
  if (at + digits > pool.length) {
    pool = randomBytes(POOL).toString('hex');
    at = 0;
  }
  const found = pool.slice(at, at + digits);
  at += digits;
  return ZERO.test(found) ? id(digits) : found;
}

/** A function that says whether a trace that begins here is kept: its last 56 bits against `ratio * 2^56`. */
function sampler(ratio) {
  if (ratio >= 1) return () => true;
  const limit = BigInt(Math.ceil(ratio * 2 ** 56)).toString(16).padStart(14, '0');
  return trace => trace.slice(18) < limit;
}

module.exports = { id, sampler };
