// word-count as a process on a real broker: killed, aborted, failing; recounted from what the Java consumer reads.
import { itIsExactlyOnce } from './support/exactly-once.ts'
import { wordCountSubject } from './support/word-count-subject.ts'

// What is counted is purged from the repartition topic on the way, as in a long run.
itIsExactlyOnce(wordCountSubject, { purgeIntervalMs: 500 })
