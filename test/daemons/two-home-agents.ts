import { expect } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { HOME_AGENT, type Lab } from '../../dist/lab/lab.js';
import type { HomeAgent } from '../../src/protocol/home/records.js';
import { type Ended, run } from './program.js';

/** Address of `ha2`, next to the lab's own home agent. */
export const OTHER = '2001:db8:2::1';

export interface Scene {
  readonly made: Lab;
  readonly aaa: DaemonProcess;
  readonly pac: DaemonProcess;
}

/** Starts a node on the first of two home agents. `configuration` is merged into the AAA server's. */
export async function nodeOnFirst(made: Lab, configuration: Parameters<Lab['startAaa']>[1] = {}): Promise<Scene> {
  const { daemon: aaa, place } = await made.startAaa('aaa', configuration);
  await made.startPaa(place);
  const added = await operate(
    made,
    'home-agent',
    'add',
    'ha2',
    '--address',
    OTHER,
    '--host',
    'ha2.home.example',
    '--prefix',
    '2001:db8:2::/64',
    // The IKE version for which the lab's hooks write files.
    '--ike',
    'ikev1',
  );
  expect(added).toMatchObject({ status: 0 });
  await made.addSubscriber('mn1@home.example', 'mn1');
  const pac = await made.startPac('mn1');
  expect(await pac.line('bootstrap completed')).toMatchObject({ homeAgent: HOME_AGENT });
  await aaa.line('hook done', ({ event }) => event === 'up');
  return { made, aaa, pac };
}

/** Runs a command of pana-aaa on the lab's server, or on its store if no server runs. */
export function operate(made: Lab, ...parameters: readonly string[]): Promise<Ended> {
  return run('aaa', [...parameters, '--control.socket', made.socket('aaa'), '--store', made.path('aaa.db')]);
}

/** The states of the home agents by name. */
export async function agents(made: Lab): Promise<Record<string, Pick<HomeAgent, 'state' | 'failedBy' | 'leases'>>> {
  const list = (await made.administer('aaa', 'listHomeAgents', {})) as HomeAgent[];
  return Object.fromEntries(list.map(({ name, state, failedBy, leases }) => [name, { state, failedBy, leases }]));
}
