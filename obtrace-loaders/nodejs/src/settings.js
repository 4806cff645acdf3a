'use strict';
// The variables of CONTRACT.md, section 3, as values.

const KINDS = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 };
const SIGNALS = ['traces', 'logs', 'metrics'];
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function on(value) {
  return !!value && !/^(0|false)$/i.test(value);
}

function number(text, otherwise) {
  const trimmed = (text || '').trim();
  return NUMBER.test(trimmed) ? Number(trimmed) : otherwise;
}

/** The words of a comma-separated list that are known; null if it is unset or has none. */
function words(text, known) {
  const found = (text || '').split(',').map(word => word.trim().toLowerCase()).filter(word => known.includes(word));
  return found.length ? new Set(found) : null;
}

function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/** A value without the white space around it, as a Secret made from a file ends in a line feed; null if a header cannot have it. */
function headerValue(text) {
  const value = (text || '').trim();
  return /^[\t\x20-\x7e\x80-\xff]+$/.test(value) ? value : null;
}

/** @returns what the loader does, by an environment; `traced` are the kinds of the OpenTelemetry API, null means all. */
function read(env) {
  const traced = words(env.OBTRACE_TRACED, Object.keys(KINDS));
  return {
    url: (env.OBTRACE_INGEST_URL || '').trim().replace(/\/+$/, ''),
    key: headerValue(env.OBTRACE_API_KEY),
    ratio: clamp(number(env.OBTRACE_TRACE_SAMPLE_RATIO, 1), 0, 1),
    traced: traced && new Set([...traced].map(word => KINDS[word])),
    signals: words(env.OBTRACE_SIGNALS, SIGNALS) || new Set(SIGNALS),
    interval: clamp(number(env.OBTRACE_METRIC_INTERVAL, 60), 1, 86400) * 1000,
    debug: on(env.OBTRACE_DEBUG),
  };
}

module.exports = { read, on };
