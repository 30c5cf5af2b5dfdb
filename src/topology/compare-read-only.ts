// What a change of a topology does to read-only stores: they have no state of their own, only what their topic says.
import type { StoreDescription } from './description.ts'

interface Finding {
  readonly effect: 'lost' | 'broken' | 'kept'
  readonly what: string
  readonly fix: string
}

/**
 * Undefined: neither was or is read-only.
 * @param sameLayout the bytes in it would be the same
 */
export const comparedReadOnly = (
  was: StoreDescription,
  is: StoreDescription,
  sameLayout: boolean,
): readonly Finding[] | undefined => {
  if (!was.readOnly && !is.readOnly) return undefined
  const { name } = was
  if (!was.readOnly)
    return [
      {
        effect: 'lost',
        what: `store ${name} had a changelog of its own and is filled by topic ${is.changelog}: its changelog ${was.changelog} would not be read any more`,
        fix: `Give the read-only store another name; or, where the old state is no longer wanted, delete ${was.changelog}.`,
      },
    ]
  if (!is.readOnly)
    return [
      {
        effect: 'broken',
        what: `store ${name} was filled by topic ${was.changelog} and has a changelog of its own, which begins empty behind what was read of that topic`,
        fix: 'Give the store another name, and begin under a new application id, so that the topic is read from its start.',
      },
    ]
  const isSame =
    sameLayout && was.engine === is.engine && was.changelog === is.changelog && was.processed === is.processed
  if (isSame) return []
  const how = (store: StoreDescription): string =>
    `(${store.key}, ${store.value}) in ${store.engine} of topic ${store.changelog}${store.processed ? ' through a function' : ''}`
  return [
    {
      effect: 'kept',
      what: `store ${name} was ${how(was)} and is ${how(is)}: it is filled anew from its topic`,
      fix: 'Nothing is to be done; the first start takes as long as that.',
    },
  ]
}
