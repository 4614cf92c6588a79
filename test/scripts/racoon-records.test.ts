import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { made, runHook } from './hook-rig.js';

/**
 * Records of a run with racoon 0.9.1 and UMIP (branch experimental) on Linux 6.1, one node, enforcement point in force: what both
 * ends had in files, kernel and daemons, without keys, times, policies of sockets and link-local routes; and what they had after the
 * end of the session.
 */
const RECORDS = join(import.meta.dirname, 'records');
const HA = '2001:db8:1::1';
const HOA = '2001:db8:1:0:3fe6:b97e:63bc:3dd5';
const NODE = { id: 'mn1@home.example', hoa: HOA, key: `0x${'11'.repeat(64)}` };
const THIRD_KEY = `0x${'33'.repeat(64)}`;
const OTHER_KEY = `0x${'22'.repeat(64)}`;
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-racoon-records-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  // The hooks wait for programs that are stand-ins here.
  await program('sleep', 'exit 0');
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** The sections of a record by name. */
async function record(end: string, step = 'attached'): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(RECORDS, `racoon-${step}-${end}.txt`), 'utf8');
  const sections = new Map<string, string>();
  for (const section of text.split(/^===== /m).slice(1)) {
    const line = section.indexOf('\n');
    sections.set(section.slice(0, line), `${section.slice(line + 1).trimEnd()}\n`);
  }
  return sections;
}

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** Programs that answer as the real ones did: every daemon runs, and each call that changes something is noted. */
async function answerAs(end: string): Promise<void> {
  const sections = await record(end);
  const shown = (name: string) => sections.get(name) ?? '';
  const addresses = shown('ip -6 tunnel, rule, route, addr, neigh proxy').split('\n');
  const routes = addresses.filter((line) => line.startsWith(`${HOA} dev`));
  const tunnels = addresses.filter((line) => line.startsWith('ip6tnl'));
  await writeFile(join(bin, 'seen'), `${[...routes, ...tunnels].join('\n')}\n${shown('ip xfrm state')}`);
  for (const name of ['isakmp', 'established']) await writeFile(join(bin, name), shown('racoonctl -ll show-sa isakmp'));
  await program('pgrep', '[ "$1" = -x ]');
  await program('pkill', 'exit 0');
  await program(
    'ip',
    `case "$*" in
'-6 -force -batch -') cat "${bin}/seen" ;;
*-batch*) cat >>"${bin}/calls" ;;
esac`,
  );
  await program('ping', 'exit 0');
  await program(
    'racoonctl',
    `case "$*" in
'-ll show-sa isakmp') cat "${bin}/isakmp"; exit ;;
establish-sa*) cp "${bin}/established" "${bin}/isakmp" ;;
esac
echo "racoonctl $*" >>"${bin}/calls"`,
  );
}

const calls = async () => (await readFile(join(bin, 'calls'), 'utf8')).trim().split('\n');

/** The deletions of the ESP SAs that `setkey -D` showed. */
async function deletions(end: string): Promise<string[]> {
  const shown = (await record(end)).get('setkey -D') ?? '';
  const sas = shown.matchAll(/^(\S+) (\S+)\n\tesp .*\((0x[0-9a-f]+)\) reqid/gm);
  return [...sas].map(([, from, to, spi]) => `xfrm state delete src ${from} dst ${to} proto esp spi ${spi}`).sort();
}

const CARE_OF = async () => / local (\S+) dev eth0 /.exec([...(await record('mn')).values()].join('\n'))?.[1];

describe.each([
  { end: 'ha', script: 'ha-linux.sh', link: 'h0' },
  { end: 'mn', script: 'mn-linux.sh', link: 'eth0' },
])('The record of $end', ({ end, script, link }) => {
  it('has the files that the hook writes', async () => {
    await writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\nIKE=racoon\nMOBILITY=umip\nINTERFACE=${link}\n`);
    expect(await runHook(state, { script, event: 'up', node: NODE, ike: 'ikev1' })).toMatchObject({ status: 0 });
    // radvd is not tied to racoon.
    await rm(join(state, 'radvd.conf'), { force: true });
    const files = [...(await made(state))].map(([path, text]): [string, string] => [
      `file ${path.replace(/ \d+$/, '')}`,
      `${text.replaceAll(NODE.key, '$KEY').trimEnd()}\n`,
    ]);
    // The test's home agent has another name.
    const recorded = [...(await record(end))]
      .filter(([name]) => name.startsWith('file ') && name !== 'file radvd.conf')
      .map(([name, text]): [string, string] => [name, text.replaceAll('ha1.home', 'ha.home')]);
    expect(new Map(recorded)).toEqual(new Map(files));
  });

  it('has the files that are left after the end of the session', async () => {
    await writeFile(join(state, 'hooks.conf'), `DRY_RUN=yes\nIKE=racoon\nMOBILITY=umip\nINTERFACE=${link}\n`);
    for (const event of ['up', 'down']) {
      expect(await runHook(state, { script, event, node: NODE, ike: 'ikev1' })).toMatchObject({ status: 0 });
    }
    const left = await made(state);
    const names = [...left.keys()].map((path) => path.replace(/ \d+$/, ''));
    expect(names.map((name) => `${name}\n`).join('')).toBe((await record(end, 'ended')).get('files')?.trimStart());
    expect([...left.values()].join('')).not.toMatch(new RegExp(`${HOA}|${NODE.id}|${NODE.key}`));
    expect(await readdir(join(state, 'nodes'))).toEqual([]);
  });
});

describe('With what the programs showed', () => {
  const settings = (link: string) =>
    writeFile(join(state, 'hooks.conf'), `IKE=racoon\nWATCH=no\nRADVD=no\nMIP6D_RELOAD=hup\nINTERFACE=${link}\n`);

  it('a node with a new key replaces the ISAKMP SA of its care-of address', async () => {
    await answerAs('mn');
    await settings('eth0');
    const run = { script: 'mn-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin };
    expect(await runHook(state, { ...run, event: 'refresh', key: OTHER_KEY })).toMatchObject({ status: 0 });
    expect((await calls()).filter((call) => !call.endsWith('reload-config'))).toEqual([
      'racoonctl flush-sa isakmp',
      `racoonctl establish-sa isakmp inet6 ${await CARE_OF()} ${HA}`,
    ]);
  });

  it('a home agent ends all SAs of a node', async () => {
    await answerAs('ha');
    await settings('h0');
    const run = { script: 'ha-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin };
    expect(await runHook(state, { ...run, event: 'down' })).toMatchObject({ status: 0 });
    const made = await calls();
    expect(made.filter((call) => call.startsWith('xfrm')).sort()).toEqual(await deletions('ha'));
    // Without the settings of the node, no new SAs are made meanwhile.
    expect(made.slice(0, 2)).toEqual([
      'racoonctl reload-config',
      `racoonctl delete-sa isakmp inet6 ${HA} ${await CARE_OF()}`,
    ]);
  });

  it('a home agent ends the SAs of a racoon that has ended, which its new one does not know', async () => {
    await answerAs('ha');
    await settings('h0');
    const run = { script: 'ha-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin };
    expect(await runHook(state, { ...run, event: 'up' })).toMatchObject({ status: 0 });
    await writeFile(join(bin, 'calls'), '');
    await program('pgrep', `[ "$1" = -x ] && { [ "$2" != racoon ] || [ -e "${bin}/runs" ]; }`);
    await program('racoon', `echo racoon >>"${bin}/calls"; : >"${bin}/runs"`);
    expect(await runHook(state, { ...run, event: 'probe' })).toMatchObject({ status: 0 });
    const made = await calls();
    expect(made.slice(0, made.indexOf('racoon')).sort()).toEqual(await deletions('ha'));
  });

  const probe = { script: 'mn-linux.sh', node: NODE, ike: 'ikev1' as const };

  /** A node with the files of its binding. The home agent answers only these addresses; its racoon has ended the ISAKMP SA. */
  async function lost(...answered: readonly string[]): Promise<void> {
    await answerAs('mn');
    await settings('eth0');
    expect(await runHook(state, { ...probe, event: 'up', programs: bin })).toMatchObject({ status: 0 });
    await rm(join(bin, 'calls'), { force: true });
    await writeFile(join(state, '.sas-lost'), '');
    await writeFile(join(bin, 'isakmp'), '');
    await program(
      'ping',
      `case " $* " in ${answered.map((address) => `*" -I ${address} "*`).join(' | ')}) ;; *) exit 1 ;; esac`,
    );
    await program(
      'pkill',
      `[ "$*" = '-KILL -x mip6d' ] || exit 1; echo "pkill $*" >>"${bin}/calls"; : >"${bin}/killed"`,
    );
    await program('pgrep', `[ "$1" = -x ] && { [ "$2" != mip6d ] || [ ! -e "${bin}/killed" ]; }`);
    await program('mip6d', `echo mip6d >>"${bin}/calls"; rm -f "${bin}/killed"`);
  }

  it('a node whose home agent has a new racoon ends the ESP SAs that it may not have, and makes a new ISAKMP SA', async () => {
    await lost(HOA);
    expect(await runHook(state, { ...probe, event: 'probe', programs: bin })).toMatchObject({ status: 0, output: '' });
    const made = await calls();
    expect(made.slice(0, -1).sort()).toEqual(await deletions('mn'));
    expect(made.at(-1)).toBe(`racoonctl establish-sa isakmp inet6 ${await CARE_OF()} ${HA}`);
  });

  it('a node that has a new ISAKMP SA already keeps its ESP SAs, which mip6d has asked for', async () => {
    await lost(HOA);
    await writeFile(join(bin, 'isakmp'), await readFile(join(bin, 'established')));
    await writeFile(join(bin, 'calls'), '');
    expect(await runHook(state, { ...probe, event: 'probe', programs: bin })).toMatchObject({ status: 0, output: '' });
    expect(await calls()).toEqual(['']);
    expect(await readdir(state)).not.toContain('.sas-lost');
  });

  it('a node whose home agent has lost everything makes new SAs, while a killed mip6d is started again', async () => {
    await lost((await CARE_OF()) ?? '');
    expect(await runHook(state, { ...probe, event: 'probe', programs: bin })).toMatchObject({ status: 0 });
    const made = (await calls()).filter((call) => !call.startsWith('xfrm policy'));
    expect(made.filter((call) => call.startsWith('xfrm state')).sort()).toEqual(await deletions('mn'));
    // Ended regularly, mip6d would ask for SAs to delete its binding.
    expect(made.filter((call) => !call.startsWith('xfrm'))).toEqual([
      'racoonctl flush-sa isakmp',
      `racoonctl establish-sa isakmp inet6 ${await CARE_OF()} ${HA}`,
      'pkill -KILL -x mip6d',
      'mip6d',
    ]);
  });

  it.each([
    { answers: 'the care-of address only', isBound: false, again: ['pkill -KILL -x mip6d', 'mip6d'] },
    { answers: 'the home address too', isBound: true, again: [] },
  ])(
    'a node with a new session starts mip6d again when the home agent can be reached and answers $answers',
    async ({ isBound, again }) => {
      const careOf = (await CARE_OF()) ?? '';
      await lost(careOf);
      await program(
        'ping',
        `case " $* " in *" -I ${careOf} "*) ;; *) echo "ping $*" >>"${bin}/calls"; exit ${isBound ? 0 : 1} ;; esac`,
      );
      const restarts = async () => (await calls()).filter((call) => /^(pkill .*)?mip6d$/.test(call));
      const refresh = { ...probe, event: 'refresh', programs: bin };
      expect(await runHook(state, { ...refresh, key: OTHER_KEY })).toMatchObject({ status: 0 });
      expect(await restarts()).toEqual([]);
      expect(await runHook(state, { ...refresh, key: THIRD_KEY, session: 'paa.access.example;1;2' })).toMatchObject({
        status: 0,
      });
      expect(await restarts()).toEqual(again);
      // The home agent would answer a packet from the home address to its own address with a Binding Error.
      const pings = (await calls()).filter((call) => call.startsWith('ping'));
      expect(pings).toEqual([`ping -6 -n -c 1 -w 1 -I ${HOA} 2001:db8:1::`]);
    },
  );

  it('a node begins the ISAKMP SA of its first registration before mip6d needs it', async () => {
    await answerAs('mn');
    await settings('eth0');
    await program('pgrep', `[ "$1" = -x ] && [ -e "${bin}/$2.runs" ]`);
    for (const name of ['racoon', 'mip6d'])
      await program(name, `echo ${name} >>"${bin}/calls"; : >"${bin}/${name}.runs"`);
    const careOf = await CARE_OF();
    await program(
      'ip',
      `case "$*" in '-6 addr show dev eth0 scope global '*) printf '    inet6 %s/64 scope global\\n' ${HOA} ${careOf} ;; esac`,
    );
    const up = { script: 'mn-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin };
    expect(await runHook(state, { ...up, event: 'up' })).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'racoon',
      'racoonctl show-sa isakmp',
      `racoonctl establish-sa isakmp inet6 ${careOf} ${HA}`,
      'mip6d',
    ]);
  });

  it('a node waits for a racoon that an earlier run has started, and starts mip6d after it', async () => {
    await answerAs('mn');
    await settings('eth0');
    const up = { script: 'mn-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin, event: 'up' };
    expect(await runHook(state, up)).toMatchObject({ status: 0 });
    // The next run was ended at its time limit, while racoon loaded its ciphers.
    await writeFile(join(state, '.racoon-starting'), 'yes\n');
    await writeFile(join(bin, 'calls'), '');
    const careOf = await CARE_OF();
    await program(
      'racoonctl',
      `echo "racoonctl $*" >>"${bin}/calls"; case "$*" in 'show-sa isakmp') [ "$(grep -c show-sa "${bin}/calls")" -gt 2 ] ;; esac`,
    );
    await program('pgrep', `[ "$1" = -x ] && { [ "$2" != mip6d ] || [ ! -e "${bin}/ended" ]; }`);
    await program('pkill', `echo "pkill $*" >>"${bin}/calls"; : >"${bin}/ended"`);
    await program('mip6d', `echo mip6d >>"${bin}/calls"; rm "${bin}/ended"`);
    await program('racoon', `echo racoon >>"${bin}/calls"`);
    await program(
      'ip',
      `case "$*" in '-6 addr show dev eth0 scope global '*) echo '    inet6 ${careOf}/64 scope global' ;; esac`,
    );
    expect(await runHook(state, up)).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      ...Array(3).fill('racoonctl show-sa isakmp'),
      `racoonctl establish-sa isakmp inet6 ${careOf} ${HA}`,
      'pkill -x mip6d',
      'mip6d',
    ]);
    expect(await readFile(join(state, '.racoon-starting'), 'utf8')).toBe('');
  });

  it('a hook says why racoon has ended', async () => {
    await settings('eth0');
    await program('pgrep', 'exit 1');
    await program(
      'racoon',
      `[ "$1" != -t ] || { echo '2026-11-26 00:00:00: INFO: Reading configuration'; echo "2026-11-26 00:00:00: ERROR: $4:12: syntax error"; exit 1; }`,
    );
    await program('racoonctl', 'exit 1');
    const up = { script: 'mn-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin, event: 'up' };
    expect(await runHook(state, up)).toEqual({
      status: 1,
      output: `error: racoon has exited after its start: ${state}/racoon.conf:12: syntax error\n`,
    });
  });

  it('a home agent that has a new key in place says so before it starts a mip6d that has ended', async () => {
    await answerAs('ha');
    await settings('h0');
    await program('pgrep', `[ "$1" = -x ] && { [ "$2" != mip6d ] || [ -e "${bin}/runs" ]; }`);
    await program('mip6d', `echo mip6d; : >"${bin}/runs"`);
    const run = { script: 'ha-linux.sh', node: NODE, ike: 'ikev1' as const, programs: bin };
    const said = async (event: string) => {
      await rm(join(bin, 'runs'), { force: true });
      const { output } = await runHook(state, { ...run, event });
      return output.split('\n').filter((line) => /^(ready|mip6d)$/.test(line));
    };
    // racoon looks up mip6d's policies.
    expect(await said('up')).toEqual(['mip6d', 'ready']);
    expect(await said('refresh')).toEqual(['ready', 'mip6d']);
  });
});
