import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HookOutcome } from '../../protocol/hooks/alphabet.js';
import type { HookVariables } from '../../protocol/hooks/contract.js';
import { HostProcesses } from '../../runtime/hooks/process.js';
import { type HookJob, type HookLane, HookRunner } from '../../runtime/hooks/runner.js';
import { systemHost } from '../../runtime/system/host.js';
import { hookPath } from '../lab.js';

/** The result that the process prints as JSON. Times in milliseconds. */
export interface EnforcementFigures {
  /** Time to permit all clients at once: with one run of the hook for each, and in batches. */
  readonly alone: number;
  readonly batched: number;
  /** Permits one after another. */
  readonly one: readonly number[];
}

const INTERFACE = 'access0';
const SINGLES = 200;
const WARM_UP = 5;
/** The defaults of `hooks.parallel` and `hooks.timeout`. */
const PARALLEL = 8;
const TIMEOUT = 30_000;

/** Address and MAC address of the nth client. */
const address = (n: number) => `2001:db8:a::${(n + 1).toString(16)}`;
const mac = (n: number) =>
  `02:00:00:${[16, 8, 0].map((bits) => ((n >> bits) & 0xff).toString(16).padStart(2, '0')).join(':')}`;

function system(program: string, parameters: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, parameters, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    // The hook need not read its input.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

/** Creates a link and neighbour entries for the clients. */
async function makeLink(clients: number): Promise<void> {
  await system('ip', ['link', 'add', INTERFACE, 'type', 'veth', 'peer', 'name', 'clients0']);
  for (const name of [INTERFACE, 'clients0']) await system('ip', ['link', 'set', name, 'up']);
  const neighbours = Array.from(
    { length: clients },
    (_, n) => `neigh replace ${address(n)} lladdr ${mac(n)} dev ${INTERFACE} nud permanent\n`,
  );
  await system('ip', ['-batch', '-'], neighbours.join(''));
}

async function isIn(n: number): Promise<boolean> {
  const sets = await system('nft', ['list', 'set', 'inet', 'pana_ep', 'clients6']);
  return sets.includes(`${address(n)} . ${mac(n)}`);
}

async function measure(clients: number, stateDir: string): Promise<EnforcementFigures> {
  await makeLink(clients);
  const runner = new HookRunner({
    stateDir,
    timeout: TIMEOUT,
    maxParallel: PARALLEL,
    onEvent: () => undefined,
    host: systemHost,
    processes: new HostProcesses(systemHost),
  });
  const program = hookPath('ep-nft.sh');
  const lane: HookLane = { name: 'ep', variables: { interface: INTERFACE } };
  const job = (event: 'start' | 'permit', subject: string, variables: HookVariables): HookJob => ({
    program,
    role: 'ep',
    event,
    subject,
    variables: { ...variables, interface: INTERFACE },
  });
  const permit = (n: number) =>
    job('permit', `ep ${n}`, { session: n.toString(16).padStart(8, '0'), careOfAddress: address(n), lifetime: 3600 });
  const worked = async (results: readonly Promise<HookOutcome>[]) => {
    if ((await Promise.all(results)).some(({ ok }) => !ok)) throw new Error('a hook failed');
  };
  const start = () => worked([runner.run(job('start', 'ep', {}))]);
  const everybody = Array.from({ length: clients }, (_, n) => n);
  const all = async (run: (given: HookJob) => Promise<HookOutcome>) => {
    await start();
    for (let n = 0; n < WARM_UP; n += 1) await worked([run(permit(n))]);
    await start();
    const began = performance.now();
    await worked(everybody.map((n) => run(permit(n))));
    const milliseconds = performance.now() - began;
    if (!(await isIn(clients - 1))) throw new Error('a client was not permitted');
    return milliseconds;
  };

  const alone = await all((given) => runner.run(given));
  const batched = await all((given) => runner.run({ ...given, lane }));
  const one: number[] = [];
  for (let n = 0; n < SINGLES; n += 1) {
    const began = performance.now();
    await worked([runner.run({ ...permit(n % clients), lane })]);
    one.push(performance.now() - began);
  }
  return { alone, batched, one };
}

const stateDir = await mkdtemp(join(tmpdir(), 'pana-bench-ep-'));
try {
  process.stdout.write(JSON.stringify(await measure(Number(process.argv[2]), stateDir)));
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
