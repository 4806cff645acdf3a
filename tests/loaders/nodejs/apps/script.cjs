// Makes a few spans and ends in the way that is named.
const http = require('http');

const ways = {
  drain() {},
  exit: () => process.exit(3),
  code() {
    process.exitCode = 4;
  },
  throws() {
    throw new Error('out of the blue');
  },
  rejects: () => Promise.reject(new Error('nobody cares')),
  waits: () => setInterval(() => {}, 1000),
  handles() {
    process.on('SIGTERM', () => {
      console.log('handled');
      process.exit(7);
    });
    setInterval(() => {}, 1000);
  },
  once() {
    // What the package signal-exit does: it ends the process itself if nobody else listens.
    const own = () => {
      const alone = process.listeners('SIGTERM').length === 1;
      process.removeListener('SIGTERM', own);
      console.log(alone ? 'alone' : 'not alone');
      if (alone) process.kill(process.pid, 'SIGTERM');
    };
    process.on('SIGTERM', own);
    setInterval(() => {}, 1000);
  },
  before() {
    process.on('beforeExit', () => console.log('before the exit'));
  },
};

const count = Number(process.env.COUNT || 2);
const server = http.createServer((request, response) => response.end());
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  for (let at = 0; at < count; at++) {
    await new Promise(resolve => http.get({ host: '127.0.0.1', port, agent: false }, response => response.resume().on('close', resolve)));
  }
  server.close(() => {
    console.log('ready');
    ways[process.argv[2]]();
  });
});
