import { readdir } from 'node:fs/promises';
import { relative } from 'node:path';
import { CodedError } from '../errors/coded-error.js';
import { print, table } from '../runtime/cli/cli.js';
import type { LogLine } from '../runtime/cli/ladder.js';
import { drawLadder, rungs } from '../runtime/cli/ladder.js';
import { OperatorError } from '../runtime/system/failure.js';
import type { DaemonProcess } from './daemon-process.js';
import { hasIpv6, Lab, REALM } from './lab.js';
import { quantile } from './statistics.js';

export interface DemoOptions {
  readonly keep: boolean;
  readonly tls: '1.2' | '1.3';
  readonly localHomeAgent: boolean;
  readonly nodes: number;
}

/** Limit of the number of nodes. More processes would measure the machine's memory. */
const MAX_NODES = 200;

/** Files in a hook's folder that the hook did not write: its settings, and the key file while it runs. */
const NOT_SHOWN = ['/hooks.conf', '/local-leases.json', '/keys'];

/** A step of the demo failed. */
class DemoError extends CodedError<'ERR_DEMO'> {
  override readonly name = 'DemoError';

  constructor(message: string) {
    super('ERR_DEMO', message);
  }
}

interface Node {
  readonly name: string;
  readonly nai: string;
  readonly daemon: DaemonProcess;
  readonly bootstrapped: LogLine;
  readonly authorized: LogLine;
}

/** Runs the demo: a whole bootstrap with all daemons. Throws if any part of it fails. */
export async function runDemo(options: DemoOptions): Promise<void> {
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > MAX_NODES) {
    throw new OperatorError(`--nodes: ${options.nodes} is not a whole number from 1 to ${MAX_NODES}`);
  }
  const family = (await hasIpv6()) ? 'ipv6' : 'ipv4';
  print(`Making a CA and certificates (RSA), and configurations for three daemons …`);
  const lab = await Lab.make({
    family,
    keys: 'rsa',
    localHomeAgent: options.localHomeAgent,
    ...(options.tls === '1.2' ? { aaa: { tls: { 'max-version': '1.2' } } } : {}),
  });
  let keep = options.keep;
  try {
    await bootstrap(lab, options);
  } catch (error) {
    keep = true;
    print(`\nThe demo failed. Its files are in ${lab.folder}.`);
    throw error;
  } finally {
    const statuses = await lab.close(keep);
    if (statuses.some((status) => status !== 0)) {
      process.exitCode = 1;
      print(`A daemon did not stop cleanly: exit statuses ${statuses.join(', ')}.`);
    }
  }
  if (options.keep) print(howToGoOn(lab));
}

async function bootstrap(lab: Lab, options: DemoOptions): Promise<void> {
  const { daemon: aaa, place: aaaPlace } = await lab.startAaa();
  print(`pana-aaa  pid ${aaa.pid}  Diameter EAP on ${at(aaaPlace)} (TCP)`);
  const { daemon: paa, place: paaPlace } = await lab.startPaa(aaaPlace);
  print(`pana-paa  pid ${paa.pid}  PANA on ${at(paaPlace)} (UDP)`);
  const nodes: Node[] = [];
  for (let i = 1; i <= options.nodes; i += 1) {
    const node = await startNode(lab, `mn${i}`, options);
    nodes.push(node);
    if (i === 1) showBootstrap(node, paa);
    else if (process.stdout.isTTY) process.stdout.write(`\r${i} of ${options.nodes} nodes`);
  }
  if (options.nodes > 1) print('\n');
  const granted = options.localHomeAgent ? paa : aaa;
  for (const node of nodes) await checkKeys(node, granted, options);
  await showFiles(lab, nodes, granted);
  if (nodes.length > 1) showTimes(nodes);
  await terminate(lab, nodes, { aaa, paa }, options);
}

function at({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address} port ${port}`;
}

async function startNode(lab: Lab, name: string, options: DemoOptions): Promise<Node> {
  const nai = `${name}@${REALM}`;
  await lab.addSubscriber(nai, name);
  const daemon = await lab.startPac(name, {
    tls: { 'min-version': options.tls, 'max-version': options.tls },
    mobility: { 'home-agent': options.localHomeAgent ? 'local' : 'home' },
  });
  if (name === 'mn1') print(`pana-pac  pid ${daemon.pid}  ${nai}\n`);
  const bootstrapped = await daemon.line('bootstrap completed');
  return { name, nai, daemon, bootstrapped, authorized: await daemon.line('session authorized') };
}

function showBootstrap({ daemon, authorized, bootstrapped }: Node, paa: DaemonProcess): void {
  const until = bootstrapped.at;
  print(drawLadder(rungs(daemon.lines, paa.lines).filter((rung) => rung.at <= until)));
  print(`
Authorized after ${authorized.duration} ms (PCI to PAN[C]), protected with ${authorized['protection']}.
  home agent    ${bootstrapped['homeAgent']} (${bootstrapped['homeAgentHost']})
  home address  ${bootstrapped['homeAddress']}
  IKE identity  ${bootstrapped.ikeIdentity}
  lifetime      ${bootstrapped['lifetime']} s
  granted       ${bootstrapped['capability']}`);
}

async function checkKeys(node: Node, granted: DaemonProcess, { localHomeAgent }: DemoOptions): Promise<void> {
  const message = localHomeAgent ? 'local home agent granted' : 'lease assigned';
  const line = await granted.line(message, ({ nai }) => nai === node.nai);
  const ours = node.bootstrapped['fingerprint'];
  const theirs = line['fingerprint'];
  if (ours !== theirs) throw new DemoError(`the keys of ${node.nai} differ: ${String(ours)} and ${String(theirs)}`);
  if (node.name !== 'mn1') return;
  print(`
IKE key, as the first digits of its hash (the key itself is never logged):
  mobile node   ${String(ours)}
  ${localHomeAgent ? 'access router' : 'home network '} ${String(theirs)}  equal`);
}

async function showFiles(lab: Lab, nodes: readonly Node[], granted: DaemonProcess): Promise<void> {
  for (const node of nodes) {
    await node.daemon.line('hook done', ({ event }) => event === 'up');
    await granted.line('hook done', ({ event, subject }) => event === 'up' && subject === `ha ${node.nai}`);
  }
  print('\nWritten by the hooks (racoon, IPsec policy and Mobile IPv6; in dry mode, so nothing was started):');
  const shown = ['mn1', granted.name];
  for (const name of shown) {
    const folder = lab.path('hooks', name);
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`)
      .filter((file) => !NOT_SHOWN.some((part) => file.includes(part)))
      .sort();
    if (files.length === 0) throw new DemoError(`the hook of ${name} wrote no file`);
    for (const file of files) print(`  ${relative(lab.folder, file)}`);
  }
}

function showTimes(nodes: readonly Node[]): void {
  const times = nodes.map(({ authorized }) => Number(authorized.duration));
  print(
    `\n${table(
      ['NODES', 'MEDIAN', 'P95', 'SLOWEST'],
      [[String(nodes.length), ...[0.5, 0.95, 1].map((part) => `${quantile(times, part)} ms`)]],
    )}`,
  );
}

async function terminate(
  lab: Lab,
  nodes: readonly Node[],
  { aaa, paa }: { readonly aaa: DaemonProcess; readonly paa: DaemonProcess },
  { localHomeAgent }: DemoOptions,
): Promise<void> {
  const leases = await lab.leases();
  const before = (leases as readonly unknown[]).length;
  if (before !== (localHomeAgent ? 0 : nodes.length)) throw new DemoError(`the store holds ${before} leases`);
  await Promise.all(nodes.map(({ daemon }) => daemon.stop()));
  const [first] = nodes;
  for (const { bootstrapped, nai } of nodes) {
    if (localHomeAgent) await paa.line('session ended', (line) => line.nai === nai);
    else await aaa.line('lease released', ({ homeAddress }) => homeAddress === bootstrapped['homeAddress']);
  }
  const end = first?.daemon.lines.findLast(({ msg }) => msg === 'stopping')?.at ?? 0;
  print(`\nTerminated:\n${drawLadder(rungs(first?.daemon.lines ?? [], paa.lines).filter((rung) => rung.at >= end))}`);
  const after = (await lab.leases()).length;
  if (after !== 0) throw new DemoError(`${after} leases are still held`);
  print(
    localHomeAgent
      ? '\nThe access router has released the home address.'
      : `\nThe lease was released: ${before} before, ${after} now.`,
  );
}

function howToGoOn(lab: Lab): string {
  const run = (name: string, program: string) => `  npx ${program} run -c ${lab.path(`${name}.yaml`)}`;
  return `
All files are kept in ${lab.folder}. To continue by hand, run each in its own terminal:
${run('aaa', 'pana-aaa')}
${run('paa', 'pana-paa')}
${run('mn1', 'pana-pac')}
  npx pana-aaa lease list -c ${lab.path('aaa.yaml')}
  npx pana-pac status -c ${lab.path('mn1.yaml')}`;
}
