// GET /run does a few things with the library that is named, within that request. The server it talks to: SERVER_PORT.
const http = require('http');

const port = Number(process.env.SERVER_PORT);
const host = '127.0.0.1';
const caught = promise => promise.then(() => 'no error', error => error.name);

const exercises = {
  async pg() {
    const { Pool } = require('pg');
    const pool = new Pool({ host, port, user: 'postgres', database: 'postgres' });
    return async () => {
      await pool.query("SELECT 'hidden' AS word FROM pg_class WHERE relname = $1", ['hidden']);
      await new Promise((resolve, reject) => pool.query('SELECT 1', error => (error ? reject(error) : resolve())));
      return caught(pool.query('SELECT * FROM nothing_there'));
    };
  },
  async mysql2() {
    const mysql = require('mysql2/promise');
    const pool = mysql.createPool({ host, port, user: 'tester', database: 'shop' });
    return async () => {
      await pool.query("SELECT 'hidden' AS word FROM orders WHERE id = ?", [7]);
      await pool.execute('INSERT INTO orders (id) VALUES (?)', [Date.now() % 1e9]);
      return caught(pool.query('SELECT * FROM nothing_there'));
    };
  },
  async redis() {
    const client = require('redis').createClient({ socket: { host, port } });
    await client.connect();
    return async () => {
      await client.set('hidden', 'hidden');
      await client.get('hidden');
      return caught(client.sendCommand(['INCR', 'hidden']));
    };
  },
  async ioredis() {
    const Redis = require('ioredis');
    const client = new (Redis.default || Redis)({ host, port });
    return async () => {
      await client.set('hidden', 'hidden');
      await client.get('hidden');
      return caught(client.incr('hidden'));
    };
  },
  async amqplib() {
    const amqp = require('amqplib');
    const connection = await amqp.connect(`amqp://guest:guest@${host}:${port}`);
    const channel = await connection.createChannel();
    await channel.assertQueue('orders', { durable: false });
    await channel.consume('orders', message => {
      console.log('took %s', message.content);
      channel.ack(message);
    });
    return async () => {
      channel.sendToQueue('orders', Buffer.from('an order'));
      await new Promise(resolve => setTimeout(resolve, 300));
      return 'sent';
    };
  },
  async graphql() {
    const { buildSchema, graphql } = require('graphql');
    const schema = buildSchema('type Query { greeting(name: String): String }');
    return async () => {
      const { data } = await graphql({ schema, source: 'query Greet { greeting(name: "hidden") }', rootValue: { greeting: () => 'hello' } });
      return data.greeting;
    };
  },
  async pino() {
    const pino = require('pino');
    const logger = pino({ redact: ['secret'] }, pino.destination({ dest: 1, sync: true }));
    return async () => {
      logger.debug('not shown');
      logger.info({ order: 7, secret: 'hidden', nested: { deep: true } }, 'ordered %s', 'shoes');
      logger.child({ part: 'stock' }).error(new TypeError('none left'), 'cannot deliver');
      return 'said';
    };
  },
  async winston() {
    const { createLogger, format, transports } = require('winston');
    const logger = createLogger({ level: 'info', format: format.combine(format.splat(), format.json()), transports: [new transports.Console()] });
    return async () => {
      logger.debug('not shown');
      logger.info('ordered %s', 'shoes', { order: 7 });
      logger.child({ part: 'stock' }).warn('few left');
      return 'said';
    };
  },
  async drivers() {
    const { MongoClient } = require('mongodb');
    const { Kafka, logLevel } = require('kafkajs');
    const client = new MongoClient(`mongodb://${host}:${port}/shop`, { serverSelectionTimeoutMS: 300 });
    const producer = new Kafka({ brokers: [`${host}:${port}`], logLevel: logLevel.NOTHING }).producer();
    return async () => {
      const asked = await caught(client.db().collection('orders').findOne({ word: 'hidden' }));
      return `${asked} ${await caught(producer.send({ topic: 'orders', messages: [{ value: 'hidden' }] }))}`;
    };
  },
  async undici() {
    const { request } = require('undici');
    return async () => {
      const { statusCode, body } = await request(`http://${host}:${port}/asked?token=hidden`);
      await body.text();
      return String(statusCode);
    };
  },
};

exercises[process.argv[2]]().then(run => {
  http.createServer(async (request, response) => {
    try {
      response.end(await run());
    } catch (error) {
      response.statusCode = 500;
      response.end(error.stack);
    }
  }).listen(Number(process.env.PORT), host);
});
