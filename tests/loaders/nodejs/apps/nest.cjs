// A NestJS application, its decorators applied by hand.
require('reflect-metadata');
const { Controller, Get, Module, Param } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');

class Users {
  one(id) {
    return { id };
  }

  fails() {
    throw new RangeError('as it happens');
  }
}
const route = (name, path) => Get(path)(Users.prototype, name, Object.getOwnPropertyDescriptor(Users.prototype, name));
route('one', 'user/:id');
route('fails', 'fails');
Param('id')(Users.prototype, 'one', 0);
Controller('shop')(Users);
class App {}
Module({ controllers: [Users] })(App);
NestFactory.create(App, { logger: false }).then(app => app.listen(Number(process.env.PORT), '127.0.0.1'));
