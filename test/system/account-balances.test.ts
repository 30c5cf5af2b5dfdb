// account-balances as a process on a real broker: killed, aborted, failing; every transfer followed by a model of its own.

import { accountBalancesSubject } from './support/account-balances-subject.ts'
import { itIsExactlyOnce } from './support/exactly-once.ts'

// The model follows each transfer through the repartition topics.
itIsExactlyOnce(accountBalancesSubject, { purgeIntervalMs: 3_600_000 })
