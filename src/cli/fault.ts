// MILLSTREAM_FAULT=point:n:kill|stop ends (SIGKILL) or halts (SIGSTOP) this process when it passes a fault point for
// the n-th time. For the system tests, which see afterwards what a worker left behind.
import { writeSync } from 'node:fs'
import process from 'node:process'
import { armFaultPoints, faultPoints } from '../base/fault-point.ts'
import { MillstreamError } from '../errors.ts'

/** @throws MillstreamError SETTING_INVALID */
export const armFault = (text: string | undefined): void => {
  if (text === undefined || text === '') return
  const [name, count = '', act = ''] = text.split(':')
  const point = faultPoints.find((one) => one === name)
  const signal = act === 'kill' ? 'SIGKILL' : act === 'stop' ? 'SIGSTOP' : undefined
  let left = /^\d{1,9}$/.test(count) ? Number(count) : 0
  if (point === undefined || signal === undefined || left < 1 || text.split(':').length !== 3) {
    throw new MillstreamError('SETTING_INVALID', {
      what: `MILLSTREAM_FAULT is ${JSON.stringify(text)}, but must be point:n:kill or point:n:stop`,
      where: { setting: 'MILLSTREAM_FAULT' },
      fix: `The points are ${faultPoints.join(', ')}. It is meant for tests only.`,
    })
  }
  armFaultPoints((reached) => {
    if (reached !== point || --left !== 0) return
    // Written directly: nothing that is buffered in the process would still come out.
    writeSync(2, `fault point ${point}, time ${count}: ${signal}\n`)
    process.kill(process.pid, signal)
  })
}
