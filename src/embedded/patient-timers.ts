// Timers of a broker that lives in the process of its own clients. When that process stood still (a debugger, a processor
// that takes long), its timers are due before what clients sent meanwhile is read, and every session would time out that
// a broker of its own process would have kept. So a timer that comes late lets the network speak first.
import type { Clock, TimerHandle, Timers } from '../base/ports.ts'

const lateMs = 500

interface Patient {
  isCleared: boolean
  readonly timer: TimerHandle
}

export const patientTimers = (timers: Timers, clock: Clock): Timers => ({
  ...timers,
  set(callback, delayMs) {
    const dueMs = clock.monotonic() + delayMs
    const fire = async (): Promise<void> => {
      // Twice: connections that were made meanwhile are accepted in the first turn and read in the second.
      for (let turn = 0; turn < 2; turn++) await timers.yield()
      if (!patient.isCleared) callback()
    }
    const fired = (): void => {
      if (clock.monotonic() - dueMs < lateMs) callback()
      else void fire()
    }
    const patient: Patient = { isCleared: false, timer: timers.set(fired, delayMs) }
    return patient
  },
  clear(handle) {
    const patient = handle as Patient
    patient.isCleared = true
    timers.clear(patient.timer)
  },
})
