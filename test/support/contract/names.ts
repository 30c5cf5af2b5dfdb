// Names for the cases of the contract: of error codes, and new ones for what a case makes.
import { randomBytes } from 'node:crypto'
import { brokerError } from '../../../src/protocol/error-codes.ts'

/** The name of an error code, as Kafka gives it. */
export const nameOf = (code: number | undefined): string =>
  code === undefined ? 'nothing was answered' : brokerError(code).name

/** A name that no other case has used; good for topics, groups and transactional ids. */
export const unique = (name: string): string => `${name}-${randomBytes(6).toString('hex')}`
