// Ends by an error that nobody catches, where a loader could be found in its stack.
const http = require('http');

const [way] = process.argv.slice(2);
const fail = where => {
  if (where === way) throw new Error(`in ${where}`);
};
if (way === 'require') require('./nowhere');
const server = http.createServer((request, response) => {
  request.on('data', () => fail('data')).on('end', () => response.end('x'));
  response.on('finish', () => fail('finish'));
});
server.listen(0, '127.0.0.1', () => {
  if (way === 'refused') return http.get({ host: '127.0.0.1', port: 1 });
  const call = http.request({ method: 'POST', port: server.address().port, host: '127.0.0.1' }, answer => {
    fail('response');
    answer.resume().on('end', () => fail('end'));
  });
  return call.end('abc');
});
