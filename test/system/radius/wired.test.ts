import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Lab, Place } from '../../../dist/lab/lab.js';
import type { Session } from '../../../src/protocol/home/records.js';
import { operate } from '../../daemons/two-home-agents.js';
import { eventually } from '../../eventually.js';
import { AccessNetwork, announce, missing } from '../access-network.js';
import { SECRET, startRadius } from './eapol.js';

const MN = 'mn1@home.example';
/** A namespace has all ports to itself. */
const DAE_PORT = 3799;

interface Program {
  /** Resolves when the program has printed a line that matches, after so many earlier ones. */
  readonly says: (pattern: RegExp, times?: number) => Promise<unknown>;
}

/** Runs a program in a network namespace until the test finishes. */
function runIn(namespace: string, ...command: readonly string[]): Program {
  const words = ['netns', 'exec', namespace, ...command];
  const child: ChildProcess = spawn('ip', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const lines: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    if (input) createInterface({ input }).on('line', (line) => lines.push(line));
  }
  const says = (pattern: RegExp, times = 1) =>
    eventually(() => {
      if (lines.filter((line) => pattern.test(line)).length < times) {
        throw new Error(`${command[0]} does not say ${pattern}: ${lines.slice(-20).join('\n')}`);
      }
    });
  return { says };
}

/** hostapd as an authenticator of IEEE 802.1X on the wire of the node. */
async function startHostapd(lab: Lab, namespace: string, auth: Place, acct: Place): Promise<Program> {
  const path = lab.path('hostapd.conf');
  await writeFile(
    path,
    `interface=ar0
driver=wired
logger_stdout=-1
logger_stdout_level=0
ieee8021x=1
use_pae_group_addr=1
own_ip_addr=127.0.0.1
nas_identifier=switch1
auth_server_addr=${auth.address}
auth_server_port=${auth.port}
auth_server_shared_secret=${SECRET}
acct_server_addr=${acct.address}
acct_server_port=${acct.port}
acct_server_shared_secret=${SECRET}
radius_das_port=${DAE_PORT}
radius_das_client=127.0.0.1 ${SECRET}
radius_das_require_event_timestamp=1
`,
    { mode: 0o600 },
  );
  const hostapd = runIn(namespace, 'hostapd', path);
  await hostapd.says(/AP-ENABLED/);
  return hostapd;
}

async function startSupplicant(lab: Lab, namespace: string, name: string): Promise<Program> {
  const path = lab.path(`${name}-wired.conf`);
  const pki = (file: string) => lab.path('pki', file);
  await writeFile(
    path,
    `ap_scan=0
network={
  key_mgmt=IEEE8021X
  eap=TLS
  eapol_flags=0
  identity="@home.example"
  ca_cert="${pki('ca.pem')}"
  client_cert="${pki(`${name}.pem`)}"
  private_key="${pki(`${name}-key.pem`)}"
  phase1="tls_disable_tlsv1_3=0 tls_disable_session_ticket=0"
}
`,
    { mode: 0o600 },
  );
  return runIn(namespace, 'wpa_supplicant', '-D', 'wired', '-i', 'mn0', '-c', path);
}

const isReady = announce('hostapd and wpa_supplicant on a wire', missing('hostapd', 'wpa_supplicant'));

describe.skipIf(!isReady)('A switch with IEEE 802.1X', () => {
  it('authenticates a node at the AAA server, accounts for it, and is told to end its session', async () => {
    const net = await AccessNetwork.make();
    const lab = await net.lab({ family: 'ipv4' });
    const client = { name: 'switch1', from: ['127.0.0.1'], 'secret-file': lab.path('nas.secret') };
    const { daemon, place, accounting } = await startRadius(lab, {
      clients: [{ ...client, dae: { address: '127.0.0.1', port: DAE_PORT } }],
    });
    await lab.addSubscriber(MN, 'mn1');
    const sessions = async () =>
      ((await lab.administer('aaa', 'listSessions', { of: MN })) as { items: readonly Session[] }).items;

    const hostapd = await startHostapd(lab, net.router, place, accounting);
    const supplicant = await startSupplicant(lab, net.node, 'mn1');
    await supplicant.says(/CTRL-EVENT-EAP-SUCCESS/);
    await hostapd.says(/AP-STA-CONNECTED/);
    expect(await daemon.line('authentication succeeded')).toMatchObject({ tls: 'TLSv1.3' });
    expect((await sessions()).map(({ sessionId }) => sessionId)).toEqual([expect.stringMatching(/^radius;switch1;/)]);
    await daemon.line('accounting received', ({ message }) => message === 'Start');

    // The Disconnect-Request names the session as the switch does; the switch then sends the Stop.
    const { stdout, status } = await operate(lab, 'session', 'disconnect', MN);
    expect([stdout, status]).toEqual([expect.any(String), 0]);
    await hostapd.says(/AP-STA-DISCONNECTED/);
    await daemon.line('accounting received', ({ message }) => message === 'Stop');
  });
});
