import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Lab } from '../../../dist/lab/lab.js';
import { type Ended, run } from '../../daemons/program.js';

let lab: Lab;

beforeEach(async () => {
  lab = await Lab.make({ logLevel: 'info', hooks: false });
});

afterEach(() => lab.close());

/** Runs pana-aaa with this command line and the lab's store and control socket. */
function type(line: string, input = ''): Promise<Ended> {
  const words = line.split(' ').map((word) => (word === "''" ? '' : word));
  return run('aaa', [...words, '--store', lab.path('aaa.db'), '--control.socket', lab.socket('aaa')], { input });
}

/** Runs a command that must succeed; resolves to its output. */
async function say(line: string, input = ''): Promise<string> {
  const { status, stdout, stderr } = await type(line, input);
  expect({ line, status, stderr }).toMatchObject({ status: 0 });
  return stdout;
}

async function json<T = Record<string, unknown>>(line: string): Promise<T> {
  return JSON.parse(await say(`${line} --json`));
}

/** Runs a command that must fail with status 2 and one message without a stack; resolves to that message. */
async function refused(line: string, input = ''): Promise<string> {
  const { status, stderr } = await type(line, input);
  expect({ line, status }).toEqual({ line, status: 2 });
  expect(stderr).not.toMatch(/\n\s+at /);
  return stderr.replace('pana-aaa: ', '').trimEnd();
}

const HA1 = 'home-agent add ha1 --address 2001:db8:1::1 --host ha1.home.example --prefix 2001:db8:1::/64';
const HA2 = 'home-agent add ha2 --address 2001:db8:2::1 --host ha2.home.example --prefix 2001:db8:2::/64';

describe('pana-aaa commands without a server', () => {
  it('create the store only when they add something', async () => {
    for (const line of [
      'subscriber list',
      'stats',
      'lease list',
      'audit',
      'home-agent show ha1',
      'store rotate-secret --yes',
    ]) {
      expect(await refused(line)).toContain(`there is no store ${lab.path('aaa.db')}, and no server at`);
    }
    expect(existsSync(lab.path('aaa.db'))).toBe(false);
    expect(await say(HA1)).toBe('Added ha1.\n');
    expect(await say('subscriber list')).toContain('No subscribers. "pana-aaa subscriber add" adds one');
  });

  it('add, change, show and remove subscribers', async () => {
    await say(HA1);
    await say(HA2);
    expect(await say('subscriber add MN1@home.example --lifetime 30m --home-agent ha1')).toBe(
      'Added mn1@home.example.\n',
    );
    expect(await refused('subscriber add mn1@home.example')).toBe('subscriber mn1@home.example already exists');
    expect(await refused('subscriber set mn1@home.example')).toContain('nothing to change');
    expect(await refused('subscriber set mn1@home.example --lifetime soon')).toContain(
      '--lifetime: "soon" is not a duration',
    );
    expect(await refused('subscriber set mn9@home.example --no-mip6')).toBe('no subscriber mn9@home.example');
    expect(await refused('subscriber set mn1@home.example --home-agent ha9')).toBe('no home agent ha9');
    const shown = await say(
      'subscriber set mn1@home.example --no-mip6 --sessions one --psk-root emsk --certificate-name SN-7',
    );
    expect(shown).toMatch(/Mobile IPv6 +no\n/);
    expect(shown).toMatch(/second session +is refused\n/);
    const fingerprint = 'AB:'.repeat(31).concat('CD');
    await say(`subscriber set mn1@home.example --certificate-sha256 ${fingerprint} --home-agent '' --lifetime ''`);
    expect(await json('subscriber show mn1@home.example')).toEqual({
      nai: 'mn1@home.example',
      enabled: true,
      mip6: false,
      localHomeAgent: true,
      ikev2HomeAddress: false,
      pskRoot: 'emsk',
      takeovers: 0,
      certificateName: 'sn-7',
      certificateSha256: `${'ab'.repeat(31)}cd`,
      lease: null,
      sessions: 'one',
      privacy: 'optional',
      services: 'none',
      openSessions: [],
    });
    expect(await say('subscriber list')).toMatch(
      /^NAI.*\nmn1@home\.example +yes +no +yes +any +any +default +SHA-256 abababab…\n$/,
    );
    expect(await say('subscriber disable mn1@home.example')).toContain(
      'the next one terminates its sessions at startup',
    );
    expect(await say('subscriber list --enabled')).toBe('No match.\n');
    expect(await json('subscriber list --no-enabled')).toMatchObject({ items: [{ enabled: false }], next: null });
    expect(await say('subscriber enable mn1@home.example')).toBe('Enabled mn1@home.example.\n');
    expect(await say('subscriber remove mn1@home.example')).toBe('Removed mn1@home.example.\n');
    expect(await refused('subscriber show mn1@home.example')).toBe('no subscriber mn1@home.example');
  });

  it('add, change, show and remove home agents', async () => {
    expect(await refused(`${HA1} --capacity many`)).toBe('--capacity: must be a whole number of at least 1');
    await say(`${HA1} --capacity 500 --weight 2 --ike ikev2`);
    expect(await refused(HA1)).toContain('a home agent ha1 or 2001:db8:1::1 already exists');
    expect(await refused('home-agent set ha1')).toContain('nothing to change');
    expect(await refused('home-agent set ha1 --ike ikev3')).toBe('--ike: "ikev3" is not ikev1 or ikev2');
    expect(await say('home-agent set ha1 --weight 3')).toMatch(/ha1 +up +2001:db8:1::1 .* ikev2 +3 +0 of 500/);
    expect(await say('home-agent down ha1')).toContain('No server runs: its nodes move at their next authentication');
    expect(await json('home-agent list --state down')).toMatchObject({ items: [{ name: 'ha1', state: 'down' }] });
    expect(await say('home-agent list --state up')).toBe('No match.\n');
    expect(await say('home-agent show ha1')).toMatch(/state +down\n/);
    await say('subscriber add mn1@home.example --home-agent ha1');
    expect(await refused('home-agent remove ha1')).toContain('the subscriber mn1@home.example is pinned to ha1: ');
    await say("subscriber set mn1@home.example --home-agent ''");
    expect(await json('home-agent remove ha1')).toEqual({ name: 'ha1', leases: 0 });
    expect(await refused('home-agent show ha1')).toContain('no home agent ha1');
  });

  it('import a file as a whole or not at all, and export what can be imported again', async () => {
    await say(HA1);
    const bad = lab.path('bad.csv');
    await writeFile(
      bad,
      'nai,home-agent,mip6\na@home.example,ha1,yes\nb@home.example,ha9,yes\nc c,,\nd@home.example,,perhaps\n',
    );
    expect(await refused(`subscriber import ${bad}`)).toBe(
      [
        'nothing was imported:',
        `${bad}:3: no home agent ha9`,
        `${bad}:4: "c c" cannot be a subscriber: it contains characters other than letters, digits, ".", "-", "_", "+" and "@"`,
        `${bad}:5: mip6: "perhaps" is not yes or no`,
      ].join('\n'),
    );
    expect(await say('subscriber list')).toContain('No subscribers');
    const many = lab.path('many.csv');
    const lines = Array.from({ length: 1_300 }, (_, i) => `n${i}@home.example,"device ""${i}""",1h`);
    await writeFile(many, `nai,certificate-name,lifetime\n${lines.join('\n')}\n`);
    expect(await say(`subscriber import ${many} --dry-run`)).toBe(`${many} is valid: 1300 subscribers.\n`);
    expect(await json('stats')).toMatchObject({ subscribers: 0 });
    expect(await json(`subscriber import ${many}`)).toEqual({ rows: 1300, imported: 1300 });
    const again = await refused(`subscriber import ${many}`);
    expect(again.split('\n').slice(0, 2)).toEqual([
      'nothing was imported:',
      `${many}:2: subscriber n0@home.example already exists`,
    ]);
    expect(again.split('\n')).toHaveLength(21);
    await say(`subscriber set n7@home.example --no-mip6 --certificate-name ''`);
    const csv = await say('subscriber export');
    expect(csv.split('\n')).toHaveLength(1_302);
    expect(csv.split('\n')[1]).toBe('n0@home.example,yes,yes,yes,no,,,,3600,"device ""0""",,replace,optional,none');
    const yaml = await say('subscriber export --format yaml');
    expect(parse(yaml)).toHaveLength(1_300);
    expect(parse(yaml)).toContainEqual(expect.objectContaining({ nai: 'n7@home.example', mip6: 'no' }));
    expect(await say('subscriber import - --format yaml --update', yaml)).toBe('Imported 1300 subscribers from -.\n');
    expect(await say('subscriber export')).toBe(csv);
    expect(await refused('subscriber import nowhere.csv')).toBe('nowhere.csv: there is no such file (ENOENT)');
    expect(await refused('subscriber import list.txt')).toContain('unknown format: giv');
  });

  it('list a page, or all with --all', async () => {
    const lines = Array.from({ length: 120 }, (_, i) => `n${String(i).padStart(3, '0')}@home.example`);
    await say('subscriber import - --format csv', ['nai', ...lines].join('\n'));
    const first = await type('subscriber list');
    expect(first.stdout.split('\n')).toHaveLength(102);
    expect(first.stderr).toBe("More: --from 'n099@home.example', or --all.\n");
    const rest = await say('subscriber list --from n099@home.example');
    expect(
      rest
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(' ', 1)[0]),
    ).toEqual(lines.slice(100));
    expect((await say('subscriber list --all')).split('\n')).toHaveLength(122);
    expect(await json('subscriber list --limit 2')).toMatchObject({ items: [{}, {}], next: 'n001@home.example' });
    expect(await json('subscriber list --all')).toMatchObject({ items: { length: 120 }, next: null });
    expect(await say('subscriber list n11 --limit 99')).toMatch(/n110@[\s\S]*n119@/);
    expect(await say('subscriber list --from n119@home.example')).toBe('No more.\n');
    expect(await refused('subscriber list --limit 0')).toBe('--limit: must be a whole number of at least 1');
  });

  it('record every change in the audit trail', async () => {
    await say(HA1);
    await say('subscriber add mn1@home.example');
    await say('home-agent drain ha1');
    expect(await refused('store rotate-secret')).toContain('confirm with --yes');
    await say('store rotate-secret --yes');
    await refused('home-agent drain ha9');
    const { items } = await json<{ items: { who: string; what: string }[] }>('audit');
    expect(items.map(({ what }) => what)).toEqual(['rotateSecret', 'changeHomeAgent', 'addSubscriber', 'addHomeAgent']);
    expect(await say('audit mn1@')).toMatch(
      /^AT +WHO +WHAT +WITH\n\S+Z +\S+.* addSubscriber +\{"subscriber":\{"nai":"mn1@/,
    );
  });

  it('refuse to copy a PostgreSQL store as a file', async () => {
    const store = ['--store', 'postgres://pana:word@127.0.0.1/aaa'];
    for (const command of ['backup', 'restore']) {
      const { status, stderr } = await run('aaa', ['store', command, lab.path('b.db'), ...store]);
      expect(status).toBe(2);
      expect(stderr).toMatch(/^pana-aaa: postgres:\/\/127\.0\.0\.1\/aaa is a PostgreSQL database: use (pg_|psql)/);
    }
  });
});

describe('pana-aaa commands with a server', () => {
  it('use the server without knowing its store, and act on its sessions', async () => {
    const { daemon: aaa, place } = await lab.startAaa();
    await lab.startPaa(place);
    const here = ['--control.socket', lab.socket('aaa')];
    const added = await run('aaa', ['subscriber', 'add', 'mn1@home.example', ...here]);
    expect(added).toMatchObject({ status: 0, stdout: 'Added mn1@home.example.\n' });
    expect(await aaa.line('store operation completed', ({ operation }) => operation === 'addSubscriber')).toMatchObject(
      {
        operator: expect.any(String),
      },
    );
    // A named store must be that of the server.
    const other = await run('aaa', ['subscriber', 'list', ...here, '--store', lab.path('other.db')]);
    expect(other.status).toBe(2);
    expect(other.stderr).toContain(`this server uses the store ${lab.path('aaa.db')}, not ${lab.path('other.db')}`);

    await lab.issueClient('mn1', 'mn1@home.example');
    const pac = await lab.startPac('mn1');
    const { homeAddress } = await pac.line('bootstrap completed');
    const shown = await say('subscriber show mn1@home.example');
    expect(shown).toMatch(
      new RegExp(`lease +${homeAddress} on ha1 until \\S+Z\\nsession +\\S+ at paa.access.example\\n`),
    );
    expect(await say(`lease show ${homeAddress}`)).toMatch(/subscriber +mn1@home\.example\n/);
    expect(await say('session show mn1@home.example')).toMatch(/Mobile IPv6 +home agent at home\n/);
    expect(await json('lease list mn1@ --home-agent ha1')).toMatchObject({ items: [{ homeAddress }] });
    expect(await say('lease list --home-agent ha9')).toBe('No match.\n');
    expect(await json('session list --home-agent ha1 --paa paa.access.example')).toMatchObject({
      items: [{ homeAddress }],
    });
    expect(await json('stats')).toMatchObject({ subscribers: 1, sessions: 1, leases: 1, homeAgentsAssigned: 1 });
    expect(await refused('session show nobody@home.example')).toContain('no session nobody@home.example');
    expect(await refused('lease show 2001:db8::77')).toBe('no lease 2001:db8::77');
    expect(await refused('lease release mn1@home.example')).toContain('--force takes its home address away');
    // The node re-authenticates and gets an address again.
    expect(await say('lease release mn1@home.example --force')).toBe(
      `Released ${homeAddress}, which mn1@home.example held on ha1.\n`,
    );
    await pac.line('bootstrap refreshed');
    expect(await json('lease history mn1@home.example')).toMatchObject({ items: [{ homeAddress }, { homeAddress }] });
    expect(await say('lease history --at 2020-01-01')).toBe('Nobody.\n');
    expect(await refused('lease history --at noon')).toContain('--at: "noon" is not a time');
  });

  it('import a file through the server', async () => {
    const { daemon: aaa } = await lab.startAaa();
    const lines = Array.from({ length: 700 }, (_, i) => `n${i}@home.example,${'x'.repeat(240)}${i}`);
    const csv = ['nai,certificate-name', ...lines].join('\n');
    expect(await say('subscriber import - --format csv', csv)).toBe('Imported 700 subscribers from -.\n');
    await aaa.line('store operation completed', ({ operation }) => operation === 'finishImport');
    expect(await refused('subscriber import - --format csv', csv)).toContain(
      '-:2: subscriber n0@home.example already exists',
    );
    expect((await say('subscriber export')).split('\n')).toHaveLength(702);
    expect(await json('audit')).toMatchObject({ items: [{ what: 'finishImport' }, { what: 'addHomeAgent' }] });
  });

  it('disable a subscriber while the server is stopped, which ends its session at startup', async () => {
    const { daemon: aaa, place } = await lab.startAaa();
    await lab.startPaa(place);
    await lab.addSubscriber('mn1@home.example', 'mn1');
    const pac = await lab.startPac('mn1');
    await pac.line('bootstrap completed');
    expect(await aaa.stop()).toBe(0);
    expect(await json('session list')).toMatchObject({ items: [{ nai: 'mn1@home.example' }] });
    await say('subscriber disable mn1@home.example');
    const again = lab.start('aaa again', 'aaa', lab.path('aaa.yaml'));
    await again.line('lease released');
    expect(await lab.leases()).toEqual([]);
    expect(await say('session list')).toBe('No sessions.\n');
  });

  it('fail without permission for the control socket, even if the store is writable', async () => {
    await lab.startAaa();
    await chmod(lab.folder, 0o755);
    await chmod(lab.path('aaa.db'), 0o666);
    await chmod(lab.socket('aaa'), 0o000);
    const parameters = ['--store', lab.path('aaa.db'), '--control.socket', lab.socket('aaa')];
    // Root needs no permission unless it has dropped these capabilities.
    const launcher = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];
    const { status, stderr } = await run('aaa', ['subscriber', 'list', ...parameters], { launcher });
    expect(stderr).toContain('only the user that the daemon runs as may control it');
    expect(status).toBe(2);
  });

  it("complete names from the server's store", async () => {
    await lab.startAaa();
    await say('subscriber import - --format csv', 'nai\nmn1@home.example\nmn2@home.example\nzz@home.example');
    const complete = async (...words: readonly string[]) => {
      const { stdout } = await run('aaa', ['--complete', '--control.socket', lab.socket('aaa'), ...words]);
      return stdout.split('\n').slice(0, -1);
    };
    expect(await complete('subscriber', 'show', 'mn')).toEqual(['mn1@home.example', 'mn2@home.example']);
    expect(await complete('subscriber', 'set', 'mn2@home.example')).toEqual(['mn2@home.example']);
    expect(await complete('home-agent', 'down', '')).toEqual(['ha1']);
    expect(await complete('subscriber', 'add', 'x', '--home-agent', 'h')).toEqual(['ha1']);
    expect(await complete('lease', 're')).toEqual(['release']);
    expect(await complete('session', 'disconnect', 'z')).toEqual(['zz@home.example']);
    const { stdout } = await run('aaa', ['completion', 'zsh']);
    expect(stdout).toContain('#compdef pana-aaa');
  });
});
