// Which names are allowed, and why a name is refused.

// Names of ours become parts of topic names, directories and transactional ids. The dot separates the parts of a
// transactional id (`<application.id>.<instance>.<worker>`): inside a part it would let one application's prefix
// catch another's.
const plainName = /^[A-Za-z0-9_-]+$/
const topicName = /^[A-Za-z0-9._-]+$/

/** Kafka's limit for the length of a topic name. */
export const topicNameLengthMax = 249

/** What is wrong with the name of a topology, store, repartition topic or output, or undefined. */
export const nameProblem = (what: string, name: unknown): string | undefined => {
  if (typeof name !== 'string') return `${what} has no name`
  if (name === '') return `the name of ${what} is empty`
  if (!plainName.test(name))
    return `${what} ${JSON.stringify(name)}: a name takes letters, digits, _ and - only`
  return name.length > topicNameLengthMax
    ? `the name of ${what} ${name} is longer than ${topicNameLengthMax} characters`
    : undefined
}

/** What is wrong with the name of a topic, or undefined. */
export const topicNameProblem = (name: unknown): string | undefined => {
  if (typeof name !== 'string') return 'a topic has no name'
  if (name === '') return 'the name of a topic is empty'
  if (name === '.' || name === '..') return `topic ${JSON.stringify(name)}: Kafka refuses this name`
  if (!topicName.test(name))
    return `topic ${JSON.stringify(name)}: a topic name takes letters, digits, dot, _ and - only`
  return name.length > topicNameLengthMax
    ? `the name of topic ${name} is longer than ${topicNameLengthMax} characters`
    : undefined
}
