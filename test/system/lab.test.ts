import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { charonProgram, hasEsp } from '../../dist/lab/network-lab/charon.js';
import type { Finding } from '../../dist/lab/network-lab/report.js';
import { eventually, within } from '../eventually.js';
import { AccessNetwork, announce, missing } from './access-network.js';

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const IKE = charonProgram() === undefined ? 'they need charon and swanctl of strongSwan' : undefined;
const possible = announce('the lab, from an installed package', missing('nft') ?? IKE);
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

function start(): Running {
  const child = spawn(script, ['--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
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
  it('shows a complete bootstrap, as far as the host supports it, and leaves nothing behind', async () => {
    const lab = start();
    expect(await lab.ended, lab.said.join('\n')).toBe(0);
    const { items } = JSON.parse(lab.output()) as { readonly items: readonly Finding[] };
    const results = Object.fromEntries(items.map(({ what, result }) => [what, result]));
    const esp = await hasEsp((await AccessNetwork.make()).node);
    if (!esp) process.stderr.write('*** this kernel has no ESP: the lab shows no CHILD_SA ***\n');
    const mobility = missing('mip6d', 'radvd', 'tcpdump') === undefined;
    expect(results).toEqual({
      'before: no packet of the node passes the router': 'yes',
      'authenticated: PCI to PAN[C]': 'yes',
      'enforcement point: the node’s packets reach CN': 'yes',
      'home agent assigned': 'yes',
      'home address assigned': 'yes',
      'PAN[C] to the first message of IKE': 'yes',
      'IKE_SA up': 'yes',
      ...(mobility && esp
        ? { 'CHILD_SA: ESP for binding updates': 'yes' }
        : { 'CHILD_SA: the home address reaches the home link under ESP': esp ? 'yes' : 'skipped' }),
      'IKE_SA to the first binding update': mobility ? 'yes' : 'skipped',
      'bound: binding update to acknowledgement': mobility ? 'yes' : 'skipped',
      're-authentication: another key, another IKE_SA': 'yes',
      'after: the home address is free again': 'yes',
      'after: no packet of the node passes': 'yes',
      'after: no IKE_SA is left': 'yes',
    });
    const phases = items.filter(({ phase }) => phase !== undefined);
    expect(phases.map(({ phase }) => phase)).toEqual(['PANA', 'PANA → IKE', 'IKE', 'IKE → BU', 'BU/BA']);
    for (const { result, milliseconds } of phases) expect(milliseconds !== undefined).toBe(result === 'yes');
    expect(await left(lab.child.pid)).toEqual(NOTHING);
  });

  it('reports the steps completed before a daemon dies, and cleans up', async () => {
    const lab = start();
    await reached(lab, 'Starting pana-pac');
    const isPac = async (pid: string) =>
      (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('/pac/main.js');
    const node = async () => {
      const { stdout } = await run('ip', ['netns', 'pids', `pana-lab-${lab.child.pid}-MN`]);
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
