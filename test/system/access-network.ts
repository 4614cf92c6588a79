import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Lab, type LabOptions } from '../../dist/lab/lab.js';

const run = promisify(execFile);

export const ROUTER = '2001:db8:a::1';
export const NODE = '2001:db8:a::11';

/** What is missing for tests with network namespaces; undefined if nothing is. */
export function missing(...programs: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  for (const program of ['ip', ...programs]) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `they need ${program}`;
    }
  }
  return undefined;
}

/** Says so, loudly, when a group of tests is skipped. */
export function announce(group: string, why: string | undefined): boolean {
  if (why !== undefined) process.stderr.write(`\n*** SKIPPED: ${group}: ${why} ***\n\n`);
  return why === undefined;
}

let made = 0;

/**
 * A mobile node and an access router, each in a network namespace of its own, with a link between them; for one test, at the
 * end of which it is removed.
 */
export class AccessNetwork {
  readonly node: string;
  readonly router: string;

  private constructor() {
    made += 1;
    this.node = `pmn${process.pid}-${made}`;
    this.router = `par${process.pid}-${made}`;
  }

  static async make(): Promise<AccessNetwork> {
    const network = new AccessNetwork();
    onTestFinished(() => network.#remove());
    const { node, router } = network;
    for (const name of [node, router]) {
      await run('ip', ['netns', 'add', name]);
      // An address can be used at once: nobody else is there.
      for (const which of ['all', 'default']) {
        await network.exec(name, 'sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${which}/accept_dad`);
      }
      await network.ip(name, 'link', 'set', 'lo', 'up');
    }
    await run('ip', ['link', 'add', 'mn0', 'netns', node, 'type', 'veth', 'peer', 'name', 'ar0', 'netns', router]);
    await network.ip(router, 'address', 'add', `${ROUTER}/64`, 'dev', 'ar0', 'nodad');
    await network.ip(node, 'address', 'add', `${NODE}/64`, 'dev', 'mn0', 'nodad');
    await network.ip(router, 'link', 'set', 'ar0', 'up');
    await network.ip(node, 'link', 'set', 'mn0', 'up');
    return network;
  }

  /** An `ip` command in a namespace. */
  async ip(namespace: string, ...parameters: readonly string[]): Promise<void> {
    await run('ip', ['-n', namespace, ...parameters]);
  }

  /** Any command in a namespace. */
  async exec(namespace: string, ...command: readonly string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', namespace, ...command])).stdout;
  }

  /** A lab whose PaCs run on the node, and the rest on the router; it is closed at the end of the test. */
  async lab(options: LabOptions = {}): Promise<Lab> {
    const launcher = (daemon: string) => ['ip', 'netns', 'exec', daemon === 'pac' ? this.node : this.router];
    const lab = await Lab.make({ ...options, launcher, paa: { pana: { listen: [ROUTER] }, ...options.paa } });
    onTestFinished(async () => {
      await lab.close();
    });
    return lab;
  }

  async #remove(): Promise<void> {
    for (const name of [this.node, this.router]) await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  }
}
