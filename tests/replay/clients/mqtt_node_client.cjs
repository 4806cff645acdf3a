// MQTT by MQTT.js, which tells its packets: `mqtt_node_client.cjs PORT`.
const { once } = require('events')
const mqtt = require('mqtt')
const { log, now, operation, token } = require('./truth.cjs')

const PORT = Number(process.argv[2])
// The longest wait for the end of a delivery, in milliseconds.
const PATIENCE = 10000

// A client that logs what is delivered to it.
async function connect(protocolVersion) {
  const clientId = `c${token()}`
  let client
  await operation('mqtt', PORT, ['connect', null], async () => {
    client = await mqtt.connectAsync(`mqtt://127.0.0.1:${PORT}`, { clientId, protocolVersion, keepalive: 60 })
    return `0 ${clientId}`
  })
  // A delivery began before its event, and ends with what is sent behind it.
  client.on('message', (topic, payload, packet) => {
    log('mqtt', PORT, ['receive', topic], `q${packet.qos} ${payload.length} ${Number(packet.retain)}`, now() - 1e9, now() + 1e9)
  })
  // Deliveries of QoS 2 that the client has not answered to the end.
  client.unanswered = new Set()
  client.on('packetreceive', packet => {
    if (packet.cmd === 'publish' && packet.qos === 2) client.unanswered.add(packet.messageId)
  })
  client.on('packetsend', packet => {
    if (packet.cmd === 'pubcomp') client.unanswered.delete(packet.messageId)
  })
  return client
}

function publish(client, topic, payload, qos, retain = false) {
  return operation('mqtt', PORT, ['publish', topic], async () => {
    await client.publishAsync(topic, payload, { qos, retain })
    // At QoS 0 that says that it was given to the stream, which holds it back until the end of a turn.
    while (client.stream.writableLength > 0) await new Promise(setImmediate)
    return `q${qos} ${payload.length} ${Number(retain)}`
  })
}

// Publishes and waits until it is delivered.
async function pass(speaker, listener, topic, payload, qos) {
  const delivered = new Promise(done => {
    const heard = got => {
      if (got !== topic) return
      listener.removeListener('message', heard)
      done()
    }
    listener.on('message', heard)
  })
  await publish(speaker, topic, payload, qos)
  await delivered
}

async function usual(version, count) {
  const listener = await connect(version)
  const mark = token()
  const subscribe = (what, filters) => operation('mqtt', PORT, ['subscribe', what], async () => {
    await listener.subscribeAsync(filters)
    return 'ok'
  })
  await subscribe(`${mark}/one/#`, { [`${mark}/one/#`]: { qos: 1 } })
  await subscribe(null, { [`${mark}/zero/+`]: { qos: 0 }, [`${mark}/two/+`]: { qos: 2 } })
  const speaker = await connect(version)
  for (let number = 0; number < count; number++) {
    for (const [qos, name] of ['zero', 'one', 'two'].entries()) {
      await pass(speaker, listener, `${mark}/${name}/${token()}`, Buffer.alloc(number * 37, 'x'), qos)
    }
  }
  await pass(speaker, listener, `${mark}/one/${token()}`, Buffer.alloc(300000), 1)
  // Many are under way at the same time.
  await Promise.all(Array.from({ length: 40 }, (_, number) => publish(speaker, `burst/${token()}`, Buffer.alloc(number, 'y'), 1 + number % 2)))
  await operation('mqtt', PORT, ['unsubscribe', `${mark}/one/#`], async () => {
    await listener.unsubscribeAsync(`${mark}/one/#`)
    return 'ok'
  })
  await publish(speaker, `${mark}/nobody/${token()}`, Buffer.from('?'), 1)
  // What QoS 2 is answered at last is on its way yet.
  const signal = AbortSignal.timeout(PATIENCE)
  while (listener.unanswered.size > 0) await once(listener, 'packetsend', { signal })
  for (const client of [listener, speaker]) {
    await operation('mqtt', PORT, ['disconnect', null], async () => {
      await client.endAsync()
      return 'ok'
    })
  }
}

async function main() {
  for (const version of [4, 5]) await usual(version, 18)
}

main()
