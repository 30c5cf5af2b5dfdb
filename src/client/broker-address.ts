// Broker addresses: how they are written in the settings, and the error that names each one that did not answer.
import { MillstreamError } from '../errors.ts'
import type { BrokerAddress, ConnectionSettings } from './connection.ts'

const DEFAULT_PORT = 9092
/** host, host:port or [IPv6]:port */
const pattern = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/

/**
 * Reads addresses `host:port`, `host` (port 9092) or `[IPv6]:port`. Names twice in the list count once.
 * @throws MillstreamError SETTING_INVALID, naming every entry that cannot be read
 */
export const parseBrokers = (brokers: readonly string[]): BrokerAddress[] => {
  const addresses = new Map<string, BrokerAddress>()
  const wrong: string[] = []
  for (const text of brokers) {
    const match = pattern.exec(text.trim())
    const port = Number(match?.[3] ?? DEFAULT_PORT)
    const host = match?.[1] ?? match?.[2]
    if (host === undefined || port < 1 || port > 65_535) wrong.push(JSON.stringify(text))
    else addresses.set(`${host}:${port}`, { host, port })
  }
  if (wrong.length > 0 || addresses.size === 0) {
    throw new MillstreamError('SETTING_INVALID', {
      what:
        addresses.size === 0 && wrong.length === 0
          ? 'no broker is given'
          : `${wrong.join(', ')} is no broker address`,
      where: { setting: 'brokers' },
      fix: 'Give one or more addresses like "kafka-1:9092", separated by commas.',
    })
  }
  return [...addresses.values()]
}

/** The error of a first contact that failed everywhere: each address with its own reason. */
export const unreachable = (
  addresses: readonly BrokerAddress[],
  failures: readonly MillstreamError[],
  settings: ConnectionSettings,
): MillstreamError => {
  const reasons = addresses.map(({ host, port }, index) => `${host}:${port} (${reasonOf(failures[index])})`)
  const wentSilent = failures.some(
    ({ cause }) => (cause as NodeJS.ErrnoException | undefined)?.code !== 'ECONNREFUSED',
  )
  const secured = settings.sasl !== undefined || (settings.tls ?? false) !== false
  return new MillstreamError('BROKER_UNREACHABLE', {
    what: `no broker could be reached: ${reasons.join(', ')}`,
    where: { setting: 'brokers' },
    fix:
      wentSilent && !secured
        ? 'Check that the brokers run and can be reached from here; a listener that wants TLS or SASL closes the connection (settings tls, sasl).'
        : 'Check that the brokers run and can be reached from here, and the settings brokers, tls and sasl.',
    cause: failures[0],
  })
}

/** Without the code and the place, which stand around it already. */
const reasonOf = (failure: MillstreamError | undefined): string => {
  const cause = failure?.cause
  if (failure?.code === 'CONNECTION_LOST' && cause instanceof Error)
    return cause.message || (cause as NodeJS.ErrnoException).code || cause.name
  return (failure?.message ?? 'no answer').replace(/^[A-Z_]+: /, '')
}
