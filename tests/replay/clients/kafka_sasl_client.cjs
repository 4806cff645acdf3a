// Kafka's transactions by kafkajs: `kafka_sasl_client.cjs PORT CLIENT MECHANISM TOPIC`. Writes what the library says that it sent: one
// JSON object a line.
const { Kafka, Partitioners, logLevel } = require('kafkajs')

async function main() {
  const [port, clientId, mechanism, topic] = process.argv.slice(2)
  const told = ({ payload }) => {
    const { apiName: name, createdAt: end, duration } = payload
    console.log(JSON.stringify({ name, start: end - duration, end }))
  }
  const sasl = { mechanism, username: 'app', password: 't0psecret' }
  const kafka = new Kafka({ clientId, brokers: [`127.0.0.1:${port}`], sasl, logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, transactionalId: clientId, maxInFlightRequests: 1 })
  producer.on(producer.events.REQUEST, told)
  await producer.connect()
  for (let number = 0; number < 10; number++) {
    const transaction = await producer.transaction()
    for (let part = 0; part < 3; part++) {
      await transaction.send({ topic, messages: [{ value: 'z'.repeat(number) }] })
    }
    if (number % 3 === 2) {
      await transaction.sendOffsets({ consumerGroupId: clientId, topics: [{ topic, partitions: [{ partition: 0, offset: String(number) }] }] })
    }
    await (number % 3 === 1 ? transaction.abort() : transaction.commit())
  }
  await producer.disconnect()
}

main()
