import { defineConfig } from 'vitest/config'
export default defineConfig({ test: { root: '/work/main', include: ['test/integration/broker.test.ts'], globalSetup: '/work/main/test/support/kafka.ts', testTimeout: 30000, hookTimeout: 120000 } })
