'use strict';
// Wall time with the resolution of the monotonic clock.

const { performance } = require('perf_hooks');

const DRIFT = 50;
let anchor = performance.timeOrigin;

/** Milliseconds of the monotonic clock. */
function ticks() {
  return performance.now();
}

/** Milliseconds since 1970 of a moment of `ticks`. */
function wall(moment) {
  return anchor + moment;
}

/** Follows the wall clock where it was set or the machine slept; called now and then. */
function settle() {
  const now = Date.now() - performance.now();
  if (Math.abs(now - anchor) > DRIFT) anchor = now;
}

/** Nanoseconds as OTLP JSON has them. A double keeps a quarter of a microsecond of today's time. */
function nanos(milliseconds) {
  return String(Math.round(milliseconds * 1e6));
}

module.exports = { ticks, wall, settle, nanos };
