import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../src/tool/lab.js';
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

/** Stands in for a program of the system. */
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

/** Keeps the anchor's rules and its table of clients in files; says what it was told. */
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
	grep -v '^block drop \\(in\\|out\\) quick on \\|^table <pana_[a-z]*> \\|^[0-9a-f.:]*$\\|^}$' "$bin/new" && exit 1
	sed -n '/^table <pana_clients> persist {$/,/^}$/p' "$bin/new" | grep '^[0-9a-f]' >"$bin/clients"
	grep '^block\\|^table <pana_router>' "$bin/new" >"$bin/rules" ;;
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

  /** What pfctl was told since the last look, but for looking. */
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

  it.runIf(runs)('sets up rules for each interface, and ends what passed before there were any', async () => {
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

  it.runIf(runs)('lets a client in, takes it along, and shuts it out with its states', async () => {
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
    // Somebody else has the address again.
    await pf.works('revoke', { session: '0000000c' });
    expect(await told()).toEqual([]);
    await pf.works('revoke', { session: '0000000b', coa: C4 });
    expect(await clients()).toEqual([B]);
    expect(await told()).toEqual([`-a pana -t pana_clients -T delete ${C4}`, `-k ${C4}`, `-k 0.0.0.0/0 -k ${C4}`]);
  });

  it.runIf(runs)('holds to the last event of an address in a batch', async () => {
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
    // Whoever is in at the end is not cut off on the way.
    expect(await told()).not.toContain(`-k ${A}`);
    await pf.works('batch', line('permit', { coa: A }) + line('revoke', { coa: A }));
    expect(await clients()).toEqual(['192.0.2.12']);
    expect((await told()).slice(1)).toEqual([`-k ${A}`, `-k ::/0 -k ${A}`]);
  });

  it.runIf(runs)('drops at a start who may pass no longer, and at a stop everybody', async () => {
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
  });

  it.runIf(runs)('says that nothing is forwarded from a link-local address', async () => {
    await pf.works('start');
    expect(await pf.works('permit', { coa: 'fe80::5%em1' })).toBe(
      'client fe80::5%em1: nothing is forwarded from a link-local address\n',
    );
    expect(await clients()).toEqual(['fe80::5']);
    await pf.works('revoke', { coa: 'fe80::5%em1' });
    expect(await clients()).toEqual([]);
  });

  it.runIf(runs)('does not start where its rules would not be looked at', async () => {
    await writeFile(join(bin, 'main'), 'pass all flags S/SA keep state\n');
    expect(await pf.run('start')).toEqual({
      status: 1,
      output: 'error: the rules of pf do not have the line: anchor "pana"\n',
    });
    await writeFile(join(bin, 'info'), 'Status: Disabled                              Debug: Urgent\n');
    expect(await pf.run('start')).toEqual({ status: 1, output: 'error: pf is not enabled: "pfctl -e"\n' });
    expect(await told()).toEqual([]);
  });

  it.runIf(runs)('does nothing with what is no address, no session or no event', async () => {
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

  it.runIf(runs)('shows what it would do', async () => {
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
