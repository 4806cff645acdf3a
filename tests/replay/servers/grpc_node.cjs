// gRPC by @grpc/grpc-js: `grpc_node.cjs serve PORT...`, or `grpc_node.cjs call PORT`, which writes what it called: one JSON object a line.
const grpc = require('@grpc/grpc-js')
const { operation } = require('../clients/truth.cjs')

const SERVICE = 'shop.v1.Orders'
const same = value => value

function method(name, requestStream, responseStream) {
  return {
    path: `/${SERVICE}/${name}`, requestStream, responseStream,
    requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
  }
}

const METHODS = {
  Get: method('Get', false, false), Fail: method('Fail', false, false), Sleep: method('Sleep', false, false), Nothing: method('Nothing', false, false),
  Watch: method('Watch', false, true), Break: method('Break', false, true), Forever: method('Forever', false, true),
  Upload: method('Upload', true, false), Chat: method('Chat', true, true),
}

function watch(call, count) {
  for (let number = 0; number < count; number++) call.write(Buffer.from(String(number)))
}

const HANDLERS = {
  Get: (call, done) => done(null, call.request),
  Fail: (call, done) => done({ code: grpc.status[call.request.toString()], details: 'secret text of an error' }),
  Sleep: (call, done) => setTimeout(() => done(null, call.request), 500),
  Watch: call => {
    watch(call, Number(call.request.toString()))
    call.end()
  },
  Break: call => {
    watch(call, Number(call.request.toString()))
    call.emit('error', { code: grpc.status.ABORTED, details: 'in the middle' })
  },
  // So many that the caller asks for no more of them than it wants to see.
  Forever: call => watch(call, 3),
  Upload: (call, done) => {
    let size = 0
    call.on('data', message => { size += message.length })
    call.on('end', () => done(null, Buffer.from(String(size))))
  },
  Chat: call => {
    call.on('data', message => call.write(message))
    call.on('end', () => call.end())
  },
}

function serve(ports) {
  const server = new grpc.Server()
  const { Nothing: _, ...served } = METHODS
  server.addService(served, HANDLERS)
  for (const port of ports) {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), error => {
      if (error) throw error
    })
  }
}

// Calls on one connection, each logged.
class Client {
  constructor(port, options = {}) {
    this.port = Number(port)
    const Made = grpc.makeGenericClientConstructor(METHODS, 'Orders')
    this.made = new Made(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1, ...options })
  }

  // The outcome is the status that the client has.
  async call(name, messages, wanted = 'OK', { timeout = 20000, cancelAfter } = {}) {
    const { requestStream, responseStream } = METHODS[name]
    const given = requestStream ? [] : [messages[0]]
    const metadata = new grpc.Metadata()
    metadata.set('x-request', String(messages.length))
    let received = 0
    const what = [`${SERVICE}/${name}`, null]
    const outcome = await operation('grpc', this.port, what, () => new Promise(resolve => {
      const ended = code => {
        what[1] = `${messages.length}/${received}`
        // A cancelled caller knows so before it tells the server.
        setTimeout(() => resolve(grpc.status[code]), cancelAfter ? 50 : 0)
      }
      const answered = error => {
        received += !error
        ended(error ? error.code : 0)
      }
      const call = this.made[name](...given, metadata, { deadline: Date.now() + timeout }, ...(responseStream ? [] : [answered]))
      if (responseStream) {
        call.on('data', () => {
          received++
          if (received === cancelAfter) call.cancel()
        })
        call.on('error', () => {})
        call.on('status', status => ended(status.code))
      }
      if (requestStream) {
        for (const message of messages) call.write(message)
        call.end()
      }
    }))
    if (outcome !== wanted) throw new Error(`${name}: ${outcome}, not ${wanted}`)
  }
}

const several = count => Array.from({ length: count }, () => Buffer.alloc(20, 'm'))

async function calls(one, rounds, packed = false) {
  for (let number = 0; number < rounds; number++) {
    await one.call('Get', [Buffer.alloc(number * 37 % 500, 'x')])
    await one.call('Watch', [Buffer.from('5')])
    await one.call('Upload', several(7))
    await one.call('Chat', several(4))
    await one.call('Fail', [Buffer.from('NOT_FOUND')], 'NOT_FOUND')
  }
  for (const code of ['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'UNAVAILABLE', 'INTERNAL', 'UNAUTHENTICATED']) {
    await one.call('Fail', [Buffer.from(code)], code)
  }
  // What is compressed follows its header fields later: maybe never, if they are answered at once.
  if (!packed) await one.call('Nothing', [Buffer.alloc(0)], 'UNIMPLEMENTED')
  await one.call('Break', [Buffer.from('3')], 'ABORTED')
  await one.call('Get', [Buffer.alloc(200000, 'x')])
  await one.call('Sleep', [Buffer.from('1')], 'DEADLINE_EXCEEDED', { timeout: 350 })
  await one.call('Forever', [Buffer.from('1')], 'CANCELLED', { cancelAfter: 3 })
  one.made.close()
}

async function main() {
  const [mode, ...ports] = process.argv.slice(2)
  if (mode === 'serve') return serve(ports)
  await calls(new Client(ports[0]), 24)
  await calls(new Client(ports[0], { 'grpc.default_compression_algorithm': 2 }), 8, true)
  const together = new Client(ports[0])
  await Promise.all(Array.from({ length: 6 }, async () => {
    for (let number = 0; number < 10; number++) {
      await together.call('Get', [Buffer.from('together')])
      await together.call('Watch', [Buffer.from('3')])
    }
  }))
  together.made.close()
}

main()
