// Waiting for something that may be given up.

/**
 * Settles as `work` does, or rejects with `reason` when the signal is aborted first; `work` then goes on unheard. Not
 * Promise.race: with a signal that lives for long, that would keep every one of its promises.
 */
export const unlessAborted = <T>(signal: AbortSignal, work: Promise<T>, reason: () => Error): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(reason())
    const settled = (): void => signal.removeEventListener('abort', abort)
    void work.then(resolve, reject).then(settled)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
