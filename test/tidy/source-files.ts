// Source files as the tidy rules see them: text, syntax tree, imports.
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseAst } from 'vitest/node'

export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

export interface Import {
  readonly specifier: string
  /** `import type` and `export type … from`: gone at run time. */
  readonly typeOnly: boolean
  readonly line: number
}

export interface SourceFile {
  /** Path from the root of the project, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly tree: Node
  readonly imports: readonly Import[]
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'

/** Calls `visit` for every node of the tree, parents first. */
export const walk = (node: Node, visit: (node: Node) => void): void => {
  visit(node)
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) walk(item, visit)
    } else if (isNode(value)) walk(value, visit)
  }
}

export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

const everyTypeOnly = (node: Node): boolean => {
  if (node.importKind === 'type' || node.exportKind === 'type') return true
  const names = node.specifiers
  return Array.isArray(names) && names.length > 0 && names.every((name: Node) => name.importKind === 'type')
}

const importTypes = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
])

const importsOf = (text: string, tree: Node): readonly Import[] => {
  const found: Import[] = []
  walk(tree, (node) => {
    if (!importTypes.has(node.type)) return
    const source = (node.source ?? node.argument) as Node | null | undefined
    const specifier = source?.value
    if (typeof specifier !== 'string') return
    found.push({
      specifier,
      typeOnly: node.type === 'TSImportType' || everyTypeOnly(node),
      line: lineAt(text, node.start),
    })
  })
  return found
}

export const parseSource = (filePath: string, text: string): SourceFile => {
  // A shebang is no part of the grammar that the parser accepts; blanks keep every offset where it is.
  const code = text.replace(/^#!.*/, (line) => ' '.repeat(line.length))
  const tree = parseAst(code, { lang: /\.m?js$/.test(filePath) ? 'js' : 'ts' }) as unknown as Node
  return { path: filePath, text, tree, imports: importsOf(text, tree) }
}

const isOurs = (file: string): boolean => !/(^|\/)(node_modules|dist|coverage|target)\//.test(file)

/** Paths that match the patterns, without what is installed or built. */
export const listFiles = (root: string, patterns: readonly string[]): readonly string[] =>
  globSync(patterns as string[], { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter(isOurs)
    .sort()

export const readSources = (root: string, patterns: readonly string[]): readonly SourceFile[] =>
  listFiles(root, patterns).map((file) => parseSource(file, readFileSync(path.join(root, file), 'utf8')))
