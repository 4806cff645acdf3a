// The vectors of the contract against the loader's own functions: node vectors.mjs SOURCES TESTDATA NAME
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const [sources, testdata, name] = process.argv.slice(2);
const require = createRequire(`${sources}/`);
const vectors = JSON.parse(readFileSync(`${testdata}/${name}.json`, 'utf8'));
const here = { ...process.env };

const players = {
  traceparent({ header, context }) {
    const { parse } = require('./traceparent.js');
    const found = parse(header, '');
    assert.deepEqual(found && { trace_id: found.traceId, span_id: found.spanId, sampled: found.traceFlags === 1 }, context);
  },
  tracestate({ header, passed }) {
    const { parse } = require('./traceparent.js');
    assert.equal(parse('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', header).state || null, passed);
  },
  sampling({ ratio, trace_id: trace, sampled }) {
    const { read } = require('./settings.js');
    const { sampler } = require('./ids.js');
    assert.equal(sampler(read({ OBTRACE_TRACE_SAMPLE_RATIO: ratio }).ratio)(trace), sampled);
  },
  url({ url, full }) {
    assert.equal(require('./http/url.js').full(url), full);
  },
  sql({ sql, text, operation, collection }) {
    const found = require('./sql.js').statement(sql);
    assert.deepEqual({ ...found }, { text, operation, collection });
  },
  resource({ env, attributes }) {
    const found = require('./resource.js').resource({ PATH: here.PATH, ...env });
    for (const key of Object.keys(attributes)) assert.equal(found[key] ?? null, attributes[key], key);
  },
  severity() {
    const { nodejs } = vectors;
    assert.deepEqual(require('./logs/console.js').LEVELS, nodejs.console);
    assert.deepEqual(require('./logs/pino.js').NUMBERS, nodejs.pino);
    for (const level of Object.keys(nodejs.winston)) assert.equal(require('./logs/winston.js').NUMBERS[level], nodejs.winston[level], level);
  },
};

const cases = vectors.cases || [null];
const wrong = [];
for (const it of cases) {
  try {
    players[name](it);
  } catch (error) {
    wrong.push(`${JSON.stringify(it)}: ${error.message.replace(/\n/g, ' ')}`);
  }
}
console.log(JSON.stringify({ played: cases.length, wrong }));
