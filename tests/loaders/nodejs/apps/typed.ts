// TypeScript as a runner or Node.js itself takes it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

interface Greeting { text: string }

const greeting: Greeting = { text: 'typed' };
createServer((_request: IncomingMessage, response: ServerResponse): void => {
  console.log(greeting.text);
  response.end(greeting.text);
}).listen(Number(process.env.PORT), '127.0.0.1');
