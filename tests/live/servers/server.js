// The Node server of the live tests: `node server.js PORT UPSTREAM_PORT`. `/chain/X` asks the upstream for `/items/X`.
'use strict';
const http = require('http');
const [port, upstream] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });

function chain(name, done) {
  http.get({ port: upstream, host: '127.0.0.1', path: `/items/${name}`, agent }, (answer) => {
    answer.resume();
    answer.on('end', done);
  });
}

http.createServer((request, response) => {
  const [, kind, name] = request.url.split('/');
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const answer = (status, body) => {
      response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) });
      response.end(body);
    };
    const item = JSON.stringify({ item: name });
    if (kind === 'missing') answer(404, item);
    else if (kind === 'echo') answer(200, Buffer.concat(parts));
    else if (kind === 'big') answer(200, Buffer.alloc(1000000, 'x'));
    else if (kind === 'chain') chain(name, () => answer(200, item));
    else answer(200, item);
  });
}).listen(port, '127.0.0.1');
