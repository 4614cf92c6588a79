import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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
  // What a charon says whose IKE_SAs are those of the file "sas".
  const swanctl = `#!/bin/sh
case $1 in
--list-sas) cat ${state}/sas ;;
--load-creds) echo "loaded ike secret 'ike-${CONNECTION}'" ;;
--load-conns) echo "loaded connection '${CONNECTION}'" ;;
esac
`;
  await writeFile(join(programs, 'swanctl'), swanctl);
  await chmod(join(programs, 'swanctl'), 0o755);
  await sas([]);
  await settle('');
});

afterEach(() => rm(state, { recursive: true, force: true }));

const settle = (more: string) =>
  writeFile(join(state, 'hooks.conf'), `IKE=strongswan\nMOBILITY=none\nSWANCTL_DIR=${state}/swanctl\n${more}`);

/** charon's IKE_SAs, each `seconds` old by its own clock. */
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

it('keeps the old key beside an IKE_SA that was up before the new key, however old charon says it is', async () => {
  await hook('up');
  for (const seconds of [0, 1, 5]) {
    await sas([{ spi: 'a1', seconds }]);
    await hook('refresh', NEW_KEY);
    await hook('probe', NEW_KEY);
    expect(await knowsOld()).toBe(true);
  }
});

it('forgets the old key when another IKE_SA has come, also where charon gives it the same unique id', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await sas([{ spi: 'b2', seconds: 5 }]);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it("takes another node's IKE_SA, and one whose SPI only begins alike, for no use of this key", async () => {
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

it('keeps the old key when the hook that brought the new one was killed before it could look', async () => {
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

it('forgets the old key when its time is over', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await settle('OLD_KEY_SECONDS=0\n');
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(false);
});

it('keeps the old key through a step of the wall clock', async () => {
  await hook('up');
  await sas([{ spi: 'a1', seconds: 5 }]);
  await hook('refresh', NEW_KEY);
  await writeFile(join(programs, 'date'), '#!/bin/sh\necho 4102444800\n');
  await chmod(join(programs, 'date'), 0o755);
  await hook('probe', NEW_KEY);
  expect(await knowsOld()).toBe(true);
});
