// The errors of a test that asks its driver for what cannot be.
import { MillstreamError } from '../../errors.ts'

export const misused = (what: string, where: Readonly<Record<string, unknown>> = {}): MillstreamError =>
  new MillstreamError('DRIVER_MISUSED', { what, where })

export const driverClosed = (): MillstreamError =>
  new MillstreamError('CLOSED', { what: 'the test driver is closed' })
