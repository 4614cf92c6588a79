import { rm, writeFile } from 'node:fs/promises';
import { OperatorError } from '../../runtime/system/failure.js';
import { checkHost, describeAbilities } from './abilities.js';
import { Cases } from './cases.js';
import { CleanUp } from './clean-up.js';
import { FirstStart } from './first-start.js';
import { makeFolder, type NetworkHost, removeLeftovers } from './hosts.js';
import { Installation } from './installation.js';
import { picture } from './network.js';
import type { LabChoices, Way } from './options.js';
import type { Finding } from './report.js';
import { timelineOf } from './timeline.js';
import { goOneWay, type WayResult } from './ways.js';

export interface NetworkLabOptions {
  readonly choices: LabChoices;
  /** Called before the session ends, with commands to inspect the lab. */
  readonly look?: ((commands: string) => Promise<void>) | undefined;
  /** Shows the current step to the user. */
  readonly say: (text: string) => void;
  /** Ends the lab early. */
  readonly signal: AbortSignal;
}

/** Builds the lab, runs the paper's phases and the chosen cases, and removes what it built. Rejects with OperatorError. */
export function runNetworkLab(options: NetworkLabOptions): Promise<Finding[]> {
  return inLab(options, (folder, cleanUp) => findingsOf(folder, options, cleanUp));
}

/** Builds the lab, and a node goes each way, one after the other. Rejects with OperatorError. */
export function compareWays(options: NetworkLabOptions, ways: readonly Way[]): Promise<WayResult[]> {
  return inLab(options, (folder, cleanUp) => waysOf(folder, options, ways, cleanUp));
}

/** Runs `work` in a folder, and removes what it built. */
async function inLab<T>(
  options: NetworkLabOptions,
  work: (folder: string, cleanUp: CleanUp) => Promise<T>,
): Promise<T> {
  checkHost();
  const left = await removeLeftovers();
  if (left.length > 0) options.say(`Removed the remains of a killed lab: ${left.join(', ')}`);
  const folder = await makeFolder();
  const cleanUp = new CleanUp();
  await cleanUp.add({ stop: () => rm(folder, { recursive: true, force: true }) });
  const ended = new Promise<never>((_, reject) => {
    options.signal.addEventListener('abort', () => reject(new OperatorError('interrupted')));
  });
  try {
    return await Promise.race([work(folder, cleanUp), ended]);
  } finally {
    await cleanUp.run();
  }
}

async function waysOf(
  folder: string,
  { choices, say }: NetworkLabOptions,
  ways: readonly Way[],
  cleanUp: CleanUp,
): Promise<WayResult[]> {
  const made = await Installation.make(folder, choices, cleanUp, (abilities) =>
    say(`${describeAbilities(abilities).join('\n')}\n`),
  );
  say('Starting pana-aaa in the home network and pana-paa on the first access router; the second link is free …');
  await made.startForWays();
  const results: WayResult[] = [];
  for (const [index, way] of ways.entries()) {
    say(`MN${index + 1}: ${way} …`);
    const failed = (error: Error): WayResult => ({ way, result: 'no', detail: error.message.split('\n', 1)[0] ?? '' });
    results.push(await goOneWay(made, index + 1, way).catch(failed));
    if (cleanUp.begun) break;
  }
  return results;
}

/** Builds the lab and runs it. If a step fails, the failure is the last finding. */
async function findingsOf(folder: string, options: NetworkLabOptions, cleanUp: CleanUp): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await goThrough(folder, options, cleanUp, (finding) => findings.push(finding));
  } catch (error) {
    if (cleanUp.begun) return findings;
    const [reason = '', ...more] = (error as Error).message.split('\n');
    options.say(more.join('\n').trim());
    findings.push({ what: 'further steps', result: 'no', detail: reason });
  }
  return findings;
}

async function goThrough(
  folder: string,
  { choices, say, look }: NetworkLabOptions,
  cleanUp: CleanUp,
  found: (finding: Finding) => void,
): Promise<void> {
  const { nodes, handover, reauth, restartHa, timeline } = choices;
  say(`${4 + nodes - 1 + Number(handover)} hosts, each a network namespace:\n\n${picture(nodes, handover)}\n`);
  const made = await Installation.make(folder, choices, cleanUp, (abilities) =>
    say(`${describeAbilities(abilities).join('\n')}\n`),
  );
  say('Starting pana-aaa in the home network and pana-paa on each access router …');
  await made.startServers();
  const { node, times } = await new FirstStart(made, found).run(say);
  if (timeline !== undefined) {
    await writeFile(timeline, timelineOf(times));
    say(`Wrote ${timeline}`);
  }
  const cases = new Cases(made, node, found);
  for (let n = 2; n <= nodes; n += 1) {
    say(`Starting pana-pac on MN${n} …`);
    await cases.join(n);
  }
  if (reauth) {
    say('Re-authenticating MN1 …');
    await cases.reauthenticate();
  }
  if (handover) {
    say('Moving a node to AR2, and back …');
    await cases.handovers();
  }
  if (restartHa) {
    say('Killing the programs of the home agent …');
    await cases.restartHomeAgent();
  }
  await look?.(lookAround(made));
  say('Ending the sessions …');
  await cases.leave();
  await cases.end();
}

/** Commands that inspect the lab. */
function lookAround({ network, lab, abilities }: Installation): string {
  const on = (host: NetworkHost, command = '') => `  sh ${host.enter} ${command}`.trimEnd();
  return [
    `  pana-pac status --control.socket ${lab.socket('mn1')}`,
    `  pana-paa session list --control.socket ${lab.socket('paa')}`,
    `  pana-aaa lease list -c ${lab.path('aaa.yaml')}`,
    on(network.router('a'), abilities.enforcement.show),
    on(network.HA, 'swanctl --list-sas'),
    on(network.node(1)),
  ].join('\n');
}
