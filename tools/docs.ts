// `npm run docs`: writes the pages of docs/ that are made from code. The tidy test holds every page equal to what
// this program would write.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { generatedPages } from './generated-pages.ts'

for (const page of await generatedPages()) {
  writeFileSync(path.join(path.dirname(import.meta.dirname), page.path), page.text)
  process.stdout.write(`${page.path}\n`)
}
