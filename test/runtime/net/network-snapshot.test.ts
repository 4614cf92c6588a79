import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { networkSnapshot } from '../../../src/runtime/net/network-snapshot.js';

it('A snapshot contains the links that the kernel shows. The carrier of a link that is down cannot be read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pana-network-snapshot-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const link = async (name: string, files: Readonly<Record<string, string>>) => {
    await mkdir(join(folder, name));
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), `${text}\n`);
  };
  await link('eth0', { carrier: '1', ifindex: '2', carrier_changes: '5' });
  await link('eth1', { carrier: '0', ifindex: '3', carrier_changes: '6' });
  await link('eth2', { ifindex: '4', carrier_changes: '7' });
  expect(networkSnapshot(folder).links).toEqual(
    new Map([
      ['eth0', { up: true, generation: '2 5' }],
      ['eth1', { up: false, generation: '3 6' }],
      ['eth2', { up: false, generation: '4 7' }],
    ]),
  );
  expect(networkSnapshot(join(folder, 'nowhere')).links).toEqual(new Map());
});

it('A snapshot contains the addresses of this host', () => {
  const { addresses } = networkSnapshot();
  for (const list of Object.values(networkInterfaces())) {
    for (const { address } of list ?? []) expect(addresses).toContain(address);
  }
});
