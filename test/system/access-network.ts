import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Lab, type LabOptions } from '../../dist/lab/lab.js';

const run = promisify(execFile);

export const ROUTER = '2001:db8:a::1';
export const NODE = '2001:db8:a::11';

/** Why tests with network namespaces are skipped; undefined: they can run. */
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

/** Reports that a group of tests is skipped; returns whether it can run. */
export function announce(group: string, why: string | undefined): boolean {
  if (why !== undefined) process.stderr.write(`\n*** SKIPPED: ${group}: ${why} ***\n\n`);
  return why === undefined;
}

let made = 0;

/**
 * A mobile node and an access router in network namespaces with a link between them. They are removed when the test
 * finishes.
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
      // Addresses can be used at once, because no other host exists.
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

  /** Runs an `ip` command in a namespace. */
  async ip(namespace: string, ...parameters: readonly string[]): Promise<void> {
    await run('ip', ['-n', namespace, ...parameters]);
  }

  /** Runs a command in a namespace. */
  async exec(namespace: string, ...command: readonly string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', namespace, ...command])).stdout;
  }

  /** A lab with its PaCs on the node and the other daemons on the router; it is closed when the test finishes. */
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
