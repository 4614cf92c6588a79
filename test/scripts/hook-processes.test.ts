import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announce } from '../system/access-network.js';
import { hasProgram, type Run, runHook, testNode } from './hook-rig.js';

/** Programs that a hook runs, itself included: each takes long on a small router. */
const MOST = 15;

const possible = announce('processes of a hook', hasProgram('strace') ? undefined : 'they need strace');
const NODE = testNode(1);
/** Care-of addresses on two links. */
const [HERE, THERE] = ['2001:db8:a::11', '2001:db8:d::11'];
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
--load-all) for c in pana-2001-db8-1--1001 pana-2001-db8-1--1001-1 pana-2001-db8-1--1001-2 pana-2001-db8-1--1001-3 pana-2001-db8-1--1001-4; do
  echo "loaded ike secret 'ike-$c'"; echo "loaded connection '$c'"; done ;;
--initiate) echo 'initiate completed successfully' ;;
--list-sas) for f in ${state}/swanctl/conf.d/*; do while read -r name _; do case $name in
  pana-*) echo "list-sa event {$name {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}" ;; esac; done <"$f"; done ;;
esac`,
  );
  await program('ping', 'exit 0');
  const settings = ['IKE=strongswan', 'MOBILITY=none', 'WATCH=no', `SWANCTL_DIR=${state}/swanctl`];
  await writeFile(join(state, 'hooks.conf'), `${settings.join('\n')}\n`);
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** Sets the node's address. It has a router on its link, and the route by one of the former link. */
const careOfAddress = (address: string) =>
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

const isDaemon = (line: string) => /\/(racoon|mip6d|radvd)"/.test(line);
const isWait = (line: string) => line.includes('"sleep"');

/** The number of programs that a run of a hook starts, without its daemons, and without waiting for them and looking after that. */
async function programsOf(
  script: string,
  event: string,
  { key = other('ee'), ike = 'ikev2', careOf, session }: Partial<Pick<Run, 'key' | 'ike' | 'careOf' | 'session'>> = {},
): Promise<number> {
  const file = join(state, `trace-${event}`);
  const shell = ['strace', '-f', '-qq', '-e', 'trace=execve', '-e', 'signal=none', '-o', file];
  if (careOf !== undefined && script.startsWith('mn')) await careOfAddress(careOf);
  const given = { ...(careOf === undefined ? {} : { careOf }), ...(session === undefined ? {} : { session }) };
  const ended = await runHook(state, { script, event, node: NODE, programs: bin, shell, key, ike, ...given });
  expect(ended.status, `${event}: ${ended.output}`).toBe(0);
  const started = (await readFile(file, 'utf8')).split('\n').filter((line) => / = 0$/.test(line));
  return started.filter((line, i) => !isDaemon(line) && !isWait(line) && !isWait(started[i - 1] ?? '')).length;
}

const other = (octet: string) => `0x${octet.repeat(64)}`;

it.runIf(possible)(`mn-linux.sh runs at most ${MOST} programs for each event`, async () => {
  const script = 'mn-linux.sh';
  const counts = {
    up: await programsOf(script, 'up', { key: NODE.key, careOf: HERE }),
    refresh: await programsOf(script, 'refresh', { careOf: HERE }),
    move: await programsOf(script, 'move', { careOf: THERE }),
    'refresh after a move': await programsOf(script, 'refresh', { key: other('dd'), careOf: HERE }),
    down: await programsOf(script, 'down', { careOf: HERE }),
  };
  process.stderr.write(`*** programs of ${script}: ${JSON.stringify(counts)} ***\n`);
  expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(MOST);
});

it.runIf(possible)(`ha-linux.sh runs at most ${MOST} programs for each event`, async () => {
  const script = 'ha-linux.sh';
  const counts: Record<string, number> = {};
  for (const event of ['up', 'refresh', 'probe', 'down']) {
    counts[event] = await programsOf(script, event, event === 'up' ? { key: NODE.key } : {});
  }
  process.stderr.write(`*** programs of ${script}: ${JSON.stringify(counts)} ***\n`);
  expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(MOST);
});

describe('with racoon and UMIP', () => {
  beforeEach(async () => {
    await writeFile(join(state, 'hooks.conf'), 'IKE=racoon\nMOBILITY=umip\nWATCH=no\nMIP6D_RELOAD=hup\n');
    // A running program has a file that is not empty. None of these starts another program.
    await program('pgrep', `for name; do :; done; [ -s "${bin}/$name.runs" ]`);
    await program(
      'pkill',
      `for name; do :; done; [ -s "${bin}/$name.runs" ] && { [ $1 = -HUP ] || : >"${bin}/$name.runs"; }`,
    );
    for (const name of ['racoon', 'mip6d', 'radvd']) await program(name, `echo runs >"${bin}/${name}.runs"`);
    await program(
      'racoonctl',
      `case "$*" in
'-ll show-sa isakmp') while read -r line; do echo "$line"; done <"${bin}/isakmp" ;;
establish-sa*) echo '2001:db8:a::11.500 2001:db8:1::1.500 c6f84d34abc4a5c1:06bbc4e323ffdb8c 9' >"${bin}/isakmp" ;;
flush-sa*) : >"${bin}/isakmp" ;;
esac`,
    );
    await program(
      'ip',
      `case "$*" in
*'proto hao') echo 'proto hao reqid 0 mode ro' ;;
'-6 -force -batch -') echo '2001:db8:1::1001 dev ip6tnl1 proto 16 metric 128'
  echo 'ip6tnl1: ipv6/ipv6 remote 2001:db8:a::11 local 2001:db8:1::1 dev h0'
  echo 'ip6tnl2: ipv6/ipv6 remote 2001:db8:1::1 local 2001:db8:a::11 dev eth0'
  echo 'src 2001:db8:1::1001 dst 2001:db8:1::1'; echo '	proto esp spi 0x0badcafe reqid 1' ;;
esac`,
    );
    await writeFile(join(bin, 'isakmp'), '2001:db8:a::11.500 2001:db8:1::1.500 0000000000000001:0000000000000001 9\n');
  });

  it.runIf(possible).each(['mn-linux.sh', 'ha-linux.sh'])(
    `%s runs at most ${MOST} programs for each event, besides its daemons`,
    async (script) => {
      const counts: Record<string, number> = {};
      const events =
        script === 'mn-linux.sh' ? ['up', 'refresh', 'move', 'probe', 'down'] : ['up', 'refresh', 'probe', 'down'];
      for (const event of events) {
        counts[event] = await programsOf(script, event, { ...(event === 'up' ? { key: NODE.key } : {}), ike: 'ikev1' });
      }
      process.stderr.write(`*** programs of ${script} with racoon: ${JSON.stringify(counts)} ***\n`);
      expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(MOST);
    },
  );
});

it.runIf(possible)('ep-ip6tables.sh opens the link with its fifth program, and runs at most ten', async () => {
  await writeFile(join(state, 'hooks.conf'), '');
  await writeFile(join(state, 'ep-legacy'), 'ip6tables-legacy\niptables-legacy\n');
  for (const family of ['iptables-legacy', 'ip6tables-legacy']) {
    await program(family, 'exit 0');
    await program(`${family}-restore`, 'while read -r line; do :; done');
  }
  await program('ip', "echo '2001:db8:a::11 dev eth0 lladdr 02:00:00:00:00:11 REACHABLE'");
  expect(await programsOf('ep-ip6tables.sh', 'permit', { careOf: HERE, session: '0000000a' })).toBeLessThanOrEqual(10);
  const trace = (await readFile(join(state, 'trace-permit'), 'utf8')).split('\n').filter((line) => / = 0$/.test(line));
  expect(trace.findIndex((line) => line.includes('/ip6tables-legacy-restore"'))).toBe(4);
});
