import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { z } from 'zod';
import type { Check } from '../doctor/check.js';
import type { Computer, ServiceUnit } from '../doctor/computer.js';
import type { Finding } from '../doctor/finding.js';
import { OperatorError } from '../system/failure.js';
import { type OptionFlags, optionsOf, print } from './cli.js';

/** Makes the checks of a daemon, with its configuration and the file that it is from. */
export type MakeChecks<S extends z.ZodObject> = (
  options: z.output<S>,
  file: string | undefined,
  computer: Computer,
) => Promise<readonly Check[]> | readonly Check[];

interface Doctored<S extends z.ZodObject> extends OptionFlags<S> {
  readonly name: string;
  readonly checks: MakeChecks<S>;
}

/** Where configurations are, without -c: the folders of install.sh on Linux and FreeBSD. */
const FOLDERS = ['/etc/pana-mip6', '/usr/local/etc/pana-mip6'];

/** Given to the child that checks as another user. */
const CHILD = 'as-is';

/** The options of `doctor` beside those of the configuration. */
export const DOCTOR_OPTIONS = {
  json: { type: 'boolean', description: 'print JSON' },
  user: {
    type: 'string',
    description: "check as this user; only root can [default: as root the user of the daemon's systemd unit]",
  },
  [CHILD]: { type: 'boolean', hidden: true },
} as const;

/** The rest of a unit that there is not. */
const NO_UNIT = { moreGroups: [], capabilities: [], bounds: [], environment: {} } as const;

type Arguments = Readonly<Record<string, unknown>>;

/** Runs `doctor`. Resolves with its exit status. */
export async function runDoctor<S extends z.ZodObject>(argv: Arguments, daemon: Doctored<S>): Promise<0 | 1 | 2> {
  const unit = await unitOfDaemon(daemon.name);
  if (argv[CHILD] !== true) {
    const other = otherUser(argv, unit);
    if (other) return checkAs(other);
  }
  const { statusOf, lineOf, summaryOf } = await import('../doctor/finding.js');
  const { systemComputer } = await import('../doctor/computer.js');
  const computer = systemComputer(unit);
  const isJson = argv['json'] === true;
  const given = withDefaultFile(argv, daemon);
  let count = 0;
  const findings = await diagnose(given, daemon, computer, (found, checks) => {
    count = checks;
    if (!isJson) for (const one of found) print(lineOf(one));
  });
  const status = statusOf(findings);
  if (isJson) {
    print(
      JSON.stringify({ daemon: daemon.name, user: computer.user, configuration: given['config'], status, findings }),
    );
  } else {
    const file = given['config'] === undefined ? '' : `, ${String(given['config'])}`;
    print(
      `${daemon.name} as ${computer.user}${file}: ${summaryOf(findings)} (${count} check${count === 1 ? '' : 's'})`,
    );
  }
  return status;
}

/** Finds what is wrong with a configuration and its computer, as the user of this process. */
export async function diagnose<S extends z.ZodObject>(
  argv: Arguments,
  daemon: Doctored<S>,
  computer: Computer,
  onFindings: (findings: readonly Finding[], checks: number) => void = () => undefined,
): Promise<Finding[]> {
  const [{ examine }, { environmentFindings }, { error, findingsOf, warning }] = await Promise.all([
    import('../doctor/check.js'),
    import('../doctor/environment.js'),
    import('../doctor/finding.js'),
  ]);
  const { service, user, environment } = computer;
  const before = environmentFindings(daemon.schema, daemon.prefix, environment);
  if (service && user !== service.user) {
    before.push(
      warning(
        'user',
        `this is checked as ${user}, and the service runs as ${service.user}`,
        `sudo ${daemon.name} doctor`,
      ),
    );
  }
  onFindings(before, 1);
  let options: z.output<S>;
  try {
    options = await optionsOf(argv, daemon, environment);
  } catch (failure) {
    const file = argv['config'] ?? environment[`${daemon.prefix}_CONFIG`];
    const found =
      file === undefined
        ? [
            error(
              'configuration',
              'there is none',
              `name it with -c, or copy ${daemon.name}.example.yaml to ${FOLDERS[0]}/${daemon.name}.yaml`,
            ),
          ]
        : findingsOf(failure, 'configuration', 'correct it; docs/reference.md lists the keys');
    onFindings(found, 1);
    return [...before, ...found];
  }
  const file = argv['config'];
  const checks = await daemon.checks(options, typeof file === 'string' ? file : undefined, computer);
  const found = await examine(checks, computer, (some) => onFindings(some, checks.length + 1));
  return [...before, ...found];
}

/** Without -c, PREFIX_CONFIG and any key: the file of the installed service. */
function withDefaultFile<S extends z.ZodObject>(argv: Arguments, { name, prefix }: Doctored<S>): Arguments {
  if (argv['config'] !== undefined) return argv;
  const variable = process.env[`${prefix}_CONFIG`];
  if (variable !== undefined) return { ...argv, config: variable };
  const found = FOLDERS.map((folder) => `${folder}/${name}.yaml`).find((path) => existsSync(path));
  return found === undefined ? argv : { ...argv, config: found };
}

/** The service of a daemon; undefined: systemd does not run it. */
export async function unitOfDaemon(name: string): Promise<ServiceUnit | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const [{ systemComputer }, { UNIT_PROPERTIES, unitOf }] = await Promise.all([
    import('../doctor/computer.js'),
    import('../doctor/unit.js'),
  ]);
  const words = ['show', `${name}.service`, ...UNIT_PROPERTIES.map((property) => `--property=${property}`)];
  const text = await systemComputer().output('systemctl', words);
  return text === undefined ? undefined : unitOf(text);
}

/** As whom to check, if not as the user of this process. Throws OperatorError if this user may not. */
function otherUser(argv: Arguments, unit: ServiceUnit | undefined): ServiceUnit | undefined {
  const isRoot = process.geteuid?.() === 0;
  const given = argv['user'];
  if (typeof given === 'string' && given !== '') {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*\$?$/.test(given))
      throw new OperatorError(`--user ${given}: not the name of a user`);
    if (!isRoot) throw new OperatorError('--user: only root can check as another user: use sudo');
    if (given === unit?.user) return unit;
    return given === 'root' ? undefined : { ...NO_UNIT, user: given, group: given };
  }
  return isRoot && unit && unit.user !== 'root' ? unit : undefined;
}

/** Runs this command again as another user. */
async function checkAs(unit: ServiceUnit): Promise<0 | 1 | 2> {
  const { commandAs } = await import('../doctor/unit.js');
  const program = [process.execPath, ...process.argv.slice(1), `--${CHILD}`];
  const { words, environment } = commandAs(unit, program, process.env);
  const [command = '', ...rest] = words;
  const child = spawn(command, rest, { env: environment, cwd: '/', stdio: 'inherit' });
  const [code] = (await once(child, 'exit').catch((failure: NodeJS.ErrnoException) => {
    if (failure.code !== 'ENOENT') throw failure;
    throw new OperatorError(
      `setpriv is not installed, with which root becomes ${unit.user}: check as that user (su, runuser), or with --user root`,
    );
  })) as [number | null];
  return code === 0 || code === 1 ? code : 2;
}
