// The same few routes by the framework that is named: /user/:id, a nested one, one that fails, one that is not there.
const framework = process.argv[2];
const port = Number(process.env.PORT);
const host = '127.0.0.1';
const fail = () => {
  throw new RangeError('as it happens');
};

const make = {
  http() {
    require('http').createServer((request, response) => {
      const chunks = [];
      request.on('data', chunk => chunks.push(chunk)).on('end', () => {
        console.log('read %d', Buffer.concat(chunks).length);
        response.end('plain');
      });
    }).listen(port, host);
  },
  fastify() {
    const app = require('fastify')({ logger: false });
    app.get('/user/:id', async request => ({ id: request.params.id }));
    app.register(async shop => shop.get('/orders/:order', async request => request.params), { prefix: '/shops/:shop' });
    app.get('/fails', async () => fail());
    app.listen({ port, host });
  },
  koa() {
    const Koa = require('koa');
    let Router;
    try {
      Router = require('@koa/router');
    } catch {
      Router = require('koa-router');
    }
    Router = Router.default || Router;
    const app = new Koa();
    const router = new Router();
    const shop = new Router();
    router.get('/user/:id', context => {
      context.body = { id: context.params.id };
    });
    router.get('/fails', fail);
    shop.get('/orders/:order', context => {
      context.body = context.params;
    });
    router.use('/shops/:shop', shop.routes());
    app.silent = true;
    app.use(router.routes());
    app.listen(port, host);
  },
  async hapi() {
    const server = require('@hapi/hapi').server({ port, host, debug: false });
    server.route({ method: 'GET', path: '/user/{id}', handler: request => ({ id: request.params.id }) });
    server.route({ method: 'GET', path: '/shops/{shop}/orders/{order}', handler: request => request.params });
    server.route({ method: 'GET', path: '/fails', handler: fail });
    await server.start();
  },
};
make[framework]();
