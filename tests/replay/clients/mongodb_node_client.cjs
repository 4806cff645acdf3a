// MongoDB by the driver for Node.js, which tells what it sends: `mongodb_node_client.cjs PORT`.
const { MongoClient } = require('mongodb')
const { log, now, token } = require('./truth.cjs')

const PORT = Number(process.argv[2])

// The number that a reply fails with, as the span has it.
function codeOf(reply) {
  if (reply.ok === 0) return String(reply.code)
  return reply.writeErrors?.length ? String(reply.writeErrors[0].code) : null
}

function listen(client) {
  const begun = new Map()
  client.on('commandStarted', ({ requestId, commandName, command }) => {
    const value = commandName === 'getMore' ? command.collection : command[commandName]
    begun.set(requestId, { start: now(), what: [commandName.toUpperCase(), /^t\d+x$/.test(value) ? value : null] })
  })
  const done = (requestId, outcome) => {
    const { start, what } = begun.get(requestId)
    log('mongodb', PORT, what, outcome, start, now())
  }
  client.on('commandSucceeded', ({ requestId, reply }) => done(requestId, codeOf(reply)))
  client.on('commandFailed', ({ requestId, failure }) => done(requestId, String(failure.code)))
  // What a connection begins with is no command to the driver: the one that watches the server, and the others.
  let opened = now()
  client.on('connectionCreated', () => { opened = now() })
  client.on('connectionReady', () => log('mongodb', PORT, ['ISMASTER', null], null, opened - 1e9, now()))
  client.on('serverHeartbeatSucceeded', ({ duration }) => log('mongodb', PORT, ['ISMASTER', null], null, now() - duration * 1e6 - 1e9, now()))
}

async function attempt(ask) {
  try {
    return await ask()
  } catch (error) {
    if (error.code === undefined) throw error
    return null
  }
}

async function commands(shop, rounds) {
  for (let number = 0; number < rounds; number++) {
    const one = shop.collection(token())
    await one.insertOne({ _id: 1, password: 'canary-value', text: 'x'.repeat(number) })
    await attempt(() => one.insertOne({ _id: 1 }))
    await attempt(() => one.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }], { ordered: false }))
    await one.find({ _id: { $gt: 0 } }, { batchSize: 2 }).toArray()
    await one.updateMany({}, { $set: { a: number } })
    await one.findOneAndUpdate({ _id: 2 }, { $inc: { a: 1 } })
    await one.aggregate([{ $match: { a: { $gte: 0 } } }, { $count: 'n' }]).toArray()
    await one.distinct('a')
    await one.estimatedDocumentCount()
    await attempt(() => one.findOne({ $unknown: 'canary-filter' }))
    await one.deleteOne({ _id: 3 })
    await attempt(() => shop.command({ thereIsNone: 'canary-argument' }))
    await one.drop()
  }
}

async function main() {
  const client = new MongoClient(`mongodb://127.0.0.1:${PORT}`, {
    directConnection: true, serverMonitoringMode: 'poll', heartbeatFrequencyMS: 600000, maxPoolSize: 3, monitorCommands: true,
  })
  listen(client)
  await client.connect()
  const shop = client.db('shop')
  await commands(shop, 15)
  // On several connections at the same time.
  await Promise.all([commands(shop, 3), commands(shop, 3), commands(shop, 3)])
  const large = shop.collection(token())
  await large.insertMany(Array.from({ length: 1000 }, (_, number) => ({ _id: number, pad: 'y'.repeat(700) })))
  await large.find({}, { batchSize: 500 }).toArray()
  await client.close()
}

main()
