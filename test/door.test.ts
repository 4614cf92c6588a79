import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../src/protocol/bytes/secret.js';
import { decodeDiameter, encodeDiameter } from '../src/protocol/diameter/wire/codec.js';
import { CEA } from '../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../src/protocol/diameter/wire/dictionary.js';
import { DiameterFramer } from '../src/protocol/diameter/wire/framer.js';
import { Grammarian } from '../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../src/protocol/diameter/wire/result-codes.js';
import { attribute } from '../src/protocol/radius/wire/attributes.js';
import { checkRequest, encodeResponse } from '../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius } from '../src/protocol/radius/wire/codec.js';

const execute = promisify(execFile);
const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const DOORS = ['pana', 'diameter', 'eap', 'radius'];

/** A compiled module in dist whose source has been removed. */
const STALE = 'dist/door/removed.js';

/** Another project that has the packed tarball installed. */
let folder: string;
let files: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-door-'));
  const modules = join(folder, 'node_modules');
  await mkdir(modules);
  await execute('npm', ['pack', '--pack-destination', folder], { cwd: await copyOfProject() });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  await execute('tar', ['-xzf', join(folder, tarball), '-C', folder]);
  files = (await readdir(join(folder, 'package'), { recursive: true })).sort();
  await symlink(join(folder, 'package'), join(modules, 'pana-mip6'));
  await symlink(join(PROJECT, 'node_modules/@types'), join(modules, '@types'));
  await symlink(join(PROJECT, 'node_modules/undici-types'), join(modules, 'undici-types'));
  await symlink(join(PROJECT, 'node_modules/.bin'), join(modules, '.bin'));
  for (const line of await documentedCommands()) {
    await execute('sh', ['-c', line], { cwd: folder }).catch(({ stdout, message }: Error & { stdout: string }) => {
      throw new Error(stdout || message);
    });
  }
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Copies the checkout, since packing removes dist, which other tests run. Its dist has a module without a source. */
async function copyOfProject(): Promise<string> {
  const copy = join(folder, 'copy');
  const { files } = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as { files: string[] };
  const shipped = files.filter((name) => !name.startsWith('!') && name !== 'dist');
  for (const name of [...shipped, 'package.json', 'tsconfig.json', 'src']) {
    await cp(join(PROJECT, name), join(copy, name), { recursive: true });
  }
  await symlink(join(PROJECT, 'node_modules'), join(copy, 'node_modules'));
  await mkdir(join(copy, 'dist/door'), { recursive: true });
  await writeFile(join(copy, STALE), '');
  return copy;
}

/** The commands of docs/library.md that compile the examples. Instead of `npm install`, packages are linked. */
async function documentedCommands(): Promise<string[]> {
  const page = await readFile(join(PROJECT, 'docs/library.md'), 'utf8');
  const [block] = /^( {4}npm init .*\n)( {4}.*\n)+/m.exec(page) ?? [''];
  const lines = block.split('\n').map((line) => line.trim());
  expect(lines).toContainEqual(expect.stringMatching(/^npx tsc /));
  return lines.filter((line) => line !== '' && !line.startsWith('npm install '));
}

async function example(name: string, ...parameters: string[]): Promise<string> {
  return (await execute(process.execPath, [join(folder, 'out', `${name}.js`), ...parameters])).stdout;
}

/** Runs a module given as text in the other project. */
function evaluate(source: string): Promise<{ stdout: string }> {
  return execute(process.execPath, ['--input-type=module', '--eval', source], { cwd: folder });
}

describe('The packed tarball', () => {
  it('contains licence, changelog, documentation and examples, and neither tests nor sources', () => {
    expect(files).toEqual(
      expect.arrayContaining(['LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md', 'README.md', 'docs', 'scripts/examples']),
    );
    expect(files.filter((name) => name.startsWith('test') || name.startsWith('src'))).toEqual([]);
  });

  it('contains only modules that have a source, and of the source maps those of the bundle, without sources', async () => {
    const modules = files.filter((name) => name.startsWith('dist/') && name.endsWith('.js'));
    const sources = await readdir(join(PROJECT, 'src'), { recursive: true });
    const built = sources.filter((name) => name.endsWith('.ts')).map((name) => `dist/${name.replace(/ts$/, 'js')}`);
    expect(modules).toEqual(built.sort());
    expect(modules).not.toContain(STALE);
    const maps = files.filter((name) => name.endsWith('.map'));
    expect(maps.filter((name) => !/^dist\/bundle\/chunks\/[\w-]+\.cjs\.map$/.test(name))).toEqual([]);
    for (const name of maps) {
      const map = JSON.parse(await readFile(join(folder, 'package', name), 'utf8')) as { sourcesContent?: unknown };
      expect(map.sourcesContent).toBeUndefined();
    }
  });

  it('states the MIT licence and exports the entry points only', async () => {
    const { license, exports } = JSON.parse(await readFile(join(folder, 'package/package.json'), 'utf8'));
    expect(license).toBe('MIT');
    expect(await readFile(join(folder, 'package/LICENSE'), 'utf8')).toContain('pana-mip6 contributors');
    expect(Object.keys(exports)).toEqual([...DOORS.map((door) => `./${door}`), './package.json']);
  });

  it('contains type declarations for each entry point', () => {
    // The set-up compiled the examples against them, without skipLibCheck.
    expect(files).toEqual(expect.arrayContaining(DOORS.map((door) => `dist/door/${door}.d.ts`)));
  });

  it.each([
    'pana-mip6',
    'pana-mip6/dist/door/pana.js',
    'pana-mip6/dist/protocol/pana/wire/codec.js',
    'pana-mip6/door/pana',
  ])('does not export %s', async (path) => {
    await expect(evaluate(`await import('${path}')`)).rejects.toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it('needs no dependency for its entry points', async () => {
    // The other project has no dependencies installed.
    const imports = DOORS.map((door) => `console.log(Object.keys(await import('pana-mip6/${door}')).length > 5)`);
    expect((await evaluate(imports.join(';'))).stdout).toBe('true\n'.repeat(DOORS.length));
  });
});

describe('The examples', () => {
  it('decode-pana decodes a PANA message', async () => {
    expect(await example('decode-pana')).toBe(
      'PAR[S], session 1a2b3c4d, sequence 7\n  PRF-Algorithm: 5\n  Integrity-Algorithm: 12\n',
    );
    // A PCI of RFC 5191 consists of a header only.
    expect(await example('decode-pana', '00000010000000010000000000000000')).toBe(
      'PCI, session 00000000, sequence 0\n',
    );
    await expect(example('decode-pana', '0000')).rejects.toThrow('cannot be decoded');
  });

  it('pana-session authenticates a PaC at a PAA in memory', async () => {
    const lines = (await example('pana-session')).trimEnd().split('\n');
    const sent = lines.flatMap((line) => (/sends (\S+)$/.exec(line) ?? []).slice(1));
    // The link loses the first PAN.
    expect(sent).toEqual(['PCI', 'PAR[S]', 'PAN[S]', 'PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]']);
    expect(lines.at(-1)).toBe('the PaC is OPEN, the PAA has 1 session');
  });

  it('eap-fragments carries a TLS flight in EAP-TLS packets', async () => {
    const lines = (await example('eap-fragments')).trimEnd().split('\n');
    expect(lines.map((line) => line.split(': ').at(-1))).toEqual([
      'acknowledge',
      'acknowledge',
      'flight',
      'flight of 3000 octets is complete',
    ]);
  });

  it('diameter-client exchanges capabilities with a Diameter peer', async () => {
    const { server, port } = await peer();
    try {
      expect(await example('diameter-client', '127.0.0.1', `${port}`)).toBe('server.example: SUCCESS\n');
    } finally {
      server.close();
    }
  });

  it('radius-status asks a RADIUS server whether it works', async () => {
    const file = join(folder, 'secret');
    await writeFile(file, 'xyzzy5461\n');
    const { server, port } = await radiusServer(Secret.take(Buffer.from('xyzzy5461')), 'at your service');
    try {
      expect(await example('radius-status', file, '127.0.0.1', `${port}`)).toBe('code 2: at your service\n');
    } finally {
      server.close();
    }
  });
});

/** A RADIUS server that answers Status-Server with this text, but first with a forged answer. */
async function radiusServer(secret: Secret, text: string): Promise<{ server: Socket; port: number }> {
  const server = createSocket('udp4');
  const attributes = attribute('Reply-Message', text);
  server.on('message', (octets, { port, address }) => {
    if (checkRequest(octets, secret) !== 'authentic') return;
    const { identifier, authenticator } = decodeRadius(octets);
    const accept = encodeResponse({ code: CODE['Access-Accept'], identifier, attributes }, authenticator, secret);
    const forged = Uint8Array.from(accept);
    forged[forged.length - 1] = 0;
    server.send(forged, port, address);
    server.send(accept, port, address);
  });
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  return { server, port: server.address().port };
}

/** A Diameter peer that answers a CER. */
async function peer(): Promise<{ server: Server; port: number }> {
  const grammarian = new Grammarian(new Dictionary());
  const server = createServer((socket) => {
    const framer = new DiameterFramer();
    socket.on('data', (chunk) => {
      for (const octets of framer.push(chunk)) {
        const cer = decodeDiameter(octets);
        const { hopByHop, endToEnd } = cer;
        const content = {
          'Result-Code': RESULT.SUCCESS,
          'Origin-Host': 'server.example',
          'Origin-Realm': 'example',
        };
        socket.write(encodeDiameter(grammarian.message(CEA, 0, content, { hopByHop, endToEnd })));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}
