// Long, because it contains the substitutes for pfctl and nft beside the tests of both hooks.

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { announce } from '../system/access-network.js';
import { type Ended, hasProgram, pathWith, runCommand, SHELLS } from './hook-rig.js';

const A = '2001:db8:a::11';
const B = '2001:db8:a::22';
const C4 = '192.0.2.11';

let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-ep-'));
  bin = join(state, 'bin');
  await mkdir(bin);
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** Writes a substitute for a program of the system. */
async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\nbin=${bin}\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

const settle = (settings: string) => writeFile(join(state, 'hooks.conf'), settings);
const text = (name: string) => readFile(join(bin, name), 'utf8').catch(() => '');
const lines = async (name: string) => (await text(name)).split('\n').filter((line) => line !== '');

interface Told {
  readonly session?: string;
  readonly coa?: string;
  readonly old?: string;
  readonly lifetime?: number;
}

function variables({ session = '0000000a', coa, old, lifetime }: Told): Record<string, string> {
  return {
    MIP6_MN_ID: 'mn@home.example',
    MIP6_SESSION: session,
    ...(coa === undefined ? {} : { MIP6_COA: coa }),
    ...(old === undefined ? {} : { MIP6_COA_OLD: old }),
    ...(lifetime === undefined ? {} : { MIP6_LIFETIME: String(lifetime) }),
  };
}

const line = (event: string, told: Told) =>
  `${[event, ...Object.entries(variables(told)).map(([name, value]) => `${name}=${value}`)].join(' ')}\n`;

class EpHook {
  readonly #script: string;
  readonly #shell: readonly string[];

  constructor(script: string, shell: readonly string[] = []) {
    this.#script = script;
    this.#shell = shell;
  }

  run(event: string, told: Told | string = ''): Promise<Ended> {
    const input = typeof told === 'string' ? told : '';
    return runCommand([...this.#shell, hookPath(this.#script), event], input, {
      PATH: pathWith(bin),
      HOME: '/',
      LANG: 'C',
      MIP6_EVENT: event,
      MIP6_ROLE: 'ep',
      MIP6_STATE_DIR: state,
      MIP6_INTERFACE: 'em1',
      ...(typeof told === 'string' ? {} : variables(told)),
    });
  }

  async works(event: string, told?: Told | string): Promise<string> {
    const { status, output } = await this.run(event, told);
    expect({ status, output }).toMatchObject({ status: 0 });
    return output;
  }
}

function announced(command: readonly string[]): boolean {
  const [shell = ''] = command;
  return announce(
    `enforcement points under ${command.join(' ')}`,
    hasProgram(shell) ? undefined : `they need ${shell}`,
  );
}

const HOSTILE = ['$(touch pwned)', '2001:db8::1;id', '`id`', '2001:db8::1 ::2', '-F', 'fe80::1%em1;id', '::1}', 'ANY'];

// ---------------------------------------------------------------------------------------------------------------- pf

/** Keeps the anchor's rules and the table of clients in files, and records its command lines. */
const PFCTL = `
echo "$*" >>"$bin/calls"
[ "$1" = -q ] && shift
if [ "$1" = -a ]; then [ "$2" = pana ] || exit 1; anchor=yes; shift 2; fi
case "\${anchor:-no} $*" in
'no -s info') cat "$bin/info" ;;
'no -s rules') cat "$bin/main" ;;
'yes -s rules') cat "$bin/rules" 2>/dev/null ;;
'yes -F rules') rm -f "$bin/rules" ;;
'yes -f -')
	cat >"$bin/new"
	grep -v '^block drop \\(in\\|out\\) quick on \\|^pass \\(in\\|out\\) quick on \\|^table <pana_[a-z]*> \\|^[0-9a-f.:]*$\\|^}$' "$bin/new" && exit 1
	sed -n '/^table <pana_clients> persist {$/,/^}$/p' "$bin/new" | grep '^[0-9a-f]' >"$bin/clients"
	grep '^block\\|^pass\\|^table <pana_router>' "$bin/new" >"$bin/rules" ;;
'yes -t pana_clients -T show')
	[ -f "$bin/clients" ] || { echo 'pfctl: Table does not exist.' >&2; exit 255; }
	sed 's/^/   /' "$bin/clients" ;;
'yes -t pana_clients -T '*)
	[ -f "$bin/clients" ] || exit 255
	how=$4
	shift 4
	for each; do
		grep -vFx -e "$each" "$bin/clients" >"$bin/others"
		cp "$bin/others" "$bin/clients"
		[ "$how" = delete ] || echo "$each" >>"$bin/clients"
	done ;;
'no -k '* | 'no -i '*' -F states') ;;
*) echo "pfctl: $*?" >&2; exit 1 ;;
esac
exit 0
`;

describe.each(SHELLS)('ep-pf.sh under $shell', ({ command }) => {
  const runs = announced(command);
  const pf = new EpHook('ep-pf.sh', command);
  const clients = async () => (await lines('clients')).sort();

  /** The command lines of pfctl since the last call, except queries. */
  async function told(): Promise<string[]> {
    const calls = await lines('calls');
    await rm(join(bin, 'calls'), { force: true });
    return calls.filter((call) => !/ -s | -T show$/.test(call)).map((call) => call.replace('-q ', ''));
  }

  beforeEach(async () => {
    await program('pfctl', PFCTL);
    await writeFile(join(bin, 'info'), 'Status: Enabled for 0 days 00:12:34           Debug: Urgent\n');
    await writeFile(
      join(bin, 'main'),
      'scrub in all fragment reassemble\nanchor "pana" all\npass all flags S/SA keep state\n',
    );
  });

  it.runIf(runs)('start loads rules for each interface and, the first time, removes earlier states', async () => {
    await settle('ACCESS_INTERFACE="em1 vlan7"\n');
    await pf.works('start');
    expect(await lines('rules')).toEqual([
      'table <pana_router> const { self, fe80::/10, ff02::/16, 224.0.0.0/24, 255.255.255.255 }',
      ...['em1', 'vlan7'].flatMap((name) => [
        `block drop in quick on ${name} from ! <pana_clients> to ! <pana_router>`,
        `block drop out quick on ${name} from ! <pana_router> to ! <pana_clients>`,
      ]),
    ]);
    expect(await clients()).toEqual([]);
    expect(await told()).toEqual(['-a pana -f -', '-i em1 -F states', '-i vlan7 -F states']);
    await pf.works('start');
    expect(await told()).toEqual(['-a pana -f -']);
  });

  it.runIf(runs)('check fails until start, if the anchor was emptied, and after stop', async () => {
    const set = { status: 1, output: 'error: the enforcement point was not set up by the PAA\n' };
    expect(await pf.run('check')).toEqual(set);
    await pf.works('start', line('permit', { coa: A }));
    expect(await pf.works('check')).toBe('');
    await rm(join(bin, 'rules'));
    expect(await pf.run('check')).toEqual({
      status: 1,
      output: 'error: the anchor "pana" was emptied, and every client passes\n',
    });
    await pf.works('start');
    await pf.works('stop');
    expect(await pf.run('check')).toEqual(set);
  });

  it.runIf(runs)('close removes all clients, even with AT_STOP=open; PAA= lets PANA packets pass', async () => {
    await settle(`AT_STOP=open\nPAA="${B} ${C4}"\n`);
    await pf.works('start', line('permit', { coa: A }));
    expect((await lines('rules')).filter((rule) => rule.startsWith('pass'))).toEqual(
      [B, C4].flatMap((paa) => [
        `pass in quick on em1 proto udp from any to ${paa} port 716 no state`,
        `pass out quick on em1 proto udp from ${paa} port 716 to any no state`,
      ]),
    );
    await pf.works('close');
    expect(await clients()).toEqual([]);
    expect(await lines('rules')).toHaveLength(7);
    await settle('PAA="::1;id"\n');
    expect(await pf.run('start')).toMatchObject({ status: 1 });
  });

  it.runIf(runs)("permit, move and revoke add and delete the client's address, with its states", async () => {
    await pf.works('start');
    await told();
    await pf.works('permit', { coa: A, lifetime: 3600 });
    await pf.works('permit', { session: '0000000b', coa: C4 });
    expect(await clients()).toEqual([C4, A]);
    expect(await told()).toEqual([`-a pana -t pana_clients -T add ${A}`, `-a pana -t pana_clients -T add ${C4}`]);
    await pf.works('move', { coa: B, old: A });
    expect(await clients()).toEqual([C4, B]);
    expect(await told()).toEqual([
      `-a pana -t pana_clients -T delete ${A}`,
      `-k ${A}`,
      `-k ::/0 -k ${A}`,
      `-a pana -t pana_clients -T add ${B}`,
    ]);
    // Another session has the address now.
    await pf.works('revoke', { session: '0000000c' });
    expect(await told()).toEqual([]);
    await pf.works('revoke', { session: '0000000b', coa: C4 });
    expect(await clients()).toEqual([B]);
    expect(await told()).toEqual([`-a pana -t pana_clients -T delete ${C4}`, `-k ${C4}`, `-k 0.0.0.0/0 -k ${C4}`]);
  });

  it.runIf(runs)('batch applies the last event of each address', async () => {
    await pf.works('start', line('permit', { coa: B }));
    await told();
    await pf.works(
      'batch',
      line('permit', { coa: A }) +
        line('revoke', { coa: A }) +
        line('permit', { session: '0000000b', coa: A }) +
        line('revoke', { session: '0000000c', coa: B }) +
        line('permit', { session: '0000000d', coa: C4 }) +
        line('move', { session: '0000000d', coa: '192.0.2.12', old: C4 }),
    );
    expect(await clients()).toEqual(['192.0.2.12', A]);
    // The states of a client that stays are kept.
    expect(await told()).not.toContain(`-k ${A}`);
    await pf.works('batch', line('permit', { coa: A }) + line('revoke', { coa: A }));
    expect(await clients()).toEqual(['192.0.2.12']);
    expect((await told()).slice(1)).toEqual([`-k ${A}`, `-k ::/0 -k ${A}`]);
  });

  it.runIf(runs)(
    'start removes clients that are no longer permitted; stop removes all, or the rules with AT_STOP=open',
    async () => {
      await pf.works('start', line('permit', { coa: A }) + line('permit', { session: '0000000b', coa: C4 }));
      expect(await clients()).toEqual([C4, A]);
      await told();
      await pf.works('start', line('permit', { coa: A }) + line('permit', { session: '0000000c', coa: B }));
      expect(await clients()).toEqual([A, B]);
      expect(await told()).toEqual(['-a pana -f -', `-k ${C4}`, `-k 0.0.0.0/0 -k ${C4}`]);
      await pf.works('stop');
      expect(await clients()).toEqual([]);
      expect(await lines('rules')).toHaveLength(3);
      expect(await told()).toContain(`-k ${B}`);
      await settle('AT_STOP=open\n');
      await pf.works('stop');
      expect(await lines('rules')).toEqual([]);
    },
  );

  it.runIf(runs)('permit warns that packets from a link-local address are not forwarded', async () => {
    await pf.works('start');
    expect(await pf.works('permit', { coa: 'fe80::5%em1' })).toBe(
      'client fe80::5%em1: packets from a link-local address are not forwarded\n',
    );
    expect(await clients()).toEqual(['fe80::5']);
    await pf.works('revoke', { coa: 'fe80::5%em1' });
    expect(await clients()).toEqual([]);
  });

  it.runIf(runs)('start fails if pf is disabled or its rules lack the anchor', async () => {
    await writeFile(join(bin, 'main'), 'pass all flags S/SA keep state\n');
    expect(await pf.run('start')).toEqual({
      status: 1,
      output: 'error: the rules of pf lack the line: anchor "pana"\n',
    });
    await writeFile(join(bin, 'info'), 'Status: Disabled                              Debug: Urgent\n');
    expect(await pf.run('start')).toEqual({ status: 1, output: 'error: pf is not enabled: run "pfctl -e"\n' });
    expect(await told()).toEqual([]);
  });

  it.runIf(runs)('rejects invalid addresses, sessions, events and interfaces without a change', async () => {
    await pf.works('start', line('permit', { coa: A }));
    await told();
    for (const coa of HOSTILE) {
      expect(await pf.run('permit', { coa })).toMatchObject({ status: 1, output: expect.stringContaining('MIP6_COA') });
      expect(await pf.run('move', { coa: B, old: coa })).toMatchObject({ status: 1 });
      if (coa.includes(' ')) continue;
      expect(await pf.run('batch', line('permit', { coa: B }) + line('revoke', { coa }))).toMatchObject({ status: 1 });
    }
    expect(await pf.run('permit', { coa: B, session: 'a b' })).toMatchObject({ status: 1 });
    expect(await pf.run('permit', {})).toMatchObject({ status: 1 });
    expect(await pf.run('batch', 'open MIP6_SESSION=0000000a\n')).toMatchObject({ status: 1 });
    expect(await pf.run('up', { coa: B })).toMatchObject({ status: 1 });
    await settle('ACCESS_INTERFACE="em1 -x"\n');
    expect(await pf.run('permit', { coa: B })).toMatchObject({ status: 1 });
    expect(await told()).toEqual([]);
    expect(await clients()).toEqual([A]);
  });

  it.runIf(runs)('shows the commands with DRY_RUN=yes and runs none', async () => {
    await settle('DRY_RUN=yes\n');
    expect(await pf.works('start', line('permit', { coa: A }))).toContain(
      `persist {\n${A}\n}\nblock drop in quick on em1`,
    );
    expect(await pf.works('permit', { coa: A })).toBe(`dry run: pfctl -q -a pana -t pana_clients -T add ${A}\n`);
    expect(await pf.works('revoke', { coa: A })).toBe(
      `dry run: pfctl -q -a pana -t pana_clients -T delete ${A}\ndry run: pfctl -q -k ${A}\ndry run: pfctl -q -k ::/0 -k ${A}\n`,
    );
    expect(await lines('calls')).toEqual([]);
  });
});

// --------------------------------------------------------------------------------------------------------------- nft

/** Keeps the elements of the sets in a file and applies a run as a whole or not at all. */
const NFT = `
[ "$*" = '-t list table inet pana_ep' ] && { [ -f "$bin/elements" ]; exit; }
[ "$*" = '-f -' ] || exit 1
cat >"$bin/given"
[ ! -f "$bin/kill" ] || kill -KILL 0
touch "$bin/before"
grep -q '^delete table' "$bin/given" || cp "$bin/elements" "$bin/before" || exit 1
{ sed 's/^/had /' "$bin/before"; cat "$bin/given"; } | awk '
	sub(/^had /, "") { has[$0]; next }
	/^(add|delete) element inet pana_ep / {
		sub(/ timeout [0-9]+s/, "")
		gsub(/ [{}]/, "")
		verb = $1
		sub(/^[a-z]+ element inet pana_ep /, "")
		if (verb == "add") has[$0]
		else if ($0 in has) delete has[$0]
		else exit bad = 1
	}
	END { if (bad) exit 1; for (each in has) print each }
' >"$bin/after" || exit 1
mv "$bin/after" "$bin/elements"
rm -f "$bin/before"
`;

/** Prints the kernel's neighbours from a file of "ADDRESS DEVICE MAC" lines. */
const IP = `
[ "$*" != 'link show dev em1' ] || exit 0
[ "$1 $2" = 'neigh show' ] || exit 1
while read -r address device mac; do
	[ -z "\${4:-}" ] || [ "$4" = "$address" ] || continue
	if [ -n "$mac" ]; then echo "$address dev $device lladdr $mac REACHABLE"; else echo "$address dev $device FAILED"; fi
done <"$bin/neighbours"
`;

const LOCAL = 'fe80::5';
const MAC_A = '02:00:00:00:00:11';
const MAC_B = '02:00:00:00:00:22';

describe.each(SHELLS)('ep-nft.sh under $shell', ({ command }) => {
  const runs = announced(command);
  const nft = new EpHook('ep-nft.sh', command);
  const elements = async () => (await lines('elements')).sort();
  const neighbours = (...known: readonly string[]) =>
    writeFile(join(bin, 'neighbours'), known.map((one) => `${one}\n`).join(''));
  const ofA = [`clients6 ${A} . ${MAC_A}`, `down6 ${A}`];

  beforeEach(async () => {
    await program('nft', NFT);
    await program('ip', IP);
    await neighbours(`${A} em1 ${MAC_A}`, `${B} em1 ${MAC_B}`, `${C4} em1 ${MAC_A}`, `${LOCAL} em1 ${MAC_A}`);
  });

  it.runIf(runs)(
    "permit, move and revoke change the client's elements, with its MAC address and lifetime",
    async () => {
      await nft.works('start');
      expect(await elements()).toEqual([]);
      await nft.works('permit', { coa: A, lifetime: 60 });
      expect(await text('given')).toContain(`clients6 { ${A} . ${MAC_A} timeout 60s }`);
      expect(await elements()).toEqual(ofA);
      await nft.works('permit', { session: '0000000b', coa: C4 });
      expect(await elements()).toEqual([`clients4 ${C4} . ${MAC_A}`, ofA[0], `down4 ${C4}`, ofA[1]]);
      await nft.works('revoke', { session: '0000000b', coa: C4 });
      await nft.works('move', { coa: B, old: A });
      expect(await elements()).toEqual([`clients6 ${B} . ${MAC_B}`, `down6 ${B}`]);
      await nft.works('revoke', { coa: B });
      await nft.works('revoke', { coa: B });
      expect(await elements()).toEqual([]);
    },
  );

  it.runIf(runs)('check fails until start, if the table was removed, after stop and after a boot', async () => {
    const set = { status: 1, output: 'error: the enforcement point was not set up by the PAA\n' };
    expect(await nft.run('check')).toEqual(set);
    await nft.works('start', line('permit', { coa: A }));
    expect(await nft.works('check')).toBe('');
    await rm(join(bin, 'elements'));
    expect(await nft.run('check')).toMatchObject({
      status: 1,
      output: expect.stringContaining('inet pana_ep was removed'),
    });
    await nft.works('start');
    await nft.works('stop');
    expect(await nft.run('check')).toEqual(set);
    await nft.works('start');
    await writeFile(join(state, 'ep-set-up'), 'another-boot\n');
    expect(await nft.run('check')).toEqual(set);
  });

  it.runIf(runs)('close removes all clients, even with AT_STOP=open; PAA= lets PANA packets pass', async () => {
    await settle(`AT_STOP=open\nPAA="${B} ${C4}"\n`);
    await nft.works('start', line('permit', { coa: A }));
    expect(await elements()).toEqual(ofA);
    await nft.works('close');
    expect(await elements()).toEqual([]);
    const given = await text('given');
    expect(given).toContain('chain forward');
    expect(given).toContain(`iifname @access ip6 daddr ${B} udp dport 716 return\n`);
    expect(given).toContain(`oifname @access ip saddr ${C4} udp sport 716 return\n`);
    await nft.works('stop');
    expect(await text('given')).not.toContain('chain forward');
  });

  it.runIf(runs)('start without nft fails, and says why', async () => {
    await program('nft', 'echo "nft: not found" >&2; exit 127');
    expect(await nft.run('start')).toEqual({ status: 1, output: 'nft: not found\n' });
    expect(await nft.run('check')).toMatchObject({ status: 1 });
  });

  it.runIf(runs)('batch applies the last event of each address', async () => {
    await nft.works('start', line('permit', { coa: B }));
    await nft.works(
      'batch',
      line('permit', { coa: A }) +
        line('revoke', { coa: A }) +
        line('permit', { session: '0000000b', coa: A }) +
        line('revoke', { session: '0000000c', coa: B }) +
        line('revoke', { session: '0000000d' }),
    );
    expect(await elements()).toEqual(ofA);
    await nft.works('batch', line('permit', { coa: A }) + line('revoke', { coa: A }));
    expect(await elements()).toEqual([]);
  });

  it.runIf(runs)('revoke removes the MAC address that permit added, even if the neighbour has changed', async () => {
    await nft.works('start');
    await nft.works('permit', { coa: A });
    await neighbours(`${A} em1 ${MAC_B}`);
    await nft.works('permit', { coa: A });
    expect(await elements()).toEqual([`clients6 ${A} . ${MAC_B}`, `down6 ${A}`]);
    await neighbours();
    await nft.works('revoke', { coa: A });
    expect(await elements()).toEqual([]);
  });

  it.runIf(runs)(
    'keeps a MAC address that the kernel has forgotten, also across start, until its session ends',
    async () => {
      await nft.works('start');
      await nft.works('permit', { coa: A });
      await neighbours(`${A} em1`);
      await nft.works('permit', { coa: A });
      expect(await elements()).toEqual(ofA);
      await nft.works('start', line('permit', { coa: A }));
      expect(await elements()).toEqual(ofA);
      await nft.works('start');
      // The start, which listed no permit for the session, has ended it.
      expect(await nft.works('start', line('permit', { coa: A }))).toContain('its address alone counts');
      expect(await elements()).toEqual([`clients6_no_mac ${A}`, `down6 ${A}`]);
      await nft.works('revoke', { coa: A });
      expect(await elements()).toEqual([]);
    },
  );

  it.runIf(runs)('move of a client with a MAC address needs a neighbour with the new address', async () => {
    await neighbours(`${A} em1 ${MAC_A}`);
    await nft.works('start');
    await nft.works('permit', { coa: A });
    const before = await elements();
    const { status, output } = await nft.run('move', { coa: B, old: A });
    expect([status, output]).toEqual([1, `client ${B}: no neighbour has its new address: it stays at ${A}\n`]);
    expect(await elements()).toEqual(before);
    await neighbours(`${A} em1 ${MAC_A}`, `${B} em1 ${MAC_A}`);
    await nft.works('move', { coa: B, old: A });
    expect(await elements()).toEqual([`clients6 ${B} . ${MAC_A}`, `down6 ${B}`]);
  });

  it.runIf(runs)('permit ignores neighbours on other interfaces', async () => {
    await neighbours(`${A} wan0 ${MAC_B}`);
    await nft.works('start');
    expect(await nft.works('permit', { coa: A })).toContain('its address alone counts');
    expect(await elements()).toEqual([`clients6_no_mac ${A}`, `down6 ${A}`]);
  });

  it.runIf(runs)('permit of a link-local address uses the MAC address on its interface', async () => {
    await settle('ACCESS_INTERFACE="em1 em2"\n');
    await neighbours(`${LOCAL} em1 ${MAC_A}`, `${LOCAL} em2 ${MAC_B}`);
    await nft.works('start');
    await nft.works('permit', { coa: `${LOCAL}%em1` });
    expect(await elements()).toEqual([`macs ${MAC_A}`]);
    await nft.works('permit', { session: '0000000b', coa: `${LOCAL}%em2` });
    await nft.works('revoke', { coa: `${LOCAL}%em1` });
    expect(await elements()).toEqual([`macs ${MAC_B}`]);
    await nft.works('revoke', { session: '0000000b', coa: `${LOCAL}%em2` });
    expect(await elements()).toEqual([]);
    await neighbours();
    expect(await nft.works('permit', { coa: `${LOCAL}%em1` })).toBe(
      `client ${LOCAL}%em1: no MAC address is known for it, and nothing is forwarded from link-local addresses\n`,
    );
  });

  it.runIf(runs)('with ADDRESSES=mac keeps a MAC address until its last session ends', async () => {
    await settle('ADDRESSES=mac\n');
    await nft.works('start');
    await nft.works('permit', { coa: A });
    await nft.works('permit', { session: '0000000b', coa: `${LOCAL}%em1`, lifetime: 60 });
    expect(await text('given')).toContain(`macs { ${MAC_A} timeout 60s }`);
    await nft.works('revoke', { coa: A });
    expect(await elements()).toEqual([`macs ${MAC_A}`]);
    await nft.works('revoke', { session: '0000000b', coa: `${LOCAL}%em1` });
    expect(await elements()).toEqual([]);
  });

  it.runIf(runs)('removes a MAC address that another session uses only together with its IP address', async () => {
    await nft.works('start');
    await nft.works('permit', { coa: A });
    await nft.works('permit', { session: '0000000b', coa: `${LOCAL}%em1` });
    expect(await elements()).toEqual([...ofA, `macs ${MAC_A}`]);
    await nft.works('batch', line('revoke', { session: '0000000b', coa: `${LOCAL}%em1` }));
    expect(await elements()).toEqual(ofA);
  });

  it.runIf(runs)(
    'with ADDRESSES=mac removes the addresses seen from a MAC address together with that MAC address, not before',
    async () => {
      await settle('ADDRESSES=mac\n');
      await nft.works('start');
      await nft.works('permit', { coa: A });
      await nft.works('permit', { coa: A });
      expect(await text('given')).not.toContain('seen');
      await nft.works('revoke', { coa: A });
      expect(await text('given')).toContain(`delete element inet pana_ep seen4 { ${C4} }`);
      expect(await text('given')).not.toContain(`seen6 { ${B} }`);
    },
  );

  it.runIf(runs)('leaves the old or the new state when it is killed, and works again afterwards', async () => {
    await nft.works('start');
    await nft.works('permit', { coa: A });
    await neighbours(`${A} em1 ${MAC_B}`);
    await writeFile(join(bin, 'kill'), '');
    expect((await nft.run('permit', { coa: A })).status).not.toBe(0);
    expect(await elements()).toEqual(ofA);
    expect((await nft.run('start', line('permit', { coa: A }))).status).not.toBe(0);
    expect(await elements()).toEqual(ofA);
    await rm(join(bin, 'kill'));
    await nft.works('start', line('permit', { coa: A }));
    await nft.works('revoke', { coa: A });
    expect(await elements()).toEqual([]);
    // It left no lock and no partial file.
    await nft.works('stop');
    expect((await nft.run('permit', { coa: A })).status).toBe(0);
  });

  it.runIf(runs)('permit reports a missing table and the remedy', async () => {
    await nft.works('start');
    await rm(join(bin, 'elements'));
    expect((await nft.run('permit', { coa: A })).output).toContain('SIGHUP');
  });

  it.runIf(runs)('rejects invalid addresses, sessions, events and settings without a change', async () => {
    await nft.works('start', line('permit', { coa: A }));
    await rm(join(bin, 'given'));
    for (const coa of HOSTILE) {
      expect(await nft.run('permit', { coa })).toMatchObject({
        status: 1,
        output: expect.stringContaining('MIP6_COA'),
      });
      expect(await nft.run('move', { coa: B, old: coa })).toMatchObject({ status: 1 });
      if (coa.includes(' ')) continue;
      expect(await nft.run('batch', line('permit', { coa: B }) + line('revoke', { coa }))).toMatchObject({ status: 1 });
    }
    expect(await nft.run('permit', { coa: B, session: '../b' })).toMatchObject({ status: 1 });
    expect(await nft.run('batch', 'open MIP6_SESSION=0000000a\n')).toMatchObject({ status: 1 });
    await settle('ACCESS_INTERFACE="em1 em7"\nDRY_RUN=yes\n');
    expect(await nft.works('start')).toContain('interface em7 does not exist (yet)\n');
    for (const settings of ['ACCESS_INTERFACE="em1 -x"', 'ADDRESSES=all', 'AT_STOP=ajar']) {
      await settle(`${settings}\n`);
      expect(await nft.run('permit', { coa: B })).toMatchObject({ status: 1 });
    }
    expect(await text('given')).toBe('');
  });

  it.runIf(runs)('shows the commands with DRY_RUN=yes and runs none', async () => {
    await settle('DRY_RUN=yes\n');
    const start = await nft.works('start', line('permit', { coa: A, lifetime: 4_294_967_295 }));
    expect(start).toContain('hook forward');
    expect(start).not.toContain('does not exist');
    // nft accepts no more digits.
    expect(start).toContain(' timeout 99999999s ');
    expect(await nft.works('permit', { coa: A })).toContain(`add element inet pana_ep clients6 { ${A} . ${MAC_A} }`);
    expect(await text('given')).toBe('');
  });
});

// ---------------------------------------------------------------------------------------------------------- ip6tables

describe('ep-ip6tables.sh', () => {
  const ep = new EpHook('ep-ip6tables.sh');
  /** Records its command lines; fails if a file says so, as ip6tables does where the kernel has no nf_tables. */
  const tables = (name: string) => `echo "${name} $*" >>"$bin/calls"; [ ! -e "$bin/${name}.fails" ]`;
  const users = async () => [...new Set((await lines('calls')).map((call) => call.split(' ')[0]))].sort();

  beforeEach(async () => {
    for (const name of ['ip6tables', 'ip6tables-legacy', 'ip6tables-restore', 'ip6tables-legacy-restore']) {
      await program(name, tables(name));
    }
  });

  it('uses the legacy program where the other cannot change the tables of the kernel', async () => {
    await settle('ACCESS_INTERFACE=lo\nIPTABLES=none\n');
    await writeFile(join(bin, 'ip6tables.fails'), '');
    expect(await ep.works('start')).toContain('ip6tables-legacy is used');
    await rm(join(bin, 'calls'));
    await ep.works('permit', { coa: A, lifetime: 60 });
    await ep.works('check');
    expect(await users()).toEqual(['ip6tables-legacy', 'ip6tables-legacy-restore']);
    // Another kernel, after a restart of the host.
    await rm(join(bin, 'ip6tables.fails'));
    await ep.works('start');
    await rm(join(bin, 'calls'));
    await ep.works('stop');
    expect(await users()).toEqual(['ip6tables', 'ip6tables-restore']);
  });

  it('uses the program of its settings', async () => {
    await settle('ACCESS_INTERFACE=lo\nIPTABLES=none\nIP6TABLES=ip6tables-legacy\n');
    await ep.works('start');
    await ep.works('stop');
    expect(await users()).toEqual(['ip6tables-legacy', 'ip6tables-legacy-restore']);
  });
});
