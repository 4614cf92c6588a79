import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { charonProgram } from '../../dist/lab/network-lab/charon.js';
import type { Finding } from '../../dist/lab/network-lab/report.js';
import { eventually, within } from '../eventually.js';
import { announce, missing } from './access-network.js';
import { userSpaceEspMissing } from './charon.js';

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const IKE = charonProgram() === undefined ? 'they need charon and swanctl of strongSwan' : undefined;
const possible = announce('the lab, from an installed package', missing('nft') ?? IKE);
const traffic = announce('the lab’s traffic with ESP', missing('nft') ?? userSpaceEspMissing());
announce('the lab with UMIP', missing('mip6d'));
announce('the lab with racoon', 'it has only strongSwan');
/** npm may have to contact its registry. */
const PATIENCE = 300_000;

let folder: string;
let script: string;

beforeAll(async () => {
  if (!possible) return;
  folder = await mkdtemp(join(tmpdir(), 'pana-package-'));
  // Without scripts: prepack would rebuild dist while other tests run it.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: PROJECT });
  const [tarball = ''] = await readdir(folder);
  await run('npm', ['install', '--global', '--prefix', folder, '--omit=dev', join(folder, tarball)], {
    // The addon is compiled once, for the project.
    env: { ...process.env, npm_config_ignore_scripts: 'true', npm_config_prefer_offline: 'true' },
  });
  const installed = join(folder, 'lib/node_modules/pana-mip6');
  const addon = 'node_modules/better-sqlite3/build';
  await cp(join(PROJECT, addon), join(installed, addon), { recursive: true });
  script = join(installed, 'scripts/lab.sh');
}, PATIENCE);

afterAll(async () => {
  if (possible) await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly said: string[];
  readonly output: () => string;
  /** Resolves with the exit status; undefined after a signal. */
  readonly ended: Promise<number | undefined>;
}

function start(...flags: readonly string[]): Running {
  const child = spawn(script, ['--json', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  let output = '';
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  child.stdout?.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const ended = once(child, 'close').then(([code]) => (code as number | null) ?? undefined);
  return { child, said, output: () => output, ended };
}

/** The namespaces and folders of a lab that still exist. */
async function left(pid: number | undefined): Promise<{ readonly hosts: string[]; readonly folders: string[] }> {
  const isIts = (name: string) => name.startsWith(`pana-lab-${pid}-`);
  const { stdout } = await run('ip', ['netns', 'list']);
  return { hosts: stdout.split('\n').filter(isIts), folders: (await readdir(tmpdir())).filter(isIts) };
}

const NOTHING = { hosts: [], folders: [] };

const reached = ({ said }: Running, what: string) => eventually(() => expect(said.join('\n')).toContain(what));

describe.runIf(possible)('lab.sh of an installed package', () => {
  it.runIf(traffic)('shows the whole chain with three nodes, and counts lost pings', async () => {
    const picture = join(folder, 'start.svg');
    const lab = start('--nodes=3', '--reauth', '--handover', '--restart-ha', `--timeline=${picture}`);
    expect(await lab.ended, `${lab.said.join('\n')}\n${lab.output()}`).toBe(0);
    const { items } = JSON.parse(lab.output()) as { readonly items: readonly Finding[] };
    const results = Object.fromEntries(items.map(({ what, result }) => [what, result]));
    const mobility = missing('mip6d') === undefined ? items.find(({ phase }) => phase === 'BU/BA')?.result : 'skipped';
    expect(results).toEqual({
      'before: no packet of the node passes the router': 'yes',
      'authenticated: PCI to PAN[C]': 'yes',
      'enforcement point: the node’s packets reach CN': 'yes',
      'home agent assigned': 'yes',
      'home address assigned': 'yes',
      'PAN[C] to the first message of IKE': 'yes',
      'IKE_SA up': 'yes',
      'CHILD_SA: ESP between the node and the home agent': 'yes',
      'IKE_SA to the first binding update': mobility,
      'bound: binding update to acknowledgement': mobility,
      'traffic between home address and CN, both directions': 'yes',
      'MN2 joins, its PAA at a link-local address': 'yes',
      'MN3 joins, its PAA at a link-local address': 'yes',
      're-authentication: another key, another IKE_SA': 'yes',
      'handover of MN1 to AR2, authenticated there before': 'yes',
      'handover of MN1 to AR2, its PAA at a global address': 'yes',
      'handover of MN1 to AR1, its PAA at a global address': 'yes',
      'handover of MN2 to AR2, its PAA at a link-local address': 'yes',
      'handover of MN2 to AR1, its PAA at a link-local address': 'yes',
      'home agent restarts: traffic comes back': 'yes',
      'MN3 leaves': 'yes',
      'MN2 leaves': 'yes',
      'after: the home address is free again': 'yes',
      'after: no packet of the node passes': 'yes',
      'after: no SA, address, file or watch is left on node and home agent': 'yes',
    });
    const phases = items.filter(({ phase }) => phase !== undefined);
    expect(phases.map(({ phase }) => phase)).toEqual(['PANA', 'PANA → IKE', 'IKE', 'IKE → BU', 'BU/BA']);
    for (const { result, milliseconds } of phases) expect(milliseconds !== undefined).toBe(result === 'yes');
    // Nodes that nothing happens to lose nothing.
    const counts = items.flatMap(({ what, traffic: seen = [] }) => seen.map((each) => ({ what, ...each })));
    const others = counts.filter(({ what, node }) => !what.includes(`MN${node} `) && !/re-auth|restarts/.test(what));
    expect(others.length).toBeGreaterThanOrEqual(11);
    for (const { what, node, fromNode, toNode } of others) {
      expect([fromNode.lost, toNode.lost], `MN${node} while ${what}`).toEqual([0, 0]);
    }
    for (const { what, node, fromNode, toNode } of counts) {
      process.stderr.write(
        `*** ${what}: MN${node} lost ${fromNode.lost} of ${fromNode.sent} and ${toNode.lost} of ${toNode.sent} ***\n`,
      );
    }
    expect(await readFile(picture, 'utf8')).toMatch(/^<svg /);
    expect(await left(lab.child.pid)).toEqual(NOTHING);
  });

  it('reports the steps completed before a daemon dies, and cleans up', async () => {
    const lab = start();
    await reached(lab, 'Starting pana-pac');
    const isPac = async (pid: string) =>
      (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('/pac/main.js');
    const node = async () => {
      const { stdout } = await run('ip', ['netns', 'pids', `pana-lab-${lab.child.pid}-MN1`]);
      for (const pid of stdout.trim().split('\n')) if (await isPac(pid)) return Number(pid);
      return undefined;
    };
    await eventually(async () => expect(await node()).toBeDefined());
    process.kill((await node()) ?? 0, 'SIGKILL');
    expect(await lab.ended).toBe(1);
    const { items } = JSON.parse(lab.output()) as { readonly items: readonly Finding[] };
    expect(items.at(-1)).toMatchObject({ what: 'further steps', result: 'no' });
    expect(await left(lab.child.pid)).toEqual(NOTHING);
  });

  it('cleans up when it is interrupted', async () => {
    const lab = start();
    await reached(lab, 'Starting pana-pac');
    expect((await left(lab.child.pid)).hosts).toHaveLength(4);
    lab.child.kill('SIGTERM');
    expect(await lab.ended).toBe(2);
    expect(lab.said.join('\n')).toContain('interrupted');
    expect(await left(lab.child.pid)).toEqual(NOTHING);
  });

  it('removes what a killed lab left behind', async () => {
    const killed = start();
    await reached(killed, 'Starting pana-aaa');
    killed.child.kill('SIGKILL');
    await within(once(killed.child, 'exit'), 'killed.child exits');
    const remains = await left(killed.child.pid);
    expect(remains.hosts).toHaveLength(4);
    expect(remains.folders).toHaveLength(1);
    const next = start();
    await reached(next, 'Starting pana-aaa');
    expect(await left(killed.child.pid)).toEqual(NOTHING);
    expect(next.said.join('\n')).toContain('Removed the remains of a killed lab');
    next.child.kill('SIGINT');
    expect(await next.ended).toBe(2);
  });
});
