import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Every room of src, lowest first. A room may import only from itself and from rooms above it in this list. */
const ROOMS = [
  'errors',
  'protocol/bytes',
  'protocol/keys',
  'protocol/fairness',
  'protocol/x509',
  'protocol/eap',
  'protocol/diameter/wire',
  'protocol/diameter/peer',
  'protocol/diameter/node',
  'protocol/mip6',
  'protocol/hooks',
  'protocol/pana/wire',
  'protocol/pana/session',
  'protocol/pana/agent',
  'protocol/attachment',
  'protocol/nas',
  'protocol/home',
  'runtime/system',
  'runtime/net',
  'runtime/log',
  'runtime/service',
  'runtime/tls/certificates',
  'runtime/tls',
  'runtime/eap',
  'runtime/hooks',
  'runtime/diameter',
  'runtime/surroundings',
  'runtime/config',
  'runtime/cli',
  'store',
  'pki',
  'pac',
  'paa',
  'aaa/config',
  'aaa/commands',
  'aaa',
  'lab',
  'lab/bench',
  'lab/network-lab',
  'tool/decode',
  'tool',
  'door',
] as const;

interface Import {
  readonly file: string;
  readonly room: string;
  readonly imported: string;
  readonly importedRoom: string;
}

async function importsOfSources(): Promise<Import[]> {
  const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const found = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(SRC, file), 'utf8');
      return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path = '']): Import => {
        const imported = relative(SRC, resolve(SRC, dirname(file), path));
        return { file, room: dirname(file), imported, importedRoom: dirname(imported) };
      });
    }),
  );
  return found.flat();
}

describe('The rooms of src', () => {
  it('are all in the list and contain every source file', async () => {
    const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
    expect([...new Set(files.map((file) => dirname(file)))].sort()).toEqual([...ROOMS].sort());
  });

  it('import only from lower rooms', async () => {
    const rank = new Map<string, number>(ROOMS.map((room, index) => [room, index]));
    const upward = (await importsOfSources())
      .filter(({ room, importedRoom }) => (rank.get(importedRoom) ?? -1) > (rank.get(room) ?? -1))
      .map(({ file, imported }) => `${file} imports ${imported}`);
    expect(upward).toEqual([]);
  });
});

describe('Waits in tests', () => {
  it('are made with eventually and within, which state what they wait for', async () => {
    const root = fileURLToPath(new URL('.', import.meta.url));
    const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const texts = await Promise.all(
      files.map(async (file) => ({ file, text: await readFile(join(root, file), 'utf8') })),
    );
    const others = texts.filter(({ text }) => /\bvi\s*\.waitFor\(|\bvi\s*\.waitUntil\(|\bexpect\s*\.poll\(/.test(text));
    expect(others.map(({ file }) => file)).toEqual([]);
  });
});
