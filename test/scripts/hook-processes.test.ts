import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { announce } from '../system/access-network.js';
import { hasProgram, runHook, testNode } from './hook-rig.js';

/** Programs that a hook runs, itself included: each takes long on a small router. */
const MOST = 15;

const possible = announce('processes of a hook', hasProgram('strace') ? undefined : 'they need strace');
const NODE = testNode(1);
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-processes-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  // They run no other program.
  await program(
    'swanctl',
    `case $1 in
--load-all) for c in pana-2001-db8-1--1001 pana-2001-db8-1--1001-1 pana-2001-db8-1--1001-2 pana-2001-db8-1--1001-3; do
  echo "loaded ike secret 'ike-$c'"; echo "loaded connection '$c'"; done ;;
--initiate) echo 'initiate completed successfully' ;;
--list-sas) for f in ${state}/swanctl/conf.d/*; do while read -r name _; do case $name in
  pana-*) echo "list-sa event {$name {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}" ;; esac; done <"$f"; done ;;
esac`,
  );
  await careOf('2001:db8:a::11');
  await program('ping', 'exit 0');
  const settings = ['IKE=strongswan', 'MOBILITY=none', 'WATCH=no', `SWANCTL_DIR=${state}/swanctl`];
  await writeFile(join(state, 'hooks.conf'), `${settings.join('\n')}\n`);
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** Sets the node's address. It has a router on its link, and the route by one of the former link. */
const careOf = (address: string) =>
  program(
    'ip',
    `case "$*" in
*"address show"*) echo '2: eth0    inet6 ${address}/64 scope global' ;;
*-batch*) echo 'default via fe80::a dev eth0'; echo 'default via fe80::d dev eth0' ;;
*"neigh show"*) echo 'fe80::d lladdr 02:00:00:00:00:0d router REACHABLE' ;;
esac`,
  );

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** The number of programs that one run of a hook starts. */
async function programsOf(script: string, event: string, key: string): Promise<number> {
  const file = join(state, `trace-${event}`);
  const shell = ['strace', '-f', '-qq', '-e', 'trace=execve', '-e', 'signal=none', '-o', file];
  const ended = await runHook(state, { script, event, node: NODE, programs: bin, shell, key });
  expect(ended).toMatchObject({ status: 0 });
  return (await readFile(file, 'utf8')).split('\n').filter((line) => / = 0$/.test(line)).length;
}

it.runIf(possible).each(['mn-linux.sh', 'ha-linux.sh'])(
  `%s runs at most ${MOST} programs for each event`,
  async (script) => {
    const counts: Record<string, number> = {};
    const events = script === 'mn-linux.sh' ? ['up', 'refresh', 'move', 'down'] : ['up', 'refresh', 'probe', 'down'];
    for (const event of events) {
      if (event === 'move') await careOf('2001:db8:d::11');
      counts[event] = await programsOf(script, event, event === 'up' ? NODE.key : `0x${'ee'.repeat(64)}`);
    }
    process.stderr.write(`*** programs of ${script}: ${JSON.stringify(counts)} ***\n`);
    expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(MOST);
  },
);
