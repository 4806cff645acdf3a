// Two workers of a cluster share a port.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  for (let at = 0; at < 2; at++) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
    cluster.on('exit', () => Object.keys(cluster.workers).length === 0 && process.exit(0));
  });
} else {
  http.createServer((request, response) => response.end(String(process.pid))).listen(Number(process.env.PORT), '127.0.0.1');
}
