import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { print } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { programOf } from '../daemon-process.js';
import { hasProgram, makeFolder, removeLeftFolders } from '../network-lab/hosts.js';
import { PROGRAM, runInUserModeLinux } from './user-mode-linux.js';
import { xstateShim } from './xstate.js';

const run = promisify(execFile);

/** Where Debian's package has the modules of the kernel, in a folder for each version. */
const MODULES = '/usr/lib/uml/modules';

/** Folders of system programs, which the PATH of a user may lack. */
const SYSTEM_PROGRAMS = '/usr/local/sbin:/usr/sbin:/sbin';

/** Programs that an administrator may have built, in a folder that is not the guest's. */
const OTHER_PROGRAMS = ['mip6d', 'radvd'];

/** The lab's working folder in the guest, and its name in the folder of the host that the guest can write to. */
const WORK = 'work';
const GUEST_WORK = `/run/pana-uml/${WORK}`;

const MIB = 2 ** 20;

export interface UmlOptions {
  /** Memory of the guest: a number and `M` or `G`. */
  readonly memory: string;
  /** Whether to show the messages of the guest's kernel. */
  readonly verbose: boolean;
}

/** Flags of `pana-mip6 lab`, by name. */
export type LabFlags = Readonly<Record<string, unknown>>;

/**
 * `pana-mip6 lab --kernel uml`: runs the lab with these flags in user-mode Linux, and sets its exit status. Rejects with
 * OperatorError.
 */
export async function umlLabCommand(flags: LabFlags, { memory, verbose }: UmlOptions): Promise<void> {
  if (flags['wait'] === true) throw new OperatorError('--wait: no other terminal can reach the hosts of --kernel uml');
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());
  const isJson = flags['json'] === true;
  const say = (text: string) => {
    if (isJson) process.stderr.write(`${text}\n`);
    else print(text);
  };
  const kernel = await kernelVersion();
  const megabytes = megabytesOf(memory);
  const left = await removeLeftFolders();
  if (left.length > 0) say(`Removed the remains of a killed lab: ${left.join(', ')}`);
  const picture = typeof flags['timeline'] === 'string' ? flags['timeline'] : undefined;
  const folder = await makeFolder();
  try {
    await mkdir(join(folder, WORK));
    say(`Booting user-mode Linux ${kernel} with ${megabytes} MiB of memory …`);
    const status = await runInUserModeLinux({
      folder,
      command: guestCommand(picture === undefined ? flags : { ...flags, timeline: basename(picture) }),
      paths: [packageFolder(), dirname(process.execPath), ...foldersOf(OTHER_PROGRAMS)],
      memory: `${megabytes}M`,
      memoryFolder: await memoryFolder(megabytes * MIB, folder),
      preload: await xstateShim(folder),
      output: process.stdout,
      errors: process.stderr,
      onConsole: (text) => {
        if (verbose) process.stderr.write(text);
      },
      signal: interruption.signal,
    });
    if (picture !== undefined) await copyPicture(join(folder, WORK, basename(picture)), picture);
    if (status === 0 || status === 1) say('In user-mode Linux programs start 10 to 30 times more slowly than usual.');
    process.exitCode = status;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Copies the guest's picture, if the first start got as far. Rejects with OperatorError if the file cannot be written. */
async function copyPicture(picture: string, file: string): Promise<void> {
  if (!existsSync(picture)) return;
  try {
    await copyFile(picture, file);
  } catch (error) {
    throw new OperatorError(`--timeline: cannot write ${file}: ${(error as Error).message}`);
  }
}

/** The folders of those of these programs that are installed. */
function foldersOf(programs: readonly string[]): string[] {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  return programs.flatMap((program) => folders.find((folder) => existsSync(join(folder, program))) ?? []);
}

/** The version of the kernel of the package. Rejects with OperatorError if the lab cannot run in it. */
async function kernelVersion(): Promise<string> {
  if (!hasProgram(PROGRAM)) throw new OperatorError(`the program "${PROGRAM}" is missing: install user-mode-linux`);
  const { stdout } = await run(PROGRAM, ['--version']);
  const version = stdout.trim();
  if (!existsSync(`${MODULES}/${version}`)) {
    throw new OperatorError(`${PROGRAM} has no modules in ${MODULES}/${version}: install Debian's user-mode-linux`);
  }
  for (const path of ['/sbin/modprobe', '/usr/sbin/modprobe']) if (existsSync(path)) return version;
  throw new OperatorError('the program "modprobe" is missing: install kmod');
}

function megabytesOf(memory: string): number {
  const [, amount = '', unit = ''] = /^(\d{1,6})([MG])$/i.exec(memory) ?? [];
  const megabytes = Number(amount) * (unit.toUpperCase() === 'G' ? 1024 : 1);
  if (megabytes < 256) throw new OperatorError(`--memory "${memory}": give at least 256M, such as 1G or 1500M`);
  return megabytes;
}

/**
 * Where the guest keeps its memory, as a file that is removed at once. Undefined: in /dev/shm, as usual. Rejects with
 * OperatorError if there is no room for it.
 */
async function memoryFolder(octets: number, folder: string): Promise<string | undefined> {
  const free = async (path: string) => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  // The memory also holds programs.
  const isExecutable = !/^\S+ \/dev\/shm \S+ \S*\bnoexec\b/m.test(await readFile('/proc/self/mounts', 'utf8'));
  const shared = existsSync('/dev/shm') && isExecutable ? await free('/dev/shm') : 0;
  if (shared >= octets) return undefined;
  if ((await free(folder)) >= octets) return folder;
  throw new OperatorError(
    `user-mode Linux needs ${octets / MIB} MiB in /dev/shm or ${dirname(folder)}: make room, or give less with --memory`,
  );
}

/** The folder that has this package and the packages that it uses. */
function packageFolder(): string {
  const folder = fileURLToPath(new URL('../../..', import.meta.url));
  const [before = '', ...inside] = folder.split('/node_modules/');
  return inside.length > 0 ? `${before}/node_modules` : folder;
}

function guestCommand(flags: LabFlags): string {
  const path = `${process.env['PATH'] ?? ''}:${SYSTEM_PROGRAMS}`;
  const words = ['env', `PATH=${path}`, process.execPath, programOf('tool'), 'lab', ...wordsOf(flags)];
  return `cd ${GUEST_WORK} && exec ${words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}`;
}

function wordsOf(flags: LabFlags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    return typeof value === 'string' || typeof value === 'number' ? [`--${name}=${value}`] : [];
  });
}
