import { print, warn } from '../runtime/cli/cli.js';
import { every, systemHost } from '../runtime/system/host.js';
import { daemonSockets, readDaemons } from './daemons.js';
import { Identities, nodeConfiguration } from './identities.js';
import type { LoadFlags } from './options.js';
import { planOf } from './plan.js';
import { progressLine, resultText } from './report.js';
import { LoadRun } from './run.js';
import { SourceAddresses } from './source-addresses.js';

/** How often the progress is shown on a terminal, and elsewhere, in milliseconds. */
const LIVE = 1_000;
const PLAIN = 10_000;

/** `pana-mip6 load`. Throws OperatorError. */
export async function loadCommand(flags: LoadFlags): Promise<void> {
  const addresses = flags.local === undefined ? undefined : new SourceAddresses(flags.local);
  const sockets = daemonSockets(flags.daemon?.split(',') ?? []);
  const configuration = await nodeConfiguration({
    config: flags.config,
    paa: flags.paa,
    port: flags.port,
    pki: flags.pki,
    ca: flags.ca,
    certificate: flags.certificate,
    key: flags.key,
    'server-name': flags['server-name'],
    identity: flags.identity,
    tls: flags.tls,
  });
  const identities = new Identities(configuration);
  const plan = planOf(flags, identities.count, openFiles());
  await identities.read(plan.nodes);
  // A socket that is not there is found before the run, and not after it.
  await readDaemons(sockets);
  const run = new LoadRun(plan, { configuration, identities, addresses, readDaemons: () => readDaemons(sockets) });
  const show = flags.quiet ? () => undefined : showProgress(run);
  const release = interruptible(run);
  const result = await run.run();
  release();
  show();
  if (flags.json) print(JSON.stringify(result));
  else print(resultText(result, plan, identities.count));
  if (result.failed > 0 || result.lost.length > 0) process.exitCode = 1;
}

/** The first signal ends the run, the second one the process. */
function interruptible(run: LoadRun): () => void {
  const onSignal = () => {
    if (run.isInterrupted) process.exit(130);
    if (run.sessions > 0) warn(`ending ${run.sessions} sessions; press Ctrl-C again to leave them`);
    run.interrupt();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
}

/** Shows the progress on standard error: a line that changes on a terminal, else lines. Returns what ends it. */
function showProgress(run: LoadRun): () => void {
  const { isTTY, columns } = process.stderr;
  const cancel = every(
    systemHost,
    isTTY ? LIVE : PLAIN,
    () => {
      const line = progressLine(run.interval());
      process.stderr.write(isTTY ? `\r\x1b[K${line.slice(0, (columns ?? 80) - 1)}` : `${line}\n`);
    },
    false,
  );
  return () => {
    cancel();
    if (isTTY) process.stderr.write('\r\x1b[K');
  };
}

/** Maximum number of open files of this process, which Node raises as far as the system permits. */
function openFiles(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : Number.POSITIVE_INFINITY;
}
