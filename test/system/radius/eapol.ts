import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import type { Lab, Place, Tree } from '../../../dist/lab/lab.js';
import { within } from '../../eventually.js';

/** The shared secret of the clients of these tests. */
export const SECRET = 'a secret of more than sixteen octets';

/** phase1 of eapol_test: by default it offers neither TLS 1.3 nor session tickets. */
export const TLS = {
  'TLSv1.2': 'tls_disable_tlsv1_3=1 tls_disable_session_ticket=0',
  'TLSv1.3': 'tls_disable_tlsv1_3=0 tls_disable_session_ticket=0',
} as const;

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a program to its end. `input`: for its standard input. */
export async function runProgram(command: string, parameters: readonly string[], input = ''): Promise<Ran> {
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    return { status: await within(ended, `${command} ends`), output };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Starts an AAA server with RADIUS on loopback, whose clients are on this host. */
export async function startRadius(
  lab: Lab,
  more: Tree = {},
): Promise<{ readonly daemon: DaemonProcess; readonly place: Place; readonly accounting: Place }> {
  await writeFile(lab.path('nas.secret'), `${SECRET}\n`, { mode: 0o600 });
  const { daemon } = await lab.startAaa('aaa', {
    radius: {
      listen: ['127.0.0.1'],
      port: 0,
      'accounting-port': 0,
      clients: [
        { name: 'nas1', from: ['127.0.0.0/8'], 'secret-file': lab.path('nas.secret') },
        { name: 'nas2', from: ['127.0.0.2'], 'secret-file': lab.path('nas.secret') },
      ],
      ...more,
    },
  });
  const listening = (await daemon.line('ready'))['listening'] as Place[];
  const [, place, accounting = place] = listening;
  if (!place || !accounting) throw new Error('the AAA server does not listen for RADIUS');
  return { daemon, place, accounting };
}

export interface EapolChoice {
  readonly tls?: keyof typeof TLS;
  readonly fragment?: number;
  /** Number of authentications after the first one. */
  readonly again?: number;
  /** Further attributes of the Access-Requests, as eapol_test takes them. */
  readonly attributes?: readonly string[];
  readonly secret?: string;
  readonly timeout?: number;
}

/** Authenticates as the node with this certificate. */
export async function eapol(lab: Lab, { address, port }: Place, name: string, choice: EapolChoice = {}): Promise<Ran> {
  const { tls = 'TLSv1.3', fragment = 1398, again = 0, attributes = [], secret = SECRET, timeout = 30 } = choice;
  const path = lab.path(`eapol-${name}.conf`);
  await writeFile(
    path,
    `network={
  key_mgmt=IEEE8021X
  eap=TLS
  identity="@home.example"
  ca_cert="${lab.path('pki', 'ca.pem')}"
  client_cert="${lab.path('pki', `${name}.pem`)}"
  private_key="${lab.path('pki', `${name}-key.pem`)}"
  fragment_size=${fragment}
  phase1="${TLS[tls]}"
}
`,
  );
  return runProgram('eapol_test', [
    ...['-c', path, '-a', address, '-p', String(port), '-s', secret, '-t', String(timeout), '-r', String(again)],
    ...attributes.flatMap((attribute) => ['-N', attribute]),
  ]);
}

/** Values of an attribute in the last Access-Accept that eapol_test shows. */
export function valuesOf(output: string, attribute: number): string[] {
  const accept = output.slice(output.lastIndexOf('(Access-Accept)'));
  const values: string[] = [];
  for (const [, type, value = ''] of accept.matchAll(/Attribute (\d+) \([^)]*\) length=\d+\n(?: {6}Value: (.*)\n)?/g)) {
    if (Number(type) === attribute) values.push(value);
  }
  return values;
}
