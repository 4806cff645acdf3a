'use strict';
// What happens to the spans of libraries when they end: names, attributes and status by CONTRACT.md, section 6, and the metrics
// of databases. The spans of HTTP are made as they should be.

const { Histogram } = require('./metrics');
const { ERROR } = require('./span');
const { bounded } = require('./limits');
const sql = require('./sql');

const SQL = new Set(['postgresql', 'mysql', 'mariadb', 'mssql', 'sqlite', 'oracle.db']);
const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const CLIENT = 2;
const PRODUCER = 3;
// Old names, and what may hold secrets.
const RENAMED = {
  'db.system': 'db.system.name', 'db.name': 'db.namespace', 'db.statement': 'db.query.text', 'db.operation': 'db.operation.name',
  'db.mongodb.collection': 'db.collection.name', 'net.peer.name': 'server.address', 'net.peer.port': 'server.port',
  'messaging.destination': 'messaging.destination.name', 'messaging.operation': 'messaging.operation.name', 'messaging.message_id': 'messaging.message.id',
  'messaging.conversation_id': 'messaging.message.conversation_id', 'messaging.rabbitmq.routing_key': 'messaging.rabbitmq.destination.routing_key',
};
const LEFT_OUT = [
  'db.connection_string', 'db.user', 'db.postgresql.values', 'db.postgresql.plan', 'net.transport', 'net.peer.ip', 'messaging.url', 'messaging.destination_kind',
  'messaging.protocol', 'messaging.protocol_version',
];

const OWN = new Set(['obtrace.nodejs.http', 'obtrace.nodejs.undici', 'obtrace.nodejs.bun']);

let durations = null;
const statements = new Map();
const MOST_STATEMENTS = 500;

/** The same texts come again and again. */
function statement(text) {
  let found = statements.get(text);
  if (found === undefined) {
    found = sql.statement(text);
    if (text.length > 4096) return found;
    if (statements.size >= MOST_STATEMENTS) statements.delete(statements.keys().next().value);
    statements.set(text, found);
  }
  return found;
}

function renamed(attributes) {
  for (const old in RENAMED) {
    if (attributes[old] === undefined) continue;
    const now = RENAMED[old];
    if (attributes[now] === undefined) attributes[now] = attributes[old];
    delete attributes[old];
  }
  for (const name of LEFT_OUT) delete attributes[name];
}

function failed(span) {
  if (span.status === ERROR && span.attributes['error.type'] === undefined) {
    span.attributes['error.type'] = span.error || '_OTHER';
  }
}

function database(span, seconds) {
  const it = span.attributes;
  const system = it['db.system.name'];
  const text = it['db.query.text'];
  if (SQL.has(system) && typeof text === 'string') {
    const { text: kept, operation, collection } = statement(text);
    it['db.query.text'] = bounded(kept);
    it['db.operation.name'] = operation || it['db.operation.name'];
    it['db.collection.name'] = it['db.collection.name'] || (collection && bounded(collection));
  } else if (system === 'redis' && it['db.operation.name']) {
    it['db.operation.name'] = it['db.operation.name'].toUpperCase();
  }
  const operation = it['db.operation.name'];
  const target = it['db.collection.name'] || (it['db.namespace'] === undefined ? undefined : String(it['db.namespace']));
  span.name = [operation, target].filter(Boolean).join(' ') || system;
  failed(span);
  durations = durations || new Histogram('obtrace.nodejs.database', 'db.client.operation.duration', 's', 'Duration of database client operations.', BOUNDS);
  const names = ['db.system.name', 'db.namespace', 'db.operation.name', 'db.collection.name', 'server.address', 'server.port', 'error.type'];
  durations.record(seconds, names.map(name => it[name]).join(' '), () => Object.fromEntries(names.map(name => [name, it[name]])));
}

function messaging(span) {
  const it = span.attributes;
  if (it['messaging.operation.name'] === undefined && span.kind === PRODUCER) it['messaging.operation.name'] = 'publish';
  // RabbitMQ's default exchange has no name: a message goes to the queue that the routing key names.
  if (!it['messaging.destination.name']) it['messaging.destination.name'] = it['messaging.rabbitmq.destination.routing_key'];
  const operation = it['messaging.operation.name'] || it['messaging.operation.type'];
  const destination = it['messaging.destination.name'];
  if (operation) span.name = [operation, destination].filter(Boolean).join(' ');
  failed(span);
}

/** Called with every span of a library that ends, told of or not. */
function finish(span, seconds) {
  if (span.noise || OWN.has(span.scope)) return;
  renamed(span.attributes);
  if (span.attributes['db.system.name'] && span.kind === CLIENT) database(span, seconds);
  else if (span.attributes['messaging.system']) messaging(span);
  else failed(span);
}

module.exports = { finish };
