'use strict';
// OpenTelemetry's instrumentations of databases, brokers and GraphQL, each loaded when its library is.

const path = require('path');
const { debug } = require('../debug');
const { manifest, watch } = require('../hook');

const LONGEST_COMMAND = 10;

/** A Redis command without its arguments. */
function command(name, words) {
  const marks = words.slice(0, LONGEST_COMMAND).map(() => '?').join(' ');
  return `${String(name).toUpperCase()}${marks && ` ${marks}`}${words.length > LONGEST_COMMAND ? ' ...' : ''}`;
}

/** Redis has one instrumentation for 2 and 3, and one for what came after. */
function redis() {
  const { instrumentationV2_V3: former, instrumentationV4_V5: latter } = new (require('@opentelemetry/instrumentation-redis').RedisInstrumentation)({ dbStatementSerializer: command });
  return { loaded: (name, file, main, version, exports) => (name === 'redis' ? former : latter).loaded(name, file, main, version, exports) };
}

// esbuild keeps each of these unevaluated until it is asked for.
const LIBRARIES = [
  [['pg', 'pg-pool'], () => new (require('@opentelemetry/instrumentation-pg').PgInstrumentation)({ ignoreConnectSpans: true })],
  [['mysql2'], () => new (require('@opentelemetry/instrumentation-mysql2').MySQL2Instrumentation)()],
  [['mongodb'], () => new (require('@opentelemetry/instrumentation-mongodb').MongoDBInstrumentation)()],
  [['redis', '@redis/client', '@node-redis/client'], redis],
  [['ioredis'], () => new (require('@opentelemetry/instrumentation-ioredis').IORedisInstrumentation)({ dbStatementSerializer: command, requireParentSpan: false })],
  [['kafkajs'], () => new (require('@opentelemetry/instrumentation-kafkajs').KafkaJsInstrumentation)()],
  [['amqplib'], () => new (require('@opentelemetry/instrumentation-amqplib').AmqplibInstrumentation)()],
  [['graphql'], () => new (require('@opentelemetry/instrumentation-graphql').GraphQLInstrumentation)({ ignoreTrivialResolveSpans: true, ignoreResolveSpans: true, mergeItems: true })],
];

/** Whether a file is what `require` of its package gives. */
function isMain(file, folder) {
  const { main = 'index.js', exports } = manifest(folder);
  const root = exports && (typeof exports === 'string' ? exports : exports['.'] || exports);
  const candidates = [main, ...leaves(root)];
  return candidates.some(text => [text, `${text}.js`, path.posix.join(text, 'index.js')].some(it => path.posix.normalize(it) === file));
}

function leaves(tree) {
  if (typeof tree === 'string') return [tree];
  return tree && typeof tree === 'object' ? Object.keys(tree).filter(key => !key.startsWith('.')).flatMap(key => leaves(tree[key])) : [];
}

/** Begins to wait for the libraries. */
function instrument() {
  for (const [names, make] of LIBRARIES) {
    let made = null;
    for (const name of names) {
      watch(name, (exports, file, version, folder) => {
        if (made === null) {
          made = make();
          debug(`watches ${name} ${version}`);
        }
        return made.loaded(name, file, isMain(file, folder), version, exports);
      });
    }
  }
}

module.exports = { instrument };
