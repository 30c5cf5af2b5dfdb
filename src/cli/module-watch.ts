// A module that is loaded again when it, or a file that it imports, has changed. Node keeps what it has imported under
// its URL, so each time the files of the user are imported under new ones: the module and what it reaches, but neither
// packages nor millstream itself, since a topic of one copy would be no topic to another.
//
// Files are looked at on a timer: editors save by renaming, and notifications are lost on network and container file
// systems. A handful of files costs nothing to look at.
import { statSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type LoadedModule, loadModule, locate } from './load-module.ts'

const lookEveryMs = 200
/** src/ or dist/ of millstream. */
const ownFolder = `${pathToFileURL(path.dirname(import.meta.dirname)).href}/`
const require = createRequire(import.meta.url)

const fileOf = (url: string): string => fileURLToPath(url.replace(/[?#].*$/s, ''))

const isOfUser = (url: string): boolean =>
  url.startsWith('file:') && !url.startsWith(ownFolder) && !url.includes('/node_modules/')

/** What tells one content of a file from another. Two saves within a tick of the clock differ in size, or are one. */
const stampOf = (file: string): string => {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? 'none' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`
}

export class ModuleWatch {
  readonly #given: string
  readonly #hooks: { deregister(): void }
  /** Files of the last load, and those that it looked for in vain. */
  #files = new Map<string, string>()
  /** Modules that belong to the user's, by the URL under which they are loaded. */
  #loaded = new Set<string>()
  #loads = 0

  constructor(given: string) {
    this.#given = given
    this.#hooks = registerHooks({
      resolve: (specifier, context, nextResolve) => {
        const { parentURL } = context
        if (parentURL === undefined || !this.#loaded.has(parentURL)) return nextResolve(specifier, context)
        try {
          const found = nextResolve(specifier, context)
          if (!isOfUser(found.url)) return found
          const taken = this.#take(found.url)
          // What is required goes by its name alone, and was taken out of that cache.
          return context.conditions.includes('require') ? found : { ...found, url: taken }
        } catch (error) {
          // It may come to be.
          if (/^\.{0,2}\//.test(specifier)) this.#note(fileOf(new URL(specifier, parentURL).href))
          throw error
        }
      },
    })
  }

  /**
   * Loads what there is now.
   * @throws MillstreamError as loadModule
   */
  async load(): Promise<LoadedModule> {
    const before = [...this.#files.keys()]
    // Where the module itself is gone, it is waited for as it is now: not there.
    this.#files = new Map(before.map((name) => [name, stampOf(name)]))
    const file = locate(this.#given)
    this.#files = new Map()
    this.#loaded = new Set()
    this.#loads++
    // What was required is kept by name.
    for (const name of before) delete require.cache[name]
    return await loadModule(file, this.#take(pathToFileURL(file).href))
  }

  /**
   * Resolves when a file is another one than when it was loaded and two looks in a row found all of them the same: a file
   * that is being written is not half loaded, nor loaded once for each of its writes.
   */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let before: string | undefined
      const timer = setInterval(() => {
        const stamps = [...this.#files.keys()].map(stampOf).join()
        const isStill = stamps === before
        before = stamps
        if (!isStill || stamps === [...this.#files.values()].join()) return
        clearInterval(timer)
        resolve()
      }, lookEveryMs)
      signal.addEventListener('abort', () => clearInterval(timer), { once: true })
      if (signal.aborted) clearInterval(timer)
    })
  }

  close(): void {
    this.#hooks.deregister()
  }

  #take(url: string): string {
    this.#note(fileOf(url))
    const taken = this.#loads === 1 ? url : `${url}${url.includes('?') ? '&' : '?'}load=${this.#loads}`
    this.#loaded.add(taken)
    // As which a CommonJS module names itself when it requires others.
    this.#loaded.add(url)
    return taken
  }

  #note(file: string): void {
    if (!this.#files.has(file)) this.#files.set(file, stampOf(file))
  }
}
