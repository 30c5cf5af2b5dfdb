// Places of parts that are being written: in broker.ts the import of each changes to its own file as soon as it is there.
import type { Marker, MarkedLog } from './broker-state.ts'

export class PartitionLog implements MarkedLog {
  appendMarker(_marker: Marker): number {
    return 0
  }
  openTransactions(): ReadonlyMap<number, number> {
    return new Map()
  }
  clean(): void {}
  close(): void {}
}

export class GroupTable {
  applyMarker(): void {}
  load(): void {}
  close(): void {}
}
