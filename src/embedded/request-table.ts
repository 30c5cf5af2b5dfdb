// The requests that the broker takes, by their keys: what ApiVersions offers.
import type { AnyHandler } from './request-handler.ts'
import { apiVersionsHandler } from './requests/api-versions.ts'

const handlers: readonly AnyHandler[] = [apiVersionsHandler(() => offeredVersions())]

const byKey = new Map(handlers.map((handler) => [handler.key, handler]))

export const handlerOf = (key: number): AnyHandler | undefined => byKey.get(key)

/** What a broker says of itself: each request with the versions that it takes. */
const offeredVersions = (): { key: number; min: number; max: number }[] =>
  [...byKey.values()]
    .map(({ key, versions: [min, max] }) => ({ key, min, max }))
    .sort((a, b) => a.key - b.key)
