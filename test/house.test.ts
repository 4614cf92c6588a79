import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs, SEED } from './seed.js';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Every room of src, lowest first. A room may import only from itself and from rooms above it in this list. */
const ROOMS = [
  'errors',
  'protocol/bytes',
  'protocol/keys',
  'protocol/fairness',
  'protocol/x509',
  'protocol/eap',
  'protocol/mip6',
  'protocol/radius/wire',
  'protocol/radius/mip6',
  'protocol/dhcpv6/wire',
  'protocol/dhcpv6/relay',
  'protocol/radius/client',
  'protocol/diameter/wire',
  'protocol/diameter/mip6',
  'protocol/diameter/peer',
  'protocol/diameter/node',
  'protocol/hooks',
  'protocol/pana/wire',
  'protocol/pana/session',
  'protocol/pana/agent',
  'protocol/pana/relay',
  'protocol/attachment',
  'protocol/nas',
  'protocol/nas/radius',
  'protocol/home',
  'protocol/home/diameter',
  'protocol/home/radius',
  'runtime/system',
  'runtime/net',
  'runtime/log',
  'runtime/service',
  'runtime/tls/certificates',
  'runtime/tls',
  'runtime/eap',
  'runtime/hooks',
  'runtime/diameter',
  'runtime/radius',
  'runtime/surroundings',
  'runtime/config',
  'runtime/web',
  'runtime/doctor',
  'runtime/cli',
  'store',
  'pki',
  'pac',
  'paa',
  'pre',
  'aaa/config',
  'aaa/commands',
  'aaa',
  'load',
  'lab',
  'lab/bench',
  'lab/network-lab',
  'lab/uml',
  'tool/decode',
  'tool',
  'door',
] as const;

/** The two ends of the AAA protocol: a program has one of them, and neither uses the other's code. */
const ENDS = ['protocol/nas', 'protocol/home'];

/** The end to which a room belongs; undefined: to none. */
function endOf(room: string): string | undefined {
  return ENDS.find((end) => room === end || room.startsWith(`${end}/`));
}

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

/** A loop of files, each of which imports the next one; undefined: there is none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    const since = path.indexOf(file);
    if (since >= 0) return [...path.slice(since), file];
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return undefined;
}

/** The computer's clock, timers and randomness, which daemons take from Host. */
const COMPUTER = [
  'Date.now',
  'new Date()',
  'performance.now',
  'hrtime',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'timers/promises',
  'Math.random',
  'randomBytes',
  'randomInt',
  'randomUUID',
  'randomFill',
  'getRandomValues',
];

/** Rooms of programs that are not daemons; these may use them directly. */
const NO_DAEMON = ['load', 'lab', 'lab/bench', 'lab/network-lab', 'lab/uml', 'tool', 'tool/decode'];

/** Other files that use them directly, with the reason. */
const EXCEPTIONS: Readonly<Record<string, readonly [used: readonly string[], why: string]>> = {
  'runtime/system/host.ts': [
    ['Date.now', 'performance.now', 'setTimeout', 'randomBytes'],
    'the Host of a real computer',
  ],
  'store/thread-host.ts': [['performance.now', 'hrtime'], "the Host of the store's thread"],
  'runtime/log/log.ts': [['performance.now'], 'the time of a log line is the time at which pino writes it'],
  'runtime/service/service.ts': [['hrtime'], 'systemd compares it with its CLOCK_MONOTONIC'],
  'runtime/hooks/process.ts': [['setImmediate'], 'turns of the event loop in which the output of a process arrives'],
  'runtime/diameter/connection.ts': [
    ['setImmediate'],
    'the next turn of the event loop, for the messages that this one leaves',
  ],
  'runtime/diameter/transport.ts': [['setImmediate'], 'the turn of the event loop whose writes go out together'],
  'runtime/tls/engine.ts': [['setImmediate'], 'turns of the event loop in which OpenSSL writes a flight'],
  'runtime/eap/threaded-engine.ts': [['setImmediate'], 'the turn of the event loop whose messages are sent together'],
  'store/postgres-client.ts': [['setImmediate'], 'a turn of the event loop in which the driver reports an error'],
  'aaa/commands/subscriber-import.ts': [['randomUUID'], 'a command of the operator, not a daemon'],
};

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

  it('of the two ends of the AAA protocol do not import each other', async () => {
    const across = (await importsOfSources())
      .filter(({ room, importedRoom }) => endOf(room) && endOf(importedRoom) && endOf(room) !== endOf(importedRoom))
      .map(({ file, imported }) => `${file} imports ${imported}`);
    expect(across).toEqual([]);
  });

  it('of the home machine import no AAA protocol', async () => {
    const imports = await importsOfSources();
    const known = new Set(imports.filter(({ room }) => room === 'protocol/home').map(({ file }) => file));
    for (const file of known) {
      for (const each of imports) if (each.file === file) known.add(each.imported.replace(/\.js$/, '.ts'));
    }
    expect([...known].filter((file) => /^protocol\/(diameter|radius)\//.test(file))).toEqual([]);
    expect(known.size).toBeGreaterThan(20);
  });

  it('have no loop of files that import each other', async () => {
    const files = new Map<string, string[]>();
    for (const { file, imported } of await importsOfSources()) {
      files.set(file, [...(files.get(file) ?? []), imported.replace(/\.js$/, '.ts')]);
    }
    expect(circleIn(files)).toBeUndefined();
    const planted: [string, string[]][] = [
      ['a.ts', ['b.ts']],
      ['b.ts', ['aaa/main.ts', 'c.ts']],
      ['c.ts', ['b.ts']],
    ];
    expect(circleIn(new Map([...files, ...planted]))).toEqual(['b.ts', 'c.ts', 'b.ts']);
  });

  it('take clock, timers and randomness from Host', async () => {
    const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const found: Record<string, string[]> = {};
    for (const file of files.filter((each) => !NO_DAEMON.includes(dirname(each)))) {
      const text = await readFile(join(SRC, file), 'utf8');
      const used = COMPUTER.filter((name) => text.includes(name));
      if (used.length > 0) found[file] = used;
    }
    expect(found).toEqual(Object.fromEntries(Object.entries(EXCEPTIONS).map(([file, [used]]) => [file, used])));
  });
});

/** Functions of node:crypto that depend on their arguments only. */
const PURE_CRYPTO = ['createCipheriv', 'createDecipheriv', 'createHash', 'createHmac', 'hash', 'timingSafeEqual'];

/** Names through which code reaches the computer. `Buffer` is not one of them: it converts octets. */
const IMPURE =
  /(?<![.\w$])(?:process|Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|crypto|fetch|console|globalThis|global|require|eval|Worker|MessageChannel|BroadcastChannel|WebSocket|EventSource|AbortSignal|Atomics|Function)(?![\w$]|\s*:)|Math\s*\.\s*random|Buffer\s*\.\s*allocUnsafe\w*/g;

/** What a source file uses beyond its arguments: impure names, and imports other than of files and PURE_CRYPTO. */
function impurities(text: string): string[] {
  const imports = [...text.matchAll(/(?:import|export)\s+([^;']*?)\s*from\s*'([^.'][^']*)'/g)].flatMap(
    ([, names = '', module = '']) => {
      const taken = /^\{([^}]*)\}$/
        .exec(names)?.[1]
        ?.split(',')
        .map((name) => name.trim()) ?? [names];
      const impure =
        module === 'node:crypto' ? taken.filter((name) => name !== '' && !PURE_CRYPTO.includes(name)) : taken;
      return impure.map((name) => `${name} from ${module}`);
    },
  );
  const others = [...text.matchAll(/\bimport\s*(?:\(\s*)?'([^.'][^']*)'/g)].map(([, module = '']) => module);
  const code = text
    .replace(/^import[^;]*;/gm, '')
    .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
  return [...imports, ...others, ...(code.match(IMPURE) ?? [])];
}

describe('The protocols', () => {
  it('are pure: no sockets, files, timers, clock, randomness or process', async () => {
    const folder = join(SRC, 'protocol');
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const found: Record<string, string[]> = {};
    for (const file of files) {
      const impure = impurities(await readFile(join(folder, file), 'utf8'));
      if (impure.length > 0) found[file] = impure;
    }
    expect(found).toEqual({});
    expect(files.length).toBeGreaterThan(100);
  });

  it.each([
    ["import { createSocket } from 'node:dgram';", 'createSocket from node:dgram'],
    ["import {\n  createHash,\n  randomBytes,\n} from 'node:crypto';", 'randomBytes from node:crypto'],
    ["import * as crypto from 'node:crypto';", '* as crypto from node:crypto'],
    ["export { readFile } from 'node:fs/promises';", 'readFile from node:fs/promises'],
    ["import 'pino';", 'pino'],
    ["const os = await import('node:os');", 'node:os'],
    ['const at = Date.now();', 'Date'],
    ['const { now } = Date;', 'Date'],
    ['const clock = performance;', 'performance'],
    ['setTimeout(() => tick(), 5);', 'setTimeout'],
    [`const text = \`at \${Date.now()}\`;`, 'Date'],
    ['const id = Math.random();', 'Math.random'],
    ['if (process.platform) return;', 'process'],
    ['const key = crypto.getRandomValues(octets);', 'crypto'],
    ['globalThis.setTimeout(f);', 'globalThis'],
    ['const octets = Buffer.allocUnsafe(4);', 'Buffer.allocUnsafe'],
  ])('would not be pure with %s', (line, what) => {
    expect(impurities(`/** Text. */\n${line}\n`)).toEqual([what]);
  });

  it.each([
    "import { createHmac, timingSafeEqual } from 'node:crypto';",
    "import type { Now } from '../now.js';",
    '// The Date of a process.',
    "const reason = 'the process has ended';",
    'session.process(input, { process: 1 });',
    'for (const byte of Buffer.from(octets)) use(byte);',
  ])('are pure with %s', (line) => {
    expect(impurities(line)).toEqual([]);
  });
});

describe('Files', () => {
  it('of more than 400 lines say why they are long', async () => {
    const root = fileURLToPath(new URL('..', import.meta.url));
    const names = await Promise.all(
      ['src', 'test'].map(async (folder) =>
        (await readdir(join(root, folder), { recursive: true })).map((name) => join(folder, name)),
      ),
    );
    const unexplained = [];
    for (const file of names.flat().filter((name) => name.endsWith('.ts'))) {
      const text = await readFile(join(root, file), 'utf8');
      if (text.split('\n').length > 401 && !text.includes('Long, because')) unexplained.push(file);
    }
    expect(unexplained).toEqual([]);
  });
});

describe('Properties and simulations', () => {
  it('take their seed from seed.ts', async () => {
    const root = fileURLToPath(new URL('.', import.meta.url));
    const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'));
    // Certificates and tickets may be random: nothing is chosen by them.
    const own =
      /Math\.random\(|\bseed\w*\b[^;\n]*\b(?:Date\.now|randomBytes|randomInt|performance\.now)\(|fc\.configureGlobal/i;
    const found: string[] = [];
    for (const name of files) if (own.test(await readFile(join(root, name), 'utf8'))) found.push(name);
    expect(found.sort()).toEqual(['house.test.ts', 'properties.ts', 'vitest.config.ts']);
  });

  it('of one run have the seed of that run', () => {
    expect(fc.readConfigureGlobal()).toMatchObject({ seed: SEED, numRuns: runs(100) });
    expect(Number.isInteger(SEED)).toBe(true);
    expect(fc.sample(fc.nat(), 5)).toEqual(fc.sample(fc.nat(), { seed: SEED, numRuns: 5 }));
    expect(process.env['PANA_TEST_SEED']).toBeDefined();
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
