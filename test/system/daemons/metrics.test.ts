import { execFile, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import type { z } from 'zod';
import { Lab } from '../../../dist/lab/lab.js';
import { AAA_API } from '../../../src/aaa/control-api.js';
import { PAA_API } from '../../../src/paa/control-api.js';
import { PAC_API } from '../../../src/pac/control-api.js';
import { PRE_API } from '../../../src/pre/control-api.js';
import { UdpSocket } from '../../../src/runtime/net/udp.js';
import { COMMON_API } from '../../../src/runtime/service/common-api.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import type { ControlApi } from '../../../src/runtime/service/control-api.js';
import { run } from '../../daemons/program.js';
import { DESCRIBED_METRICS } from '../../described-metrics.js';

const MN = 'mn1@home.example';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: Map<string, number>;
}

const LABELS = /^\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,|(?=\})))*\}$/;

/** Parses Prometheus' text format strictly: HELP and TYPE before the samples of each family. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  let current = '';
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') helps.set(name, rest);
    else if (kind === 'TYPE') {
      expect(families.has(name), `${name} comes twice`).toBe(false);
      expect(rest).toMatch(/^(counter|gauge|histogram|summary)$/);
      families.set(name, { help: helps.get(name) ?? '', type: rest, samples: new Map() });
      current = name;
    } else {
      const [, series = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line) ?? [];
      expect(series, line).not.toBe('');
      if (labels !== '') expect(labels).toMatch(LABELS);
      expect([current, `${current}_bucket`, `${current}_sum`, `${current}_count`]).toContain(series);
      expect(value).toMatch(/^(NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)$/);
      families.get(current)?.samples.set(`${series}${labels}`, Number(value));
    }
  }
  return families;
}

/** Asserts that HELP says more than the name, and that names follow Prometheus' conventions. */
function expectDescribed(families: ReadonlyMap<string, Family>): void {
  for (const [name, { help, type }] of families) {
    if (!name.startsWith('pana_')) continue;
    const bare = name.replace(/^pana_[a-z]{3}_/, '').replace(/_(total|seconds)$/, '');
    expect(help.length, name).toBeGreaterThan(15);
    expect(help, name).not.toBe(bare.replaceAll('_', ' '));
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
  }
}

/** Asserts that a daemon exports the metrics that its code describes, with their types, and that promtool accepts them. */
function expectExported(daemon: string, text: string): void {
  const families = parse(text);
  expectDescribed(families);
  const own = [...families].filter(([name]) => name.startsWith('pana_'));
  const described = DESCRIBED_METRICS.get(daemon) ?? [];
  const wanted = described.map(({ name, type }) => `${name} ${type}`);
  expect(own.map(([name, { type }]) => `${name} ${type}`).sort()).toEqual(wanted);
  if (!hasPromtool) return;
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  expect(`${status} ${stdout}${stderr}`).toBe('0 ');
}

const APIS: Readonly<Record<string, ControlApi>> = {
  'pana-pac': { ...COMMON_API, ...PAC_API },
  'pana-paa': { ...COMMON_API, ...PAA_API },
  'pana-pre': { ...COMMON_API, ...PRE_API },
  'pana-aaa': { ...COMMON_API, ...AAA_API },
};

/** Runs the examples of docs/control-api.md. Each answer is what the document of the API says. */
async function expectExamples(made: Lab): Promise<void> {
  const page = await readFile('docs/control-api.md', 'utf8');
  const examples = [...page.matchAll(/^ {4}curl (?:.*\\\n)*.*$/gm)].map(([text]) => text.trim());
  expect(examples).toHaveLength(8);
  const sockets = {
    'pana-pac': made.socket('mn1'),
    'pana-paa': made.socket('paa'),
    'pana-pre': made.socket('pre'),
    'pana-aaa': made.socket('aaa'),
  };
  const [{ session }] = (await callDaemon(sockets['pana-paa'], 'GET', '/sessions')) as [{ session: string }];
  for (const example of examples) {
    const [, daemon = '', path = ''] = /run\/(pana-\w+)\/.* http:\/\/localhost(\/\S*)/.exec(example) ?? [];
    const socket = sockets[daemon as keyof typeof sockets];
    const command = example.replace(/\/var\/run\S*/, socket).replace('0a1b2c3d', session);
    const { stdout } = await promisify(execFile)('sh', ['-c', command.replace('curl', 'curl -sS --fail-with-body')]);
    const method = /-X POST|--json/.test(command) ? 'POST' : 'GET';
    const { answer } = APIS[daemon]?.[`${method} ${path}`] ?? {};
    if (answer === 'text/plain') expect(stdout).toBe('ok\n');
    else expect((answer as z.ZodType).safeParse(JSON.parse(stdout)).error?.issues ?? [], example).toEqual([]);
  }
}

it('Metrics of an AAA server are those that the code describes, and the examples of the control API work', async () => {
  const made = await Lab.make();
  lab = made;
  const { daemon: aaa, place } = await made.startAaa();
  const { place: paa } = await made.startPaa(place);
  await made.startPre(paa);
  await made.addSubscriber(MN, 'mn1');
  const pac = await made.startPac('mn1');
  await pac.line('bootstrap completed');
  expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
  await pac.line('bootstrap refreshed');
  await aaa.line('hook done', ({ event }) => event === 'refresh');
  const text = String(await callDaemon(made.socket('aaa'), 'GET', '/metrics'));
  const families = parse(text);

  const value = (series: string) => families.get(series.split('{')[0] ?? '')?.samples.get(series);
  expect(value('pana_aaa_authentications_total{result="accepted"}')).toBe(2);
  expect(value('pana_aaa_bootstraps_total{result="assigned"}')).toBe(1);
  expect(value('pana_aaa_bootstraps_total{result="refreshed"}')).toBe(1);
  expect(value('pana_aaa_handshakes_total{tls="TLSv1.3",kind="full"}')).toBe(1);
  expect(value('pana_aaa_handshakes_total{tls="TLSv1.3",kind="resumed"}')).toBe(1);
  expect(value('pana_aaa_home_agent_leases{home_agent="ha1"}')).toBe(1);
  expect(value('pana_aaa_home_agent_capacity{home_agent="ha1"}')).toBe(1000);
  expect(value('pana_aaa_home_agent_state{home_agent="ha1",state="up"}')).toBe(1);
  expect(value('pana_aaa_home_agent_state{home_agent="ha1",state="dead"}')).toBe(0);
  expect(value('pana_aaa_leases')).toBe(1);
  expect(value('pana_aaa_sessions')).toBe(1);
  expect(value('pana_aaa_conversations')).toBe(0);
  expect(value('pana_aaa_hook_runs_total{event="up",result="ok"}')).toBe(1);
  expect(value('pana_aaa_diameter_peer_up{peer="paa.access.example"}')).toBe(1);
  expect(value('pana_aaa_diameter_peer_up{peer="paa2.access.example"}')).toBe(0);
  const now = Date.now() / 1000;
  const ends = value('pana_aaa_certificate_not_after_timestamp_seconds{certificate="server"}') ?? 0;
  expect(ends - now).toBeGreaterThan(8 * 86_400);
  expect(ends - now).toBeLessThan(11 * 86_400);
  expect(value('pana_aaa_crl_next_update_timestamp_seconds')).toBeGreaterThan(now);
  expect(value('pana_aaa_crl_this_update_timestamp_seconds')).toBeLessThanOrEqual(now);
  expect(families.get('pana_aaa_store_seconds')?.type).toBe('histogram');
  const count = 'pana_aaa_store_seconds_count{class="bootstrap"}';
  expect(families.get('pana_aaa_store_seconds')?.samples.get(count)).toBe(2);

  expectExported('pana-aaa', text);
  // No label contains text chosen by a node.
  expect(text).not.toContain('mn1');
  await expectExamples(made);
});

it('Metrics of PAA and PaC are well-formed and described, and start at zero', async () => {
  const made = await Lab.make({ localHomeAgent: true });
  lab = made;
  const { place } = await made.startAaa();
  const { daemon: paa, place: at } = await made.startPaa(place);
  await made.addSubscriber(MN, 'mn1');
  const read = async (name: string) => {
    const text = String(await callDaemon(made.socket(name), 'GET', '/metrics'));
    expectExported(name === 'paa' ? 'pana-paa' : 'pana-pac', text);
    const families = parse(text);
    const named = (series: string) => families.get((series.split('{')[0] ?? '').replace(/_count$/, ''));
    return (series: string) => named(series)?.samples.get(series);
  };
  // Unauthenticated input is counted too.
  const stranger = await UdpSocket.connect(at, {}, () => undefined);
  stranger.send(Uint8Array.of(0, 0, 0, 16), at);
  const before = await read('paa');
  expect(before('pana_paa_authorizations_total{result="authorized"}')).toBe(0);
  expect(before('pana_paa_sessions_ended_total{cause="logout"}')).toBe(0);
  expect(before('pana_paa_aaa_failures_total')).toBe(0);

  const pac = await made.startPac('mn1');
  await pac.line('bootstrap completed');
  await paa.line('hook done', ({ event }) => event === 'permit');
  expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
  await pac.line('bootstrap refreshed');
  const atPaa = await read('paa');
  expect(atPaa('pana_paa_sessions')).toBe(1);
  expect(atPaa('pana_paa_half_open_sessions')).toBe(0);
  expect(atPaa('pana_paa_authorizations_total{result="authorized"}')).toBe(1);
  expect(atPaa('pana_paa_authorizations_total{result="reauthenticated"}')).toBe(1);
  expect(atPaa('pana_paa_hook_runs_total{event="permit",result="ok"}')).toBeGreaterThan(0);
  expect(atPaa('pana_paa_dropped_total{code="truncated"}')).toBe(1);
  expect(atPaa('pana_paa_bootstrap_seconds_count')).toBe(1);
  const atPac = await read('mn1');
  expect(atPac('pana_pac_sessions_total{result="authorized"}')).toBe(1);
  expect(atPac('pana_pac_sessions_total{result="reauthenticated"}')).toBe(1);
  expect(atPac('pana_pac_sessions_total{result="terminated"}')).toBe(0);
  expect(atPac('pana_pac_eap_failures_total{reason="server-certificate"}')).toBe(0);
  expect(atPac('pana_pac_datagrams_total{direction="in"}')).toBeGreaterThan(5);
  expect(atPac('pana_pac_bootstrap_seconds_count')).toBe(1);

  await stranger.close();
  expect(await pac.stop()).toBe(0);
  await paa.line('session ended');
  expect((await read('paa'))('pana_paa_sessions_ended_total{cause="logout"}')).toBe(1);
});

it('Metrics query the store at most once in five seconds', async () => {
  const made = await Lab.make({ hooks: false });
  lab = made;
  const { daemon: aaa } = await made.startAaa();
  const calls = async () => {
    const families = parse(String(await callDaemon(made.socket('aaa'), 'GET', '/metrics')));
    return families.get('pana_aaa_store_seconds')?.samples.get('pana_aaa_store_seconds_count{class="upkeep"}') ?? 0;
  };
  const first = await calls();
  for (let i = 0; i < 20; i += 1) await calls();
  expect((await calls()) - first).toBeLessThan(6);
  expect(await aaa.stop()).toBe(0);
});
