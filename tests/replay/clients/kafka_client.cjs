// Kafka by kafkajs: `kafka_client.cjs PORT`. Writes what the library says that it sent: one JSON object a line.
const { Kafka, Partitioners, logLevel } = require('kafkajs')

async function main() {
  const broker = `127.0.0.1:${process.argv[2]}`
  const client = `js${process.argv[2]}`
  const told = ({ payload }) => {
    const { apiName: name, createdAt: end, duration } = payload
    console.log(JSON.stringify({ name, client, start: end - duration, end }))
  }
  const kafka = new Kafka({ clientId: client, brokers: [broker], logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  producer.on(producer.events.REQUEST, told)
  await producer.connect()
  for (let number = 0; number < 20; number++) {
    const topicMessages = ['orders', 'payments'].map(topic => ({ topic, messages: [{ value: 'z'.repeat(number), partition: 0 }] }))
    await producer.sendBatch({ topicMessages })
  }
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: 'js-group', maxWaitTimeInMs: 100 })
  consumer.on(consumer.events.REQUEST, told)
  await consumer.connect()
  await consumer.subscribe({ topics: ['orders', 'payments'], fromBeginning: true })
  await consumer.run({ eachMessage: async () => {} })
  await new Promise(done => setTimeout(done, 3000))
  await consumer.disconnect()
}

main()
