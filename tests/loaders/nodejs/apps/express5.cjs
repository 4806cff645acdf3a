// A shop: routes, a mounted router, a failing handler, a call to somebody else, a database of one's own choice.
const http = require('http');
const express = require(process.env.EXPRESS || 'express');

const app = express();
const shop = express.Router({ mergeParams: true });
app.use(express.json());
shop.get('/orders/:order', (request, response) => response.json(request.params));
app.use('/shops/:shop', shop);
app.get('/user/:id', (request, response) => {
  console.log('user %s', request.params.id);
  response.json({ id: request.params.id });
});
app.post('/user', (request, response) => response.status(201).json(request.body));
app.get('/fails', () => {
  throw new TypeError('as it happens');
});
app.get('/missing', (request, response) => response.status(404).end());
app.get('/stream', (request, response) => {
  response.write('begin');
  setTimeout(() => response.end('end'), 300);
});
app.get('/out', async (request, response) => {
  const target = new URL(process.env.TARGET);
  const answer = await fetch(`${target.href}fetched?token=secret`);
  await answer.text();
  http.get({ host: target.hostname, port: target.port, path: '/asked?token=secret' }, other => {
    other.resume().on('end', () => {
      console.warn('asked');
      response.json({ status: other.statusCode });
    });
  });
});
app.get('/headers', (request, response) => response.json(request.headers));
app.get('/exit/:code', (request, response) => {
  response.end('bye');
  setTimeout(() => process.exit(Number(request.params.code)), 50);
});
app.get('/throw', (request, response) => {
  response.end('bye');
  setTimeout(() => {
    throw new Error('out of the blue');
  }, 50);
});
const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => console.info('listens'));
app.get('/close', (request, response) => {
  response.set('Connection', 'close').end('bye');
  server.close();
  server.closeAllConnections();
});
