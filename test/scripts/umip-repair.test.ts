import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { functionsOf, mip6dConsole, runCommand, runHook, testNode } from './hook-rig.js';

/** The hooks with strongSwan and UMIP after something has failed: their programs were killed, the kernel lost its state, a node moved. */
const NODE = testNode(1);
const NAME = 'pana-2001-db8-1--1001';
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-repair-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  await settle('');
  await program('sleep', 'exit 0');
  await program('pgrep', 'for name; do :; done; grep -qx "$name" "$bin/running"');
  await program(
    'pkill',
    `for name; do :; done
grep -qx "$name" "$bin/running" || exit 1
echo "pkill $1" >>"$bin/calls"
grep -vx "$name" "$bin/running" >"$bin/left"; cp "$bin/left" "$bin/running"`,
  );
  for (const name of ['charon', 'mip6d', 'radvd']) {
    await program(name, `echo ${name} >>"$bin/calls"; echo ${name} >>"$bin/running"`);
  }
  await program(
    'swanctl',
    `echo "$1" >>"$bin/calls"
grep -qx charon "$bin/running" || { echo "connecting to 'unix:///run/none' failed: No such file"; exit 1; }
case $1 in
--load-all) for n in '' -1 -2; do echo "loaded ike secret 'ike-${NAME}$n' loaded connection '${NAME}$n'"; done ;;
--list-sas) for n in 1 2; do echo "list-sa event {${NAME}-$n {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}"; done ;;
--list-conns) echo 'list-conn event {${NAME} {}}' ;;
esac`,
  );
  await kernel('');
  await program('ping', 'exit 0');
  await running('charon', 'mip6d', 'radvd');
});

afterEach(() => rm(state, { recursive: true, force: true }));

const program = (name: string, text: string) =>
  writeFile(join(bin, name), `#!/bin/sh\nbin=${bin}\n${text}\n`, { mode: 0o755 });
const settle = (more: string) =>
  writeFile(
    join(state, 'hooks.conf'),
    `IKE=strongswan\nMOBILITY=umip\nWATCH=no\nINTERFACE=eth0\nSWANCTL_DIR=${state}/swanctl\nVICI=unix://${state}/none\nCHARON=charon\n${more}`,
  );
const running = (...names: readonly string[]) => writeFile(join(bin, 'running'), names.map((n) => `${n}\n`).join(''));

/** `ip`, which lists these ESP SAs and records the batches that change something. */
const kernel = (sas: string) =>
  program(
    'ip',
    `case "$*" in
*-batch*)
  lines=$(cat)
  case $lines in
  'xfrm state list src'*) printf '%s' '${sas}' ;;
  *delete*|*del*) echo "$lines" >>"$bin/batches" ;;
  esac ;;
*'xfrm state list proto esp') printf '%s' '${sas}' ;;
*"address show"*) echo '2: eth0    inet6 2001:db8:a::11/64 scope global' ;;
esac`,
  );

async function taken(name: string): Promise<string[]> {
  const text = await readFile(join(bin, name), 'utf8').catch(() => '');
  await rm(join(bin, name), { force: true });
  return text.trim().split('\n');
}

async function hook(script: string, event: string, careOf?: string, session?: string): Promise<string> {
  const more = { ...(careOf === undefined ? {} : { careOf }), ...(session === undefined ? {} : { session }) };
  const { status, output } = await runHook(state, { script, event, node: NODE, programs: bin, ...more });
  expect(status, output).toBe(0);
  return output;
}

describe('A home agent that has lost everything', () => {
  it('gives charon its connections while mip6d gets ready, and does not wait for one after the other', async () => {
    await hook('ha-linux.sh', 'up');
    await taken('calls');
    await running();
    await program(
      'mip6d',
      `n=0; until grep -q -e --load-all "$bin/calls" || [ $n -gt 2000 ]; do n=$((n + 1)); done
echo mip6d >>"$bin/calls"; echo mip6d >>"$bin/running"`,
    );
    await hook('ha-linux.sh', 'probe');
    // swanctl finds no charon, and is not run again before charon could have become ready.
    const calls = await taken('calls');
    expect(calls.slice(0, 2)).toEqual(['--list-conns', 'charon']);
    expect(calls.slice(2, 4).sort()).toEqual(['--load-all', 'radvd']);
    expect(calls.slice(4)).toEqual(['mip6d']);
  });

  it('fails a probe if charon does not get ready', async () => {
    await hook('ha-linux.sh', 'up');
    await running();
    await program('charon', 'exit 0');
    await program('sleep', 'echo "$1" >>"$bin/naps"');
    const ended = await runHook(state, { script: 'ha-linux.sh', event: 'probe', node: NODE, programs: bin });
    expect(ended.status).toBe(1);
    expect(ended.output).toContain('error: charon does not answer\nerror: charon was not given its connections\n');
    // On a slow machine, each of many short naps would delay charon.
    const naps = await taken('naps');
    expect(naps.filter((nap) => nap === '0.05')).toHaveLength(8);
    // Other parts of the hook may nap after it.
    expect(naps).toContain('0.2');
  });

  it('answers a probe at once while another hook is at work, and does not wait for a dead one', async () => {
    await hook('ha-linux.sh', 'up');
    await taken('calls');
    await running();
    const stat = await readFile(`/proc/${process.pid}/stat`, 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const lock = join(state, '.locked');
    await symlink(`${process.pid}@${boot}:${start}`, lock);
    expect(await hook('ha-linux.sh', 'probe')).toContain('another hook is at work');
    expect(await taken('calls')).toEqual(['']);
    await rm(lock);
    await symlink(`${process.pid}@${boot}:1`, lock);
    expect(await hook('ha-linux.sh', 'probe')).toContain('nodes: 1');
    expect(await taken('calls')).toContain('charon');
  });

  const seen = '2001:db8:1::1001 dev ip6tnl1 proto dhcp metric 192\nip6tnl1: ipv6/ipv6 remote 2001:db8:a::11 local ::';

  it.each([
    {
      age: 30,
      asked: [`bc add hoa ${NODE.hoa} coa 2001:db8:a::11 local 2001:db8:1::1 flags AHK lifetime 60 dad never `],
    },
    { age: 120, asked: [] },
  ])('gives mip6d the bindings that its watch recorded $age s ago', async ({ age, asked }) => {
    const console = await mip6dConsole();
    try {
      await settle(`MIP6D_CONSOLE=127.0.0.1/${console.port}\n`);
      await hook('ha-linux.sh', 'up');
      const file = join(state, '.bindings');
      await writeFile(file, `${seen} encaplimit none\n`);
      const then = Date.now() / 1000 - age;
      await utimes(file, then, then);
      await running('charon', 'radvd');
      await hook('ha-linux.sh', 'probe');
      expect(console.asked).toEqual(asked);
    } finally {
      console.close();
    }
  });
});

const LEFT = [
  `src ${NODE.hoa} dst 2001:db8:1::1\n\tproto esp spi 0xc1d28f68 reqid 1 mode transport\n\treplay-window 32\n`,
  `src 2001:db8:1::1 dst ${NODE.hoa}\n\tproto esp spi 0xcff29f6e reqid 1 mode transport\n`,
].join('');
const DELETIONS = [
  `xfrm state delete src ${NODE.hoa} dst 2001:db8:1::1 proto esp spi 0xc1d28f68`,
  `xfrm state delete src 2001:db8:1::1 dst ${NODE.hoa} proto esp spi 0xcff29f6e`,
];
const espDeletions = async () => (await taken('batches')).filter((line) => line.includes('proto esp'));

it.each(['ha-linux.sh', 'mn-linux.sh'])(
  'The end of a session deletes what killed programs and hooks have left: %s',
  async (script) => {
    await hook(script, 'up');
    await taken('batches');
    await kernel(LEFT);
    // Files that hooks had begun when they were killed.
    const folders = [state, join(state, 'nodes'), join(state, 'swanctl/conf.d')];
    for (const folder of folders) await writeFile(join(folder, '.new.7'), 'secret');
    await hook(script, 'down');
    for (const folder of folders) expect(await readdir(folder)).not.toContain('.new.7');
    expect(await espDeletions()).toEqual(DELETIONS);
  },
);

it.each(['ha-linux.sh', 'mn-linux.sh'])(
  '%s deletes the ESP SAs of a charon that was killed when it starts another, and no others',
  async (script) => {
    await hook(script, 'up', '2001:db8:a::11');
    const another = 'src 2001:db8:1::1 dst 2001:db8:1::9999\n\tproto esp spi 0xc0000001 reqid 1 mode transport\n';
    await kernel(`${LEFT}${another}`);
    await hook(script, 'probe');
    expect(await espDeletions()).toEqual([]);
    await running('mip6d', 'radvd');
    await hook(script, 'probe');
    expect(await espDeletions()).toEqual(DELETIONS);
  },
);

describe('A node', () => {
  it.each([
    { answers: 'the home address', ping: 'exit 0', calls: 0 },
    { answers: 'no address, as without pings', ping: 'exit 1', calls: 0 },
    // A packet from the home address would make mip6d give up.
    {
      answers: 'the home address, if it is asked first',
      ping: `case "$*" in *"-I ${NODE.hoa}"*) ;; *) exit 1 ;; esac`,
      calls: 0,
    },
    { answers: 'the care-of address only', ping: 'case "$*" in *"-I 2001:db8:d::11"*) ;; *) exit 1 ;; esac', calls: 2 },
  ])('that has moved starts mip6d again if the home agent answers $answers', async ({ ping, calls }) => {
    await hook('mn-linux.sh', 'up', '2001:db8:a::11');
    await taken('calls');
    await program('ping', ping);
    await hook('mn-linux.sh', 'move', '2001:db8:d::11');
    // Killed: at its regular end mip6d deletes the binding.
    expect((await taken('calls')).filter((call) => !call.startsWith('--'))).toEqual(
      ['pkill -KILL', 'mip6d'].slice(0, calls),
    );
  });

  it.each([
    { session: 's1', calls: 0 },
    { session: 's2', calls: 2 },
  ])('checks its binding at a refresh with a link-local PAA if the session is another one: $session', async (given) => {
    await hook('mn-linux.sh', 'up', 'fe80::11%eth0', 's1');
    await taken('calls');
    await program('ping', 'case "$*" in *"-I 2001:db8:a::11"*) ;; *) exit 1 ;; esac');
    await hook('mn-linux.sh', 'refresh', 'fe80::11%eth0', given.session);
    expect((await taken('calls')).filter((call) => !call.startsWith('--'))).toEqual(
      ['pkill -KILL', 'mip6d'].slice(0, given.calls),
    );
  });

  it('makes new SAs when the home agent twice did not have the binding', async () => {
    await hook('mn-linux.sh', 'up', '2001:db8:a::11');
    await taken('calls');
    await settle('UNBOUND=2\n');
    await hook('mn-linux.sh', 'probe');
    expect((await taken('calls')).slice(0, 3)).toEqual(['--list-sas', '--terminate', '--initiate']);
  });

  it.each([
    { took: 40, waits: 1 },
    { took: 1500, waits: 4 },
    { took: 60_000, waits: 5 },
  ])(
    'gives a home agent time to restore the binding before it starts mip6d again, if IKE took $took ms',
    async (given) => {
      const names = ['umip_pings', 'umip_is_bound', 'umip_care_of', 'umip_is_bound_again', 'mobility_mn_check'];
      const script = `set -eu
EVENT=probe IKE=strongswan WAS_LOST=yes HOA=2001:db8:1::1001 HA=2001:db8:1::1 PREFIX=2001:db8:1:: BEGAN=1000
say() { echo "$*"; }
now_ms() { NOW_MS=$((1000 + ${given.took})); }
ping() { echo "$6 $8 to $9" >&3; case "$8 $9" in $answered) return 0 ;; esac; return 1; }
care_of_address() { CARE_OF=2001:db8:a::11; }
is_running() { :; }
umip_run() { :; }
umip_stop() { echo stopped; }
exec 3>&1
${await functionsOf('umip.sh', ...names)}
for answered in '2001:db8:1::1001 2001:db8:1::' '2001:db8:a::11 2001:db8:1::' '2001:db8:1::1001 2001:db8:1::1'; do
mobility_mn_check; done`;
      const ended = await runCommand(['sh', '-c', script], '', { PATH: process.env['PATH'] ?? '' });
      const anycast = `${given.waits} 2001:db8:1::1001 to 2001:db8:1::`;
      const byCareOf = '1 2001:db8:a::11 to 2001:db8:1::';
      // Its own address is asked only where the anycast address does not answer at all, since that can bring a Binding Error.
      const lines = [anycast, anycast, byCareOf, 'stopped', anycast, byCareOf, '1 2001:db8:1::1001 to 2001:db8:1::1'];
      expect(ended).toEqual({ status: 0, output: `${lines.join('\n')}\n` });
    },
  );

  it('asks a home agent that refuses IKE after a quarter of the time that this has lasted', async () => {
    const functions = await functionsOf('watch.sh', 'limit_pause', 'repair');
    const script = `UPTIME=100 IS_AWAY=no next=1 HOOK=false WATCH_LOG=/dev/null
uptime_seconds() { :; }
home_agent_is_there() { :; }
logger() { :; }
wc() { echo 100; }
${functions}
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do repair; echo $((not_before - UPTIME)); UPTIME=$not_before; done`;
    const { output } = await runCommand(['sh', '-c', script], '', { PATH: process.env['PATH'] ?? '' });
    expect(output.trim().split('\n').map(Number)).toEqual([1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 8, 8]);
  });

  it.each([
    { given: 'IKE=racoon', again: 10 },
    { given: 'IKE=strongswan', again: 3 },
    // There are never SAs.
    { given: 'IKE=strongswan CHILD_SA=no', again: 10 },
  ])('looks for its SAs $again s after the hook has succeeded, with $given', async ({ given, again }) => {
    const script = `UPTIME=100 HOOK=true ${given}
uptime_seconds() { :; }
${await functionsOf('watch.sh', 'repair')}
repair; echo $((sas_due - UPTIME))`;
    const { output } = await runCommand(['sh', '-c', script], '', { PATH: process.env['PATH'] ?? '' });
    expect(output).toBe(`${again}\n`);
  });

  it.each([
    { dad: 'yes', transmits: '1' },
    { dad: 'no', transmits: '0' },
  ])('does not delay Duplicate Address Detection while mip6d runs, CARE_OF_DAD=$dad', async ({ dad, transmits }) => {
    const link = join(state, 'sysctl/net/ipv6/conf/eth0');
    await mkdir(link, { recursive: true });
    const delay = join(link, 'router_solicitation_delay');
    const transmit = join(link, 'dad_transmits');
    // Without the end of the line, as dash sees the kernel's files.
    for (const file of [delay, transmit]) await writeFile(file, '1');
    await settle(`CARE_OF_DAD=${dad}\n`);
    await running('charon');
    await hook('mn-linux.sh', 'up');
    const values = async () =>
      [await readFile(delay, 'utf8'), await readFile(transmit, 'utf8')].map((text) => text.trim());
    expect(await values()).toEqual(['0', transmits]);
    await hook('mn-linux.sh', 'down');
    expect(await values()).toEqual(['1', '1']);
  });

  it('gives the interface its settings back after mip6d was killed, which does not', async () => {
    const link = join(state, 'sysctl/net/ipv6/conf/eth0');
    await mkdir(link, { recursive: true });
    const names = ['accept_ra', 'accept_ra_defrtr', 'autoconf', 'router_solicitations', 'router_solicitation_interval'];
    for (const name of names) await writeFile(join(link, name), '7\n');
    await program(
      'mip6d',
      `echo mip6d >>"$bin/running"; for name in ${names.join(' ')}; do echo 0 >"${link}/$name"; done`,
    );
    await running('charon');
    await hook('mn-linux.sh', 'up');
    await running('charon');
    await hook('mn-linux.sh', 'probe');
    await hook('mn-linux.sh', 'down');
    for (const name of names) expect(await readFile(join(link, name), 'utf8'), name).toBe('7\n');
  });
});
