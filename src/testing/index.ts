// `millstream/testing`: what users test their own topologies with, by name. What is not named here is private.
export { testDriver } from './driver/test-driver.ts'
export type {
  InputRecord,
  OutputRecord,
  SendOptions,
  StoreViewOptions,
  TestDriver,
  TestDriverCounts,
  TestDriverOptions,
  TestDriverSettings,
  TestInput,
  TestOutput,
  TestStore,
} from './driver/contracts.ts'
export { simulate } from './simulation/simulate.ts'
export type {
  SimulatedFeed,
  SimulatedLife,
  SimulatedRecord,
  SimulatedSendOptions,
  SimulatedWorld,
  SimulateOptions,
  SimulationSettings,
  SimulationSummary,
} from './simulation/contracts.ts'
export type { FaultKind } from './simulation/fault.ts'
