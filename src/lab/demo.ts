import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError } from '../errors/coded-error.js';
import { print, table } from '../runtime/cli/cli.js';
import type { LogLine } from '../runtime/cli/ladder.js';
import { drawLadder, rungs } from '../runtime/cli/ladder.js';
import { OperatorError } from '../runtime/system/failure.js';
import type { DaemonProcess } from './daemon-process.js';
import { hasIpv6, Lab, REALM, type Tree } from './lab.js';
import { quantile } from './statistics.js';

export interface DemoOptions {
  readonly keep: boolean;
  readonly tls: '1.2' | '1.3';
  readonly localHomeAgent: boolean;
  readonly nodes: number;
  /** Open the daemons' web pages, and keep everything running until SIGINT. */
  readonly web: boolean;
  /** Open the pages in this host's browser. */
  readonly browser: boolean;
}

/** Limit of the number of nodes. More processes would measure the machine's memory. */
const MAX_NODES = 200;

/** See DaemonProcess.exited. */
const ENDED_BY_SIGNAL = 128;

/** Exit status of a program that SIGINT ends. */
const INTERRUPTED = 130;

/** How long the guest of a demo with pages stays, and is away, in milliseconds. */
const GUEST_STAYS = 7_500;

/** How much later than a daemon this process may get the signal of Ctrl-C, in milliseconds. */
const SIGNAL_DELAY = 500;

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
  const interruption = new Interruption();
  print(`Making a CA and certificates (RSA), and configurations for three daemons …`);
  const lab = await Lab.make({
    family,
    keys: 'rsa',
    localHomeAgent: options.localHomeAgent,
    ...(options.tls === '1.2' ? { aaa: { tls: { 'max-version': '1.2' } } } : {}),
  });
  let keep = options.keep;
  try {
    if (!interruption.came) await Promise.race([bootstrap(lab, options), interruption.promise]);
  } catch (error) {
    // A daemon that Ctrl-C has ended may be noticed first.
    await Promise.race([interruption.promise, pause(SIGNAL_DELAY)]);
    if (!interruption.came) {
      keep = true;
      print(`\nThe demo failed. Its files are in ${lab.folder}.`);
      throw error;
    }
  } finally {
    const statuses = await lab.close(keep);
    // At Ctrl-C a daemon may not have come as far as to handle signals.
    if (statuses.some((status) => status !== 0 && !(interruption.came && status === ENDED_BY_SIGNAL))) {
      process.exitCode = 1;
      print(`A daemon did not stop cleanly: exit statuses ${statuses.join(', ')}.`);
    }
    if (interruption.came && !options.web) process.exitCode ||= INTERRUPTED;
    interruption.ignore();
  }
  if (options.keep) print(howToGoOn(lab));
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C, or SIGTERM. A second one ends this process at once. */
class Interruption {
  came = false;
  #onSignal: () => void = () => undefined;
  /** Resolves when the signal comes. */
  readonly promise = new Promise<void>((resolve) => {
    this.#onSignal = () => {
      this.came = true;
      this.ignore();
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  });

  /** Gives the signals back to the system. */
  ignore(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}

async function bootstrap(lab: Lab, options: DemoOptions): Promise<void> {
  const { daemon: aaa, place: aaaPlace } = await lab.startAaa('aaa', webOf(lab, options));
  print(`pana-aaa  pid ${aaa.pid}  Diameter EAP on ${at(aaaPlace)} (TCP)`);
  const { daemon: paa, place: paaPlace } = await lab.startPaa(aaaPlace, 'paa', webOf(lab, options));
  print(`pana-paa  pid ${paa.pid}  PANA on ${at(paaPlace)} (UDP)`);
  if (options.web) await showPages(lab, [aaa, paa], options);
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
  // Ctrl-C reaches the daemons too, so that the end of the session cannot be shown.
  if (options.web) await keepRunning(lab, options);
  else await terminate(lab, nodes, { aaa, paa }, options);
}

/** Configures the web page of a daemon, on any free port. The daemons of the demo have one token. */
function webOf(lab: Lab, { web }: DemoOptions): Tree {
  return web ? { control: { web: '127.0.0.1:0', 'web-token': lab.path('web-token') } } : {};
}

/** Prints where the pages of daemons are, and opens them if wanted. */
async function showPages(lab: Lab, daemons: readonly DaemonProcess[], { browser }: DemoOptions): Promise<void> {
  for (const daemon of daemons) {
    const [place] = (await daemon.line('web page ready'))['listening'] ?? [];
    const url = `http://127.0.0.1:${place?.port}/`;
    print(`          page of ${daemon.name === 'aaa' || daemon.name === 'paa' ? 'pana-' : ''}${daemon.name}: ${url}`);
    if (browser) openInBrowser(url);
  }
  const [first] = daemons;
  if (first?.name === 'aaa')
    print(`          token for all pages: ${(await readFile(lab.path('web-token'), 'utf8')).trim()}`);
}

function openInBrowser(url: string): void {
  const program = spawn(process.platform === 'darwin' ? 'open' : 'xdg-open', [url], {
    stdio: 'ignore',
    detached: true,
  });
  program.on('error', ({ message }) => print(`The browser was not opened: ${message}`));
  program.unref();
}

/** Keeps everything running. A guest comes and goes meanwhile, so that there is something to see. */
async function keepRunning(lab: Lab, options: DemoOptions): Promise<never> {
  print('\nEverything keeps running. A guest comes and goes every 15 seconds. Ctrl-C ends the demo.');
  await lab.addSubscriber(`guest@${REALM}`, 'guest');
  for (;;) {
    const guest = await lab.startPac('guest', {
      tls: { 'min-version': options.tls, 'max-version': options.tls },
    });
    await guest.line('bootstrap completed');
    await pause(GUEST_STAYS);
    await guest.stop();
    await pause(GUEST_STAYS);
  }
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
    ...(name === 'mn1' ? webOf(lab, options) : {}),
  });
  if (name === 'mn1' && options.web) await showPages(lab, [daemon], options);
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
