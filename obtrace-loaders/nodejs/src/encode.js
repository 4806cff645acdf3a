'use strict';
// OTLP JSON: hexadecimal ids, 64-bit integers as strings, enumerations as numbers. Written as text, since building objects only
// to have them serialised costs twice as much.

const { nanos } = require('./clock');

const keys = new Map();
const MOST_KEYS = 2000;

function key(name) {
  let text = keys.get(name);
  if (text === undefined) {
    text = `{"key":${JSON.stringify(name)},"value":`;
    if (keys.size < MOST_KEYS) keys.set(name, text);
  }
  return text;
}

/** An attribute's value as OTLP's AnyValue. */
function value(it) {
  switch (typeof it) {
    case 'string':
      return `{"stringValue":${JSON.stringify(it)}}`;
    case 'boolean':
      return `{"boolValue":${it}}`;
    case 'number':
      if (Number.isSafeInteger(it)) return `{"intValue":"${it}"}`;
      return Number.isFinite(it) ? `{"doubleValue":${it}}` : `{"stringValue":"${it}"}`;
    default:
      return `{"arrayValue":{"values":[${it.map(value).join(',')}]}}`;
  }
}

/** An object as OTLP's list of pairs, without the brackets. */
function pairs(attributes) {
  let text = '';
  for (const name in attributes) {
    if (attributes[name] === undefined || attributes[name] === null) continue;
    text += `${text && ','}${key(name)}${value(attributes[name])}}`;
  }
  return text;
}

function span(it) {
  const { context } = it;
  let text = `{"traceId":"${context.traceId}","spanId":"${context.spanId}","flags":${context.traceFlags}`;
  if (context.state) text += `,"traceState":${JSON.stringify(context.state)}`;
  if (it.parentSpanId) text += `,"parentSpanId":"${it.parentSpanId}"`;
  text += `,"name":${JSON.stringify(it.name)},"kind":${it.kind + 1},"startTimeUnixNano":"${nanos(it.start)}","endTimeUnixNano":"${nanos(it.end_)}"`;
  text += `,"attributes":[${pairs(it.attributes)}]`;
  if (it.events) text += `,"events":[${it.events.map(event).join(',')}]`;
  if (it.links) text += `,"links":[${it.links.map(link).join(',')}]`;
  if (it.status === 2) text += `,"status":{"code":2${it.message && `,"message":${JSON.stringify(it.message)}`}}`;
  return `${text}}`;
}

function event({ name, at, attributes }) {
  return `{"name":${JSON.stringify(name)},"timeUnixNano":"${nanos(at)}","attributes":[${pairs(attributes)}]}`;
}

function link({ context, attributes }) {
  return `{"traceId":"${context.traceId}","spanId":"${context.spanId}","attributes":[${pairs(attributes)}]}`;
}

function log(it) {
  const time = nanos(it.time);
  let text = `{"timeUnixNano":"${time}","observedTimeUnixNano":"${time}","severityNumber":${it.number},"severityText":${JSON.stringify(it.text)}`;
  text += `,"body":{"stringValue":${JSON.stringify(it.body)}},"attributes":[${pairs(it.attributes)}]`;
  const { context } = it;
  if (context) text += `,"traceId":"${context.traceId}","spanId":"${context.spanId}","flags":${context.traceFlags}`;
  return `${text}}`;
}

/** A metric with some of its points; `form` is `gauge`, `sum` or `histogram`. */
function metric({ name, unit, description, form, monotonic, points }) {
  const shape = form === 'gauge' ? '' : `,"aggregationTemporality":2${form === 'sum' ? `,"isMonotonic":${monotonic}` : ''}`;
  return `{"name":${JSON.stringify(name)},"unit":"${unit}","description":${JSON.stringify(description)},"${form}":{"dataPoints":[${points.map(point).join(',')}]${shape}}}`;
}

function point(it) {
  let text = `{"attributes":[${pairs(it.attributes)}],"startTimeUnixNano":"${nanos(it.start)}","timeUnixNano":"${nanos(it.time)}"`;
  if (it.counts) {
    text += `,"count":"${it.count}","sum":${it.sum},"min":${it.min},"max":${it.max},"bucketCounts":["${it.counts.join('","')}"],"explicitBounds":[${it.bounds.join(',')}]`;
  } else {
    text += Number.isSafeInteger(it.value) ? `,"asInt":"${it.value}"` : `,"asDouble":${it.value}`;
  }
  return `${text}}`;
}

const FORMS = {
  traces: ['resourceSpans', 'scopeSpans', 'spans', span],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords', log],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics', metric],
};

/** A request's body: `items` of a signal, each with its `scope`, from a resource with these attributes. */
function request(signal, items, resource, version) {
  const [outer, middle, inner, one] = FORMS[signal];
  const scopes = new Map();
  for (const item of items) {
    const texts = scopes.get(item.scope);
    if (texts) texts.push(one(item));
    else scopes.set(item.scope, [one(item)]);
  }
  const parts = [...scopes].map(([name, texts]) => `{"scope":{"name":${JSON.stringify(name)},"version":"${version}"},"${inner}":[${texts.join(',')}]}`);
  return `{"${outer}":[{"resource":{"attributes":[${pairs(resource)}]},"${middle}":[${parts.join(',')}]}]}`;
}

module.exports = { request };
