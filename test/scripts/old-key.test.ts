import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runHook, testNode } from './hook-rig.js';

const NODE = testNode(1);
const NEW_KEY = `0x${'ee'.repeat(64)}`;
const CONNECTION = 'pana-2001-db8-1--1001';
let state: string;
let programs: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-old-key-'));
  programs = join(state, 'bin');
  await mkdir(programs);
  // Prints the IKE_SAs of the file "sas", as charon does. Those of "sas-then" replace them when it loads keys.
  const swanctl = `#!/bin/sh
case $1 in
--list-sas) cat ${state}/sas ;;
--load-all) [ ! -f ${state}/sas-then ] || mv ${state}/sas-then ${state}/sas; echo "loaded ike secret 'ike-${CONNECTION}'"; echo "loaded connection '${CONNECTION}'" ;;
--list-conns) echo 'list-conn event {${CONNECTION} {local_addrs=[2001:db8:1::1]}}' ;;
esac
`;
  await writeFile(join(programs, 'swanctl'), swanctl);
  await chmod(join(programs, 'swanctl'), 0o755);
  await writeFile(join(programs, 'ip'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  await sas([]);
  await settle('');
});

afterEach(() => rm(state, { recursive: true, force: true }));

const settle = (more: string) =>
  writeFile(
    join(state, 'hooks.conf'),
    `IKE=strongswan\nMOBILITY=none\nINTERFACE=none0\nSWANCTL_DIR=${state}/swanctl\n${more}`,
  );

/** Sets charon's IKE_SAs; `seconds` is their age by charon's clock. */
function sas(list: readonly { readonly spi: string; readonly seconds: number; readonly connection?: string }[]) {
  const lines = list.map(
    ({ spi, seconds, connection = CONNECTION }) =>
      `list-sa event {${connection} {uniqueid=1 version=2 state=ESTABLISHED local-host=2001:db8:1::1 initiator-spi=${spi} responder-spi=${spi} encr-alg=AES_CBC established=${seconds} rekey-time=13000 child-sas {}}}\n`,
  );
  return writeFile(join(state, 'sas'), lines.join(''));
}

async function hook(event: string, key = NODE.key): Promise<void> {
  const ended = await runHook(state, { script: 'ha-linux.sh', event, node: NODE, key, programs });
  expect(ended).toMatchObject({ status: 0 });
}

async function knowsOld(): Promise<boolean> {
  return (await readFile(join(state, 'swanctl/conf.d', `pana-${NODE.id}.conf`), 'utf8')).includes('-old');
}

it('ha-linux.sh probe keeps the old key while the IKE_SA from before the new key is up, at any age', async () => {
  await hook('up');
  for (const seconds of [0, 1, 5]) {
    await sas([{ spi: 'a1', seconds }]);
    await hook('refresh', NEW_KEY);
    await hook('probe', NEW_KEY);
    expect(await knowsOld()).toBe(true);
  }
});

it('ha-linux.sh probe deletes the old key when another IKE_SA is up, even with the same unique id', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await sas([{ spi: 'b2', seconds: 5 }]);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it('ha-linux.sh takes an IKE_SA that a node makes as soon as the new key is loaded for one with that key', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await rename(join(state, 'sas'), join(state, 'sas-before'));
  await sas([
    { spi: 'a1', seconds: 5 },
    { spi: 'b2', seconds: 0 },
  ]);
  await rename(join(state, 'sas'), join(state, 'sas-then'));
  await rename(join(state, 'sas-before'), join(state, 'sas'));
  await hook('refresh', NEW_KEY);
  // The next key: the home agent must keep the one before it, which the node has, and not the first one.
  await hook('refresh', `0x${'dd'.repeat(64)}`);
  const conf = await readFile(join(state, 'swanctl/conf.d', `pana-${NODE.id}.conf`), 'utf8');
  expect([conf.includes(NEW_KEY), conf.includes(NODE.key)]).toEqual([true, false]);
});

it('ha-linux.sh probe ignores IKE_SAs of other nodes and compares whole SPIs', async () => {
  await hook('up');
  await sas([{ spi: 'a12', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await sas([
    { spi: 'a12', seconds: 5 },
    { spi: 'b2', seconds: 0, connection: 'pana-2001-db8-1--1002' },
  ]);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(true);
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it('ha-linux.sh probe keeps the old key if the refresh hook could not record the IKE_SA', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await settle('DRY_RUN=yes\n');
  await hook('refresh', NEW_KEY);
  await settle('');
  await hook('probe', NEW_KEY);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(true);
  await sas([{ spi: 'b2', seconds: 0 }]);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it('ha-linux.sh probe deletes the old key after OLD_KEY_SECONDS', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await settle('OLD_KEY_SECONDS=0\n');
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it('ha-linux.sh probe keeps the old key through a step of the wall clock', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await writeFile(join(programs, 'date'), '#!/bin/sh\necho 4102444800\n');
  await chmod(join(programs, 'date'), 0o755);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(true);
});
