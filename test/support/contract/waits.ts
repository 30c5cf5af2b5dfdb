// Bounded waiting for the cases of the contract.
import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until the answer is one of those wanted. @returns the last answer, wanted or not, after 10 s at most */
export const settled = async <T>(
  ask: () => Promise<T>,
  isSettled: (answer: T) => boolean,
  timeoutMs = 10_000,
): Promise<T> => {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(10)) {
    const answer = await ask()
    if (isSettled(answer) || performance.now() > deadline) return answer
  }
}

/** Whether this is answered within so long; for what must wait, and for what must not. */
export const answeredWithin = async (asked: Promise<unknown>, ms: number): Promise<boolean> => {
  const answered = asked.then(
    () => true,
    () => true,
  )
  return await Promise.race([answered, sleep(ms).then(() => false)])
}
