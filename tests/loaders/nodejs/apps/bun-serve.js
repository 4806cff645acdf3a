// Bun's own server and client.
Bun.serve({
  port: Number(process.env.PORT),
  hostname: '127.0.0.1',
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/out') await (await fetch(`${process.env.TARGET}/asked?token=secret`)).text();
    console.log('served %s', pathname);
    return new Response('bun');
  },
});
