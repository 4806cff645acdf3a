Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
