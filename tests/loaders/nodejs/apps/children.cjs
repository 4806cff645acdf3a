// A thread and a child, each with an HTTP call of its own.
const http = require('http');
const { fork } = require('child_process');
const { Worker, isMainThread } = require('worker_threads');

const call = done => http.get(process.env.TARGET + (isMainThread ? (process.send ? '/child' : '/main') : '/thread'), answer => answer.resume().on('end', done));
if (process.argv[2] === 'child' || !isMainThread) call(() => process.disconnect && process.disconnect());
else {
  call(() => new Worker(__filename).on('exit', code => {
    console.log('thread', code);
    fork(__filename, ['child']).on('exit', status => console.log('child', status));
  }));
}
