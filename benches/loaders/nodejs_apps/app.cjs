// What is measured: a route of Express 5 that says one line, by pino: OpenTelemetry's distribution does not see the console.
const express = require('express');
const logger = require('pino')();

const app = express();
app.get('/user/:id', (request, response) => {
  logger.info('user %s', request.params.id);
  response.json({ id: request.params.id });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
