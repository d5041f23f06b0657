// The worker that a team writes by hand in Node: reads events, POSTs each to its webhook_url, commits. 64 POSTs at once, kept connections, a
// timeout of ten seconds; no retries, no deduplication, no state. Ends after so many deliveries and prints what they cost.
//
//   node worker.mjs BROKERS TOPIC GROUP COUNT
import { Kafka, logLevel } from 'kafkajs'
import { Agent } from 'undici'

const AT_ONCE = 64
const [brokers, topic, groupId, countText] = process.argv.slice(2)
const count = Number(countText)

const agent = new Agent({ connections: AT_ONCE, pipelining: 1, keepAliveTimeout: 60_000, bodyTimeout: 10_000, headersTimeout: 10_000 })
const consumer = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR }).consumer({ groupId })
const started = performance.now()
let posts = 0
let failed = 0

async function post({ value }) {
  const { webhook_url: url, task_id, status, task_type, result, error } = JSON.parse(value.toString())
  const { origin, pathname, search } = new URL(url)
  const response = await agent.request({
    origin,
    path: pathname + search,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'webhook-id': task_id, 'webhook-timestamp': String(Math.floor(Date.now() / 1000)) },
    body: JSON.stringify({ task_id, status, task_type, result, error }),
  })
  await response.body.dump()
  if (response.statusCode < 200 || response.statusCode > 299) throw new Error(`status ${response.statusCode}`)
}

function finish() {
  const { user, system } = process.cpuUsage()
  const seconds = (performance.now() - started) / 1000
  console.log(JSON.stringify({ posts, failed, seconds, cpu_us_per_post: (user + system) / posts }))
  process.exit(0)
}

let free = AT_ONCE
const waiting = []

async function take() {
  if (free > 0) free--
  else await new Promise((resolve) => waiting.push(resolve))
}

function giveBack() {
  const next = waiting.shift()
  if (next) next()
  else free++
}

async function deliver(message) {
  await take()
  try {
    await post(message)
  } catch {
    failed++
  }
  giveBack()
  if (++posts === count) finish()
}

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  partitionsConsumedConcurrently: 4,
  eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
    for (let at = 0; at < batch.messages.length; at += 1000) {
      const some = batch.messages.slice(at, at + 1000)
      await Promise.all(some.map(deliver))
      resolveOffset(some.at(-1).offset)
      await heartbeat()
    }
  },
})
