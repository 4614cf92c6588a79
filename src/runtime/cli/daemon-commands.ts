import type { Argv } from 'yargs';
import { z } from 'zod';
import { adopt, reloadableKeys } from '../config/reload.js';
import type { Finding } from '../doctor/finding.js';
import type { Logger } from '../log/events.js';
import type { LogOptions } from '../log/log.js';
import { callDaemon } from '../service/control.js';
import type { ControlApi } from '../service/control-api.js';
import { notifyFailure, runService, type Service, Signals, startService } from '../service/service.js';
import { asStartError, explainFailure, OperatorError } from '../system/failure.js';
import { endProcess } from '../system/process-end.js';
import { type OptionFlags, optionsOf, type Program, plainFlags, print, runProgram, warn, withOptions } from './cli.js';
import { DOCTOR_OPTIONS, type MakeChecks, runDoctor, unitOfDaemon } from './doctor-command.js';
import { readable } from './readable.js';
import type { Watched } from './watch.js';

/** The options that every daemon has. */
interface CommonOptions {
  readonly log: LogOptions;
  readonly control: { readonly socket: string };
}

export interface DaemonProgram<S extends z.ZodObject> extends OptionFlags<S> {
  readonly name: string;
  readonly description: string;
  /** Starts the daemon. Loads its code only here, so that help and status are fast. The signal aborts the start. */
  readonly start: (options: z.output<S>, log: Logger, signal: AbortSignal) => Promise<Service<z.output<S>>>;
  /** The checks of a configuration, for `check-config` and `doctor`. */
  readonly checks: MakeChecks<S>;
  /** The requests that its control socket takes beside those of all daemons. */
  readonly api: () => Promise<ControlApi>;
  /** Additional commands of this daemon. */
  readonly commands: (cli: Argv) => Argv;
  /** Names that shell completion offers. */
  readonly names?: Program['names'];
}

/** Runs the command line of a daemon: `run`, `check-config`, `status`, and its additional commands. */
export function runDaemonProgram<S extends z.ZodObject>(daemon: DaemonProgram<S>): Promise<void> {
  const { name, prefix } = daemon;
  return runProgram({
    name,
    description: daemon.description,
    names: daemon.names,
    configuration: { prefix, schema: daemon.schema },
    // Loading the parser takes a third of the time until the daemon works.
    shortcut: (given) => {
      const argv = plainFlags(given, 'run', daemon);
      return argv && (() => runDaemon(daemon, argv));
    },
    examples: [
      [`${name} run -c /etc/pana-mip6/${name}.yaml`, 'as a service manager runs it'],
      [`${name} status`, 'show the state of the running daemon'],
    ],
    epilogue: `Every configuration key is also a flag and an environment variable: --log.level and ${prefix}_LOG_LEVEL. "${name} run --help" lists them, with values and defaults.`,
    commands: (cli) =>
      daemon.commands(
        cli
          .command(
            'run',
            'Run the daemon in the foreground',
            (run) =>
              withOptions(run, daemon).example(
                `${name} run -c /etc/pana-mip6/${name}.yaml`,
                'as a service manager runs it',
              ),
            (argv) => runDaemon(daemon, argv),
          )
          .command(
            'check-config',
            'Check the configuration, certificates and keys without starting the daemon',
            (run) => withOptions(run, daemon).example(`${name} check-config -c ${name}.yaml`, 'check before a restart'),
            (argv) => checkConfiguration(argv, daemon),
          )
          .command(
            'doctor',
            "Find what is wrong with configuration, host and network, and what to do. As root: checks as the daemon's user",
            (run) =>
              withOptions(run, daemon)
                .options(DOCTOR_OPTIONS)
                .example(`sudo ${name} doctor`, `check the installed service and /etc/pana-mip6/${name}.yaml`)
                .example(
                  `${name} doctor -c ${name}.yaml --json`,
                  'for programs; exit status 0: fine, 1: warnings, 2: errors',
                ),
            async (argv) => endProcess(await runDoctor(argv, daemon)),
          )
          .command(
            'status',
            'Show the state of the running daemon',
            (run) =>
              withControl(run, daemon)
                .option('json', { type: 'boolean', description: 'print JSON' })
                .option('watch', { alias: 'w', type: 'boolean', description: 'show state and events until Ctrl-C' })
                .conflicts('json', 'watch')
                .example(`${name} status`, 'use the default control socket')
                .example(`${name} status --watch`, 'live; plain lines if the output is no terminal'),
            async (argv) => {
              if (argv['watch'] === true) {
                const read = async () => readable(await askDaemon(argv, daemon, 'GET', '/status'));
                return watch(argv, daemon, { name, query: 'level=info', read });
              }
              const value = await askDaemon(argv, daemon, 'GET', '/status');
              print(argv['json'] === true ? JSON.stringify(value) : readable(value));
            },
          )
          .command(
            'control-api',
            'Print the OpenAPI document of the control socket',
            (run) => run.example(`${name} control-api >${name}.openapi.json`, 'for a client or an editor'),
            async () => {
              const [{ controlDocument }, { COMMON_API }] = await Promise.all([
                import('../service/control-api.js'),
                import('../service/common-api.js'),
              ]);
              const api = { ...COMMON_API, ...(await daemon.api()) };
              print(JSON.stringify(controlDocument(name, api), undefined, 2));
            },
          ),
      ),
  });
}

/**
 * Runs the checks that send nothing and run no program, as root for the user of the installed service. Prints warnings.
 * Throws OperatorError with all errors. The service manager calls this before a reload.
 */
async function checkConfiguration<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  daemon: DaemonProgram<S>,
): Promise<void> {
  const options = await optionsOf(argv, daemon);
  const [{ examine }, { systemComputer }, { environmentFindings }, { computerFor }] = await Promise.all([
    import('../doctor/check.js'),
    import('../doctor/computer.js'),
    import('../doctor/environment.js'),
    import('../doctor/unit.js'),
  ]);
  const unit = process.geteuid?.() === 0 ? await unitOfDaemon(daemon.name) : undefined;
  const computer = unit ? await computerFor(unit, systemComputer()) : systemComputer();
  const file = argv['config'] ?? process.env[`${daemon.prefix}_CONFIG`];
  const checks = await daemon.checks(options, typeof file === 'string' ? file : undefined, computer);
  const passive = checks.filter(({ isActive = false }) => !isActive);
  const findings = [
    ...environmentFindings(daemon.schema, daemon.prefix, process.env),
    ...(await examine(passive, computer)),
  ];
  const text = ({ where, what, remedy }: Finding) => `${where}: ${what}: ${remedy}`;
  for (const one of findings) if (one.severity === 'warning') warn(text(one));
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new OperatorError(errors.map(text).join('\n'));
  print('The configuration is valid.');
}

/** Runs the daemon until it ends, with the options of a command line. */
async function runDaemon<S extends z.ZodObject>(
  daemon: DaemonProgram<S>,
  argv: Readonly<Record<string, unknown>>,
): Promise<void> {
  const options = await optionsOf(argv, daemon);
  const { openLog } = await import('../log/log.js');
  const log = await openLog(daemon.name, commonOf(options).log);
  const signals = new Signals(log);
  const ending = new AbortController();
  void signals.end.then(() => ending.abort());
  const start = daemon.start(options, log, ending.signal).catch(async (error: unknown) => {
    const failure = asStartError(error);
    // "systemctl status" shows it, also between two attempts.
    await notifyFailure(explainFailure(failure) ?? 'internal error', log);
    throw failure;
  });
  const service = await startService(start, log, signals);
  if (!service) return endProcess(0);
  service.barrier?.guardProcess();
  const reload = reloader(() => optionsOf(argv, daemon), reloadableKeys(daemon.schema), options, service, log);
  // A child of a hook or a keep-alive connection must not keep the process alive.
  return endProcess(await runService(service, log, signals, reload));
}

/** Handles SIGHUP: reads the configuration again, applies it, and logs changed keys that need a restart. */
function reloader<O extends object>(
  read: () => Promise<O>,
  takes: readonly string[],
  started: O,
  service: Pick<Service<O>, 'reload'>,
  log: Logger,
): () => Promise<void> {
  let running = started;
  return async () => {
    const { options, left } = adopt(running, await read(), takes);
    if (left.length > 0) log.warn({ option: left.join(', ') }, 'restart required');
    await service.reload(options);
    log.level = commonOf(options).log.level;
    running = options;
  };
}

/** Adds `--config` and the flags of the control socket, for commands to a running daemon. */
export function withControl<S extends z.ZodObject>(cli: Argv, { prefix, schema }: OptionFlags<S>): Argv {
  return withOptions(cli, { prefix, schema: controlPart(schema) });
}

/** Sends a request to the daemon whose control socket the command line or its configuration names. */
export async function askDaemon<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  { prefix, schema }: OptionFlags<S>,
  method: 'GET' | 'POST',
  route: string,
  body?: unknown,
): Promise<unknown> {
  return callDaemon(await socketOf(argv, { prefix, schema }), method, route, body);
}

/** Shows the state and the events of the running daemon until a signal. */
export async function watch<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  flags: OptionFlags<S>,
  watched: Omit<Watched, 'socket'>,
): Promise<void> {
  const { watchUntilSignal } = await import('./watch.js');
  await watchUntilSignal({ ...watched, socket: await socketOf(argv, flags) });
}

/** The control socket that the command line or the configuration names. */
export async function socketOf<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  { prefix, schema }: OptionFlags<S>,
): Promise<string> {
  // Only the socket is read: status must work even if the rest of the configuration is invalid.
  const control = controlPart(schema);
  const given = argv['config'] ?? process.env[`${prefix}_CONFIG`];
  const options =
    given === undefined
      ? await optionsOf(argv, { prefix, schema: control })
      : await optionsOf(argv, { prefix, schema });
  return commonOf(options).control.socket;
}

/** The keys of the control socket, without the rules between keys of the whole configuration. */
function controlPart(schema: z.ZodObject): z.ZodObject {
  return z.strictObject({ control: schema.shape['control'] as z.ZodType });
}

function commonOf(options: unknown): CommonOptions {
  return options as CommonOptions;
}
