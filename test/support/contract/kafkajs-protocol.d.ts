// The part of kafkajs 2.2.4 that kafkajs-requests.ts builds on: an internal without published types.

declare module 'kafkajs/src/protocol/requests/index.js' {
  export interface BuiltRequest {
    readonly apiKey: number
    readonly apiVersion: number
    encode(): Promise<{ readonly buffer: Buffer }>
  }

  export interface BuiltCall {
    readonly request: BuiltRequest
    readonly response: {
      decode(bytes: Buffer): Promise<unknown>
      /** @throws an error that names the code, where the answer has one */
      parse(decoded: unknown): Promise<unknown>
    }
  }

  export interface RequestDefinition {
    readonly versions: readonly string[]
    protocol(options: { version: number }): (fields: unknown) => BuiltCall
  }

  const protocol: { readonly requests: Readonly<Record<string, RequestDefinition>> }
  export default protocol
}
