import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemComputer } from '../../src/runtime/doctor/computer.js';
import { radiusFindings } from '../../src/runtime/doctor/radius.js';
import { readRadiusSecret } from '../../src/runtime/radius/secret-file.js';

let folder: string;
const path = (name: string) => join(folder, name);
const LONG = 'a secret of more than sixteen octets';

async function secretFile(name: string, text: string | Uint8Array, mode = 0o600): Promise<string> {
  await writeFile(path(name), text);
  await chmod(path(name), mode);
  return path(name);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-mip6-'));
  await secretFile('good', `${LONG}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

describe('The secret of a RADIUS client', () => {
  it.each([
    ['with a newline', `${LONG}\n`, LONG],
    ['with a carriage return', `${LONG}\r\nmore`, LONG],
    ['without one', LONG, LONG],
    ['with blanks', ` ${LONG} \n`, ` ${LONG} `],
  ])('is the first line of a file, %s', async (_what, text, expected) => {
    const secret = await readRadiusSecret('key', await secretFile('some', text));
    expect(secret.use((octets) => Buffer.from(octets).toString())).toBe(expected);
  });

  it.each([
    ['that is empty', '', 0o600, 'has no secret in its first line'],
    ['with an empty first line', `\n${LONG}`, 0o600, 'has no secret in its first line'],
    ['with the secret of RadSec', 'radsec\n', 0o600, 'has the secret "radsec", which everybody knows'],
    ['that everybody can read', LONG, 0o604, 'every user of this host can access'],
    ['that is too large', 'x'.repeat(5000), 0o600, 'has more than 4096 octets'],
  ])('is refused in a file %s', async (_what, text, mode, message) => {
    const file = await secretFile('bad', text, mode);
    await expect(readRadiusSecret('radius.clients.a.secret-file', file)).rejects.toThrow(message);
    await expect(readRadiusSecret('radius.clients.a.secret-file', file)).rejects.not.toThrow(LONG);
  });

  it('is refused in a folder and in a file that does not exist', async () => {
    await expect(readRadiusSecret('key', folder)).rejects.toThrow('not a regular file');
    await expect(readRadiusSecret('key', path('none'))).rejects.toThrow('no such file');
  });
});

describe('The checks of RADIUS', () => {
  const client = (name: string, from: string[], file = 'good') => ({ name, from, 'secret-file': path(file) });
  const check = async (clients: ReturnType<typeof client>[], listen = ['::1']) =>
    (await radiusFindings({ listen, clients }, { ...systemComputer(), service: undefined })).map(
      ({ severity, what }) => `${severity}: ${what.replaceAll(`${folder}/`, '')}`,
    );

  it('find nothing in a good section', async () => {
    expect(await check([client('a', ['2001:db8:1::/48']), client('b', ['2001:db8:2::/48', '192.0.2.1'])])).toEqual([]);
    expect(await check([], [])).toEqual([]);
  });

  it('find clients without a server, and a server without clients', async () => {
    expect(await check([])).toEqual(['warning: the server listens for RADIUS, but has no client']);
    expect(await check([client('a', ['::1'])], [])).toEqual([
      'warning: RADIUS clients are listed, but the server does not listen',
    ]);
  });

  it('find networks within others', async () => {
    expect(await check([client('wide', ['2001:db8::/32', '0.0.0.0/0']), client('host', ['2001:db8::1'])])).toEqual([
      'warning: 2001:db8::1 of host is within a network of wide; there the secret of host applies',
    ]);
    expect(await check([client('a', ['192.0.2.0/24']), client('b', ['192.0.2.128/25'])])).toHaveLength(1);
  });

  it('find short, missing and known secrets', async () => {
    await secretFile('short', 'fifteen octets.\n');
    await secretFile('radsec', 'radsec\n');
    expect(await check([client('a', ['::1'], 'short')])).toEqual([
      'warning: the secret in short has 15 octets and can be found by trying',
    ]);
    expect(await check([client('a', ['::1'], 'none')])).toEqual(['error: cannot read none: no such file']);
    expect(await check([client('a', ['::1'], 'radsec')])).toEqual([
      'error: radsec has the secret "radsec", which everybody knows',
    ]);
  });

  it('find a file that the user of the daemon cannot read', async () => {
    const computer = systemComputer();
    const files = { ...computer.files, may: () => Promise.resolve(false) };
    const found = await radiusFindings(
      { listen: ['::1'], clients: [client('a', ['::1'])] },
      { ...computer, files, user: 'pana', service: undefined },
    );
    expect(found).toMatchObject([{ severity: 'error', what: `pana cannot read ${path('good')}` }]);
  });
});
