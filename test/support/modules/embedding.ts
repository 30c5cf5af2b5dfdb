// The example of the README for a worker in a user's own program, where it is compiled and run.
import process from 'node:process'
import { createProducer, createWorker } from 'millstream'
import wordCount, { lines } from './words.ts'

const brokers = process.env.TEST_BROKERS?.split(',') ?? ['localhost:9092']

const worker = createWorker(wordCount, { brokers, commitIntervalMs: 50 })
worker.onStateChange((state) => console.log(`the worker is ${state}`))
await worker.start()

const producer = createProducer({ brokers })
await producer.send(lines, { key: 'greeting', value: 'hello again, hello' })
await producer.close()

await worker.close()
