// Answers with what the next one answers: node hop.js PORT NEXT; HOST is where it listens
const http = require("node:http");
const [port, next] = process.argv.slice(2);

http
  .createServer(async (request, response) => {
    console.log("node hop");
    const answer = await fetch(next);
    response.end(`node ${await answer.text()}`);
  })
  .listen(Number(port), process.env.HOST || "127.0.0.1");
