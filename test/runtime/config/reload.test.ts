import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AaaOptions, aaaSchema } from '../../../src/aaa/config/options.js';
import { AaaDaemon } from '../../../src/aaa/daemon.js';
import { systemAaaSurroundings } from '../../../src/aaa/surroundings.js';
import { PaaDaemon } from '../../../src/paa/daemon.js';
import { type PaaOptions, paaSchema } from '../../../src/paa/options.js';
import { PacDaemon } from '../../../src/pac/daemon.js';
import { type PacOptions, pacSchema } from '../../../src/pac/options.js';
import { systemPacSurroundings } from '../../../src/pac/surroundings.js';
import { reloadable, reloadableEach, reloadableKeys } from '../../../src/runtime/config/reload.js';
import { group } from '../../../src/runtime/config/sections.js';
import { systemSurroundings } from '../../../src/runtime/surroundings/surroundings.js';
import { SqliteBackend } from '../../../src/store/database.js';
import { StoreEngine } from '../../../src/store/engine.js';
import { DEAF } from '../../deaf-surroundings.js';
import { quiet } from '../../quiet.js';
import { VirtualHost } from '../../virtual-host.js';
import { makePki } from '../eap/eap-run.js';
import { eachReloadable, reloadableText } from './reloadable-keys.js';

const log = pino({ level: 'silent' });

type Tree = Record<string, unknown>;

/** The same options, recording the dotted name of each key that is read. */
function remembering<T extends object>(value: T, read: Set<string>, path = ''): T {
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = (target as Tree)[String(key)];
      const name = `${path}${String(key)}`;
      const isSection =
        found !== null && typeof found === 'object' && Object.getPrototypeOf(found) === Object.prototype;
      if (isSection) return remembering(found, read, `${name}.`);
      read.add(name);
      return found;
    },
  });
}

/** Advances time in steps and lets promises and file operations settle. */
async function settle(host: VirtualHost, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    host.advance(500);
    await quiet();
  }
}

let folder: string;
let tls: Tree;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-reload-'));
  const { ca, server } = await makePki('p256');
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  tls = {
    ca: await file('ca.pem', ca.certificatePem),
    certificate: await file('certificate.pem', server.certificatePem),
    key: await file('key.pem', server.keyPem),
  };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Starts a daemon, reloads it and resolves to the keys of the new options that it reads. */
type Reload = () => Promise<ReadonlySet<string>>;

async function pac(): Promise<ReadonlySet<string>> {
  const host = new VirtualHost(undefined, Date.now());
  const options: PacOptions = pacSchema.parse({
    pana: { paa: ['127.0.0.1'], 'pci-limit': '1s', 'local-address': '127.0.0.1' },
    eap: { identity: '@home.example' },
    tls: { ...tls, 'server-name': 'aaa.home.example' },
    hooks: { 'state-dir': folder },
  });
  const daemon = await PacDaemon.start(options, log, { ...systemPacSurroundings, ...DEAF, host });
  const read = new Set<string>();
  await daemon.reload(remembering(options, read));
  await settle(host, 60_000);
  await Promise.all([daemon.stop(), settle(host, 10_000)]);
  return read;
}

/** One with Diameter, and one with RADIUS. */
async function paa(): Promise<ReadonlySet<string>> {
  const radius = {
    aaa: 'radius',
    nas: { identifier: 'paa.access.example' },
    radius: { tls, servers: [{ address: '127.0.0.1', certificate: 'aaa.home.example' }] },
  };
  return new Set([...(await paaWith({})), ...(await paaWith(radius))]);
}

async function paaWith(more: object): Promise<ReadonlySet<string>> {
  const host = new VirtualHost(undefined, Date.now());
  const options: PaaOptions = paaSchema.parse({
    ...more,
    pana: { listen: ['127.0.0.1'], 'pre-authentication': { allow: true } },
    'local-home-agent': { address: '2001:db8:a::1', host: 'ha.access.example', prefix: '2001:db8:a::/64' },
    diameter: {
      host: 'paa.access.example',
      realm: 'access.example',
      tls,
      peers: [{ host: 'aaa.home.example', address: '127.0.0.1' }],
    },
    hooks: { 'state-dir': folder },
  });
  const daemon = await PaaDaemon.start(options, log, { ...systemSurroundings, ...DEAF, host });
  const read = new Set<string>();
  await daemon.reload(remembering(options, read));
  await Promise.all([daemon.stop(), settle(host, 30_000)]);
  return read;
}

async function aaa(): Promise<ReadonlySet<string>> {
  const host = new VirtualHost(undefined, Date.now());
  const backend = await SqliteBackend.open(':memory:');
  const options: AaaOptions = aaaSchema.parse({
    store: join(folder, 'store.db'),
    workers: 0,
    diameter: {
      host: 'aaa.home.example',
      realm: 'home.example',
      tls,
      peers: [{ host: 'paa.access.example', address: '127.0.0.1' }],
    },
    radius: { tls },
    tls,
    hooks: { 'state-dir': folder },
  });
  const daemon = await AaaDaemon.start(options, log, undefined, {
    ...systemAaaSurroundings,
    ...DEAF,
    host,
    openStore: (_where, { events }) => StoreEngine.open(backend, host, events),
  });
  const read = new Set<string>();
  await daemon.reload(remembering(options, read));
  // Longer than the lifetime of a ticket key.
  host.advance(2 * options.tls['ticket-key-lifetime']);
  await settle(host, 5_000);
  await Promise.all([daemon.stop(), settle(host, 30_000)]);
  await backend.close();
  return read;
}

/** Reloadable keys that this test cannot see being read, with the reason. */
const NOT_SEEN: ReadonlyMap<string, string> = new Map([
  ['log.level', 'the command of each daemon applies it'],
  ['eap.identity', 'a session that began after the reload reads it when its PAA asks'],
  ['eap.mtu', 'the same'],
  ['tls.legacy', 'only the check of the configuration reads it'],
  ['diameter.tls.port', 'a PAA has no Diameter listener; its section may be added or removed'],
  ['radius.tls.port', 'a PAA has no RadSec listener'],
  ['local-home-agent.capacity', 'it is read when an address is assigned'],
]);

describe.each<readonly [string, z.ZodObject, Reload]>([
  ['pana-pac', pacSchema, pac],
  ['pana-paa', paaSchema, paa],
  ['pana-aaa', aaaSchema, aaa],
])('Reload of %s', (name, schema, reload) => {
  let read: ReadonlySet<string>;

  beforeAll(async () => {
    read = await reload();
  });

  it.each(eachReloadable(schema).filter((key) => !NOT_SEEN.has(key)))('reads %s of the new options', (key) => {
    expect([...read]).toContain(key);
  });

  it('is documented in docs/configuration.md with all its keys', async () => {
    const page = await readFile('docs/configuration.md', 'utf8');
    expect(page).toContain(`| \`${name}\` | ${reloadableText(schema)} |`);
  });
});

describe('Reloadable keys of a schema', () => {
  const schema = z.strictObject({
    whole: reloadable(
      z
        .strictObject({ a: z.string(), b: group({ c: z.string() }) })
        .optional()
        .describe('a section'),
    ),
    part: group({
      one: reloadable(z.string().describe('one')),
      two: z.string(),
      ...reloadableEach({ three: z.number() }),
    }),
    none: z.string(),
  });

  it('are listed, an optional section as one key', () => {
    expect(reloadableKeys(schema)).toEqual(['whole', 'whole.*', 'part.one', 'part.three']);
    expect(eachReloadable(schema)).toEqual(['whole.a', 'whole.b.c', 'part.one', 'part.three']);
    expect(reloadableText(schema)).toBe('`whole.*`, `part.{one, three}`');
  });

  it('keep their description', () => {
    expect(schema.shape.whole.description).toBe('a section');
  });

  it('are not marked in other schemas that share a part', () => {
    const shared = z.string();
    reloadable(shared);
    expect(reloadableKeys(z.strictObject({ shared }))).toEqual([]);
  });
});
