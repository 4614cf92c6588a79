import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import { eventually } from '../eventually.js';

const DEFINITIONS = `
option dhcp6.mip6-hnidf code 49 = string;
option dhcp6.mip6-vdinf code 50 = string;
option dhcp6.mip6-idinf code 69 = string;
option dhcp6.mip6-udinf code 70 = string;
also request dhcp6.mip6-hnidf, dhcp6.mip6-vdinf, dhcp6.mip6-idinf;
`;

const CONTAINERS = [
  ['mip6-vdinf', 50],
  ['mip6-idinf', 69],
] as const;

/** The configuration of Kea with home agents of its own in option 50, and what relay agents supply in option 69. */
function keaConfiguration(listen: string, visitedAgent: string, supplied = true, identifiedAgent?: string): object {
  const home = (space: string, agent: string) => [{ name: 'haa', space, data: agent }];
  return {
    Dhcp6: {
      'interfaces-config': { interfaces: [listen] },
      'lease-database': { type: 'memfile', persist: false },
      ...(supplied ? { 'relay-supplied-options': ['69'] } : {}),
      'option-def': CONTAINERS.flatMap(([name, code]) => [
        { name, code, space: 'dhcp6', type: 'empty', encapsulate: `${name}-space` },
        { name: 'haa', code: 72, space: `${name}-space`, type: 'ipv6-address' },
      ]),
      'option-data': [
        { name: 'mip6-vdinf', space: 'dhcp6' },
        ...home('mip6-vdinf-space', visitedAgent),
        ...(identifiedAgent === undefined
          ? []
          : [{ name: 'mip6-idinf', space: 'dhcp6' }, ...home('mip6-idinf-space', identifiedAgent)]),
      ],
      subnet6: [
        {
          id: 1,
          subnet: '2001:db8:a::/64',
          ...(listen.includes('/') ? {} : { interface: listen }),
        },
      ],
      loggers: [{ name: 'kea-dhcp6', severity: 'INFO', output_options: [{ output: 'stdout' }] }],
    },
  };
}

interface KeaOptions {
  readonly namespace: string;
  readonly folder: string;
  /** An interface, with an address for unicast: `s0/2001:db8:f::2`. */
  readonly listen: string;
  readonly visitedAgent: string;
  readonly identifiedAgent?: string;
}

/**
 * Starts Kea in a network namespace and a mount namespace with its own /var/lib and /etc/resolv.conf. It ends when the
 * test finishes.
 */
export async function startKea({
  namespace,
  folder,
  listen,
  visitedAgent,
  identifiedAgent,
}: KeaOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = `${folder}/kea.json`;
  await writeFile(file, JSON.stringify(keaConfiguration(listen, visitedAgent, true, identifiedAgent)));
  const kea = isolated(
    namespace,
    'mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/kea && exec kea-dhcp6 -c "$0"',
    [file],
    { KEA_PIDFILE_DIR: folder, KEA_LOCKFILE_DIR: 'none' },
  );
  let output = '';
  for (const stream of [kea.stdout, kea.stderr]) stream?.on('data', (text) => (output += String(text)));
  await eventually(() => {
    if (kea.exitCode !== null) throw new Error(output);
    return output.includes('DHCP6_STARTED') || output.includes('DHCPSRV_MEMFILE_NO_STORAGE') ? true : undefined;
  });
}

/** The options that dhclient got, as hexadecimal text, by the name that its script sees. */
export type Received = ReadonlyMap<string, string>;

/**
 * Asks with `dhclient -6 -S` in a network namespace and a mount namespace with its own /etc/resolv.conf. Its script only
 * writes what it got, and does what `more` says.
 */
export async function askByDhcp(namespace: string, access: string, folder: string, more = ''): Promise<Received> {
  await mkdir(folder, { recursive: true });
  const path = (name: string) => `${folder}/${name}`;
  await writeFile(path('resolv.conf'), '');
  await writeFile(path('dhclient.conf'), DEFINITIONS);
  await writeFile(path('script'), `#!/bin/sh\nenv >>${path('options')}\n${more}\n`, { mode: 0o755 });
  const words = ['-6', '-S', '-1', '-d', '-cf', path('dhclient.conf'), '-sf', path('script')];
  const files = ['-lf', path('leases'), '-pf', path('pid'), access];
  const client = isolated(namespace, 'mount --bind "$0" /etc/resolv.conf && exec dhclient "$@"', [
    path('resolv.conf'),
    ...words,
    ...files,
  ]);
  const [status] = await once(client, 'exit');
  if (status !== 0) throw new Error(`dhclient: status ${status}`);
  const text = await readFile(path('options'), 'utf8');
  return new Map(
    [...text.matchAll(/^new_dhcp6_(\S+)=([0-9a-f:]+)$/gm)].map(([, name = '', value = '']) => [
      name,
      value
        .split(':')
        .map((octet) => octet.padStart(2, '0'))
        .join(''),
    ]),
  );
}

/** Runs a shell command in a network namespace with private mounts. It ends when the test finishes. */
function isolated(
  namespace: string,
  command: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-c', command, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...environment },
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  });
  return child;
}
