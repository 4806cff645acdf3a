// An ES module with named imports of what is patched.
import { createServer, get } from 'node:http';
import express from 'express';
import pg from 'pg';

const app = express();
app.get('/user/:id', (request, response) => {
  get(`${process.env.TARGET}/asked`, answer => answer.resume().on('end', () => response.json({ id: request.params.id })));
});
app.get('/database', async (request, response) => {
  const client = new pg.Client({ host: '127.0.0.1', port: 1, user: 'nobody', connectionTimeoutMillis: 500 });
  await client.connect().catch(() => {});
  await client.query('SELECT 1').catch(() => {});
  response.end('asked');
});
createServer(app).listen(Number(process.env.PORT), '127.0.0.1');
