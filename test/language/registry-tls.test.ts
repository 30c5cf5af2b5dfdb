// A schema registry behind TLS: with its certificate it is asked, without it is not believed. The certificate is made by the
// JDK that runs the broker.
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { javaCommand } from '../../src/testing/kafka/jars.ts'
import { schemaRegistry } from '../../src/serde/registry/index.ts'
import { temporaryDirectory } from '../support/worker.ts'

const keytool = (...args: string[]): Promise<{ stdout: string }> => {
  const java = javaCommand()
  const command = java === 'java' ? 'keytool' : path.join(path.dirname(java), 'keytool')
  return promisify(execFile)(command, args)
}

describe('a registry behind TLS', () => {
  it('is asked where its certificate is known, with the credentials', async () => {
    using directory = temporaryDirectory()
    const store = path.join(directory.path, 'store.p12')
    const opened = ['-keystore', store, '-storetype', 'PKCS12', '-storepass', 'secret', '-alias', 'registry']
    await keytool(
      '-genkeypair',
      ...opened,
      '-keyalg',
      'EC',
      '-dname',
      'CN=localhost',
      '-ext',
      'san=dns:localhost',
    )
    const { stdout: ca } = await keytool('-exportcert', '-rfc', ...opened)
    const seen: (string | undefined)[] = []
    const server = https.createServer(
      { pfx: fs.readFileSync(store), passphrase: 'secret' },
      (request, response) => {
        seen.push(request.headers.authorization)
        response.end(JSON.stringify({ schema: '"int"' }))
      },
    )
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    const url = `https://localhost:${(server.address() as AddressInfo).port}`
    const auth = { username: 'me', password: 'mine' }
    const environment = { ports: nodePorts, log: silentLogger, applicationId: 'app' }
    const trusting = schemaRegistry({ url, auth, tls: { ca } })
    const doubting = schemaRegistry({ url, auth })
    const uses = [trusting.open(environment), doubting.open(environment)]
    try {
      expect(doubting.settled(7)).toBe(false)
      await expect.poll(() => doubting.failures).toBeGreaterThan(1)
      expect(seen).toEqual([])
      expect(trusting.settled(7)).toBe(false)
      await expect.poll(() => trusting.settled(7)).toBe(true)
      expect(seen).toEqual([`Basic ${Buffer.from('me:mine').toString('base64')}`])
    } finally {
      for (const use of uses) use.close()
      server.closeAllConnections()
      server.close()
    }
  })
})
