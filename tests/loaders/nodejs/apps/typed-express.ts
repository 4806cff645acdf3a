// An Express application in TypeScript, imported as ES modules are.
import express from 'express';

const app = express();
app.get('/user/:id', (request: any, response: any) => response.json({ id: request.params.id as string }));
app.listen(Number(process.env.PORT), '127.0.0.1');
