import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runHook, testNode } from './hook-rig.js';

const NODE = testNode(1);
const CONNECTION = 'pana-2001-db8-1--1001';
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-link-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  await mkdir(join(state, 'sysfs/class/net/eth0'), { recursive: true });
  await carrierChanges(2);
  await writeFile(
    join(state, 'hooks.conf'),
    `IKE=strongswan\nMOBILITY=umip\nWATCH=no\nINTERFACE=eth0\nSWANCTL_DIR=${state}/swanctl\n`,
  );
  await program('ping', 'exit 0');
  await program('pgrep', 'exit 0');
  await program('pkill', 'exit 0');
  await program('sleep', 'exit 0');
  await program(
    'swanctl',
    `case $1 in
--load-all) for n in 1 2 3 4; do echo "loaded ike secret 'ike-${CONNECTION}-$n' loaded connection '${CONNECTION}-$n'"; done ;;
--list-sas) for n in 1 2 3 4; do echo "list-sa event {${CONNECTION}-$n {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}"; done ;;
esac`,
  );
  await at('2001:db8:a::11');
});

afterEach(() => rm(state, { recursive: true, force: true }));

const program = (name: string, text: string) => writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

/** `ip` of a node with this care-of address and one default router, which records that the kernel forgets neighbours. */
const at = (careOf: string) =>
  program(
    'ip',
    `case "$*" in
*-batch*) grep 'neigh flush' >>${state}/flushed || echo 'default via fe80::1 dev eth0' ;;
*"address show"*) echo '2: eth0    inet6 ${careOf}/64 scope global' ;;
esac`,
  );

const carrierChanges = (count: number) => writeFile(join(state, 'sysfs/class/net/eth0/carrier_changes'), `${count}\n`);

/** Runs the hook of the node. Returns whether the kernel forgot the neighbours. */
async function forgets(event: string, careOf: string, session: string): Promise<boolean> {
  await rm(join(state, 'flushed'), { force: true });
  const ended = await runHook(state, { script: 'mn-linux.sh', event, node: NODE, programs: bin, careOf, session });
  expect(ended).toMatchObject({ status: 0 });
  return (await readFile(join(state, 'flushed'), 'utf8').catch(() => '')).includes('neigh flush dev eth0');
}

const SCOPED = 'fe80::11%eth0';

it('mn-linux.sh forgets no neighbours at a re-authentication with a link-local PAA', async () => {
  expect(await forgets('up', SCOPED, 's1')).toBe(false);
  expect(await forgets('refresh', SCOPED, 's1')).toBe(false);
});

it('mn-linux.sh forgets neighbours after a move without a loss of the carrier', async () => {
  expect(await forgets('up', SCOPED, 's1')).toBe(false);
  expect(await forgets('refresh', SCOPED, 's2')).toBe(true);
  await at('2001:db8:d::11');
  expect(await forgets('move', '2001:db8:d::11', 's2')).toBe(true);
  await at('2001:db8:e::11');
  expect(await forgets('refresh', '2001:db8:e::11', 's3')).toBe(true);
});

it('mn-linux.sh forgets no neighbours if the carrier was lost since the last hook, for the kernel has forgotten them', async () => {
  expect(await forgets('up', '2001:db8:a::11', 's1')).toBe(false);
  await carrierChanges(4);
  await at('2001:db8:d::11');
  expect(await forgets('refresh', '2001:db8:d::11', 's2')).toBe(false);
  await carrierChanges(6);
  await at('2001:db8:e::11');
  expect(await forgets('move', '2001:db8:e::11', 's2')).toBe(false);
});
