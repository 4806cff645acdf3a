// Answers as its path asks: node --max-http-header-size=262144 server.js PORT...
'use strict'
const http = require('node:http')

function answer (request, response) {
  const [, kind, number] = request.url.replace(/^http:\/\/[^/]*/, '').split(/[/?]/)
  if (kind === 's') {
    response.statusCode = Number(number)
    response.end(['204', '304'].includes(number) || request.method === 'HEAD' ? undefined : '{"ok": true}')
  } else if (kind === 'echo') {
    const parts = []
    request.on('data', part => parts.push(part))
    request.on('end', () => response.end(Buffer.concat(parts)))
  } else if (kind === 'trailers') {
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('a part')
    response.addTrailers({ 'X-Sum': '7' })
    response.end()
  } else if (kind === 'early') {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.end('late')
  } else if (kind === 'length') {
    response.writeHead(200, { 'Content-Length': 5 })
    response.write('ab')
    setTimeout(() => response.end('cde'), 5)
  } else {
    for (let part = 0; part < 5; part++) response.write('part '.repeat(100))
    response.end()
  }
}

for (const port of process.argv.slice(2)) {
  const server = http.createServer(answer)
  server.keepAliveTimeout = 60000
  server.on('upgrade', (request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
    socket.on('error', () => {})
  })
  server.on('connect', (request, socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    socket.pipe(socket)
    socket.on('error', () => {})
  })
  server.listen(Number(port), '127.0.0.1')
}
