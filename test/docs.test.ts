import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

/** The pages for readers, by path. */
const pages = new Map<string, string>();

beforeAll(async () => {
  const docs = (await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  for (const path of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', ...docs]) {
    pages.set(path, await readFile(path, 'utf8'));
  }
});

/** A page without its code blocks. */
function prose(path: string): string {
  return (pages.get(path) ?? '').replace(/^ {4}.*$/gm, '');
}

/** The files and headings that a page links to, such as `docs/hooks.md#the-shipped-hooks`. */
function linksOf(path: string): string[] {
  return [...prose(path).matchAll(/\]\(([^)]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !target.includes('://'))
    .map((target) => (target.startsWith('#') ? `${path}${target}` : normalize(join(dirname(path), target))));
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(path: string): string[] {
  return [...prose(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('The documentation', () => {
  it('has links only to files and headings that exist', async () => {
    const broken: string[] = [];
    for (const path of pages.keys()) {
      for (const target of linksOf(path)) {
        const [file = '', anchor] = target.split('#', 2);
        const exists = await access(file).then(
          () => true,
          () => false,
        );
        if (!exists || (anchor !== undefined && !anchorsOf(file).includes(anchor))) broken.push(`${path}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('has a link to each of its pages in README.md', () => {
    const linked = new Set(linksOf('README.md').map((target) => target.split('#', 1)[0]));
    expect([...pages.keys()].filter((path) => path !== 'README.md' && !linked.has(path))).toEqual([]);
  });
});
