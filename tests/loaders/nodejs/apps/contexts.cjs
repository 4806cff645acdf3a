// Two connections that are kept alive and whose bodies come late, calls that wait for an agent's only connection, a caller that hangs up.
// Every line ends with the path of the request that it belongs to.
const http = require('http');
const net = require('net');

const host = '127.0.0.1';
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const server = http.createServer((request, response) => {
  const { url } = request;
  if (url.startsWith('/up')) return setTimeout(() => response.end('up'), 20);
  response.on('finish', () => console.log('finish', url)).on('close', () => console.log('close', url));
  return request.on('data', () => {}).on('end', () => {
    console.log('end', url);
    http.get({ host, port: server.address().port, path: `/up${url}`, agent }, answer => {
      console.log('answer', url);
      answer.resume().on('end', () => {
        console.log('over', url);
        response.end('done');
      });
    });
  });
});

function post(path, body, length, then) {
  const socket = net.connect(server.address().port, host);
  const ask = () => {
    socket.write(`POST ${path()} HTTP/1.1\r\nHost: shop\r\nContent-Length: ${length}\r\n\r\n`);
    setTimeout(() => socket.write(body), 30);
  };
  ask();
  socket.on('data', () => then(socket, ask));
}

function twice(name, done) {
  let count = 0;
  post(() => `/${name}${count}`, 'abc', 3, (socket, ask) => {
    count += 1;
    if (count < 2) return ask();
    socket.destroy();
    return done();
  });
}

server.listen(0, host, () => {
  let open = 2;
  const done = () => {
    open -= 1;
    if (open > 0) return;
    const socket = net.connect(server.address().port, host);
    socket.write('POST /gone HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabc');
    setTimeout(() => socket.destroy(), 60);
    setTimeout(() => process.exit(0), 200);
  };
  twice('a', done);
  twice('b', done);
});
