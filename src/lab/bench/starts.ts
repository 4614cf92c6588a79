import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { print, table } from '../../runtime/cli/cli.js';
import { programOf } from '../daemon-process.js';
import { Lab, REALM } from '../lab.js';
import { quantile } from '../statistics.js';

const execute = promisify(execFile);

/** Starts of one program between two readings of its processor time, which the system counts in steps of 10 ms. */
const BATCH = 4;

/** Processor time of one start, and the median time until its end or its first datagram, in milliseconds. */
export interface StartRow {
  readonly name: string;
  readonly cpu: number;
  readonly wall: number;
  /** Both as multiples of those of `node -e 0`. */
  readonly cpuRatio: number;
  readonly wallRatio: number;
  /** The largest ratio that is still fast enough; undefined for `node -e 0` itself. */
  readonly mark: number | undefined;
}

interface Measured {
  readonly name: string;
  readonly mark: number | undefined;
  readonly run: () => Promise<readonly { readonly cpu: number; readonly wall: number }[]>;
}

type ProgramName = Parameters<typeof programOf>[0];

/** The file that an installed command is a link to; without it, the program as it was compiled. */
function installedProgram(name: ProgramName): string {
  const command = name === 'tool' ? 'pana-mip6' : `pana-${name}`;
  const file = fileURLToPath(new URL(`../../bundle/${command}.cjs`, import.meta.url));
  return existsSync(file) ? file : programOf(name);
}

/** Without the variables that make each start of Node.js longer. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...environment } = process.env;
  return environment;
}

/**
 * Measures starts of processes against those of Node.js, in turn: help, version and status, and `pana-pac run` until its
 * first PCI.
 */
export async function measureStarts(rounds: number): Promise<readonly StartRow[]> {
  const lab = await Lab.make({ hooks: false, logLevel: 'info' });
  try {
    const { place } = await lab.startAaa();
    await lab.startPaa(place);
    const command = (program: ProgramName, ...words: string[]): Measured => ({
      name: `pana-${program === 'tool' ? 'mip6' : program} ${words[0]}`,
      mark: 4,
      run: () => runCommand([installedProgram(program), ...words]),
    });
    const pci = await PciSource.open(lab);
    const all: readonly Measured[] = [
      { name: 'node -e 0', mark: undefined, run: () => runCommand(['-e', '0']) },
      command('pac', '--version'),
      command('pac', '--help'),
      command('aaa', '--help'),
      command('tool', '--help'),
      command('paa', 'status', '--control.socket', lab.socket('paa')),
      command('aaa', 'status', '--control.socket', lab.socket('aaa')),
      { name: 'pana-pac run, to the first PCI', mark: 7, run: async () => [await pci.run()] },
    ];
    const times = new Map(all.map(({ name }) => [name, { cpu: [] as number[], wall: [] as number[] }]));
    // The first round only fills the file cache.
    for (let round = 0; round <= rounds; round += 1) {
      for (const { name, run } of all) {
        const measured = await run();
        if (round === 0) continue;
        for (const { cpu, wall } of measured) {
          times.get(name)?.cpu.push(cpu);
          times.get(name)?.wall.push(wall);
        }
      }
    }
    pci.close();
    const figures = all.map(({ name, mark }) => {
      const { cpu = [], wall = [] } = times.get(name) ?? {};
      return { name, mark, cpu: quantile(cpu, 0.5), wall: quantile(wall, 0.5) };
    });
    const [base] = figures;
    return figures.map((one) => ({
      ...one,
      cpuRatio: one.cpu / (base?.cpu ?? Number.NaN),
      wallRatio: one.wall / (base?.wall ?? Number.NaN),
    }));
  } finally {
    await lab.close();
  }
}

/** Prints the starts of processes. */
export async function runStartsBench(rounds: number): Promise<void> {
  print(`\n(g) starts of processes, ${rounds} rounds in turn; the ratio that counts is that of processor times:\n`);
  const rows = await measureStarts(rounds);
  print(
    table(
      ['START', 'CPU', '/ NODE', 'WALL', '/ NODE', 'MARK'],
      rows.map(({ name, cpu, cpuRatio, wall, wallRatio, mark }) => [
        name,
        `${cpu.toFixed(0)} ms`,
        cpuRatio.toFixed(1),
        `${wall.toFixed(0)} ms`,
        wallRatio.toFixed(1),
        mark === undefined ? '' : `≤ ${mark}`,
      ]),
    ),
  );
}

/** Runs Node.js several times and reads the processor time of all runs from the shell. */
async function runCommand(words: readonly string[]): Promise<{ readonly cpu: number; readonly wall: number }[]> {
  const script = `for _ in ${'x '.repeat(BATCH)}; do "$@" >/dev/null || exit; done; times`;
  const began = performance.now();
  const { stdout } = await execute('sh', ['-c', script, 'sh', process.execPath, ...words], { env: plainEnvironment() });
  const wall = (performance.now() - began) / BATCH;
  // The second line has the times of the children: 0m0.080s 0m0.010s
  const spent = [...(stdout.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  const cpu = spent.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1_000, 0);
  return [{ cpu: cpu / BATCH, wall }];
}

/** Starts PaC processes against a socket that answers nothing. */
class PciSource {
  readonly #socket: Socket;
  readonly #config: string;

  private constructor(socket: Socket, config: string) {
    this.#socket = socket;
    this.#config = config;
  }

  static async open(lab: Lab): Promise<PciSource> {
    const socket = createSocket('udp6');
    socket.bind(0, '::1');
    await once(socket, 'listening');
    await lab.issueClient('mn', `mn@${REALM}`);
    return new PciSource(socket, await lab.configurePac('mn', { pana: { paa: ['::1'], port: socket.address().port } }));
  }

  async run(): Promise<{ readonly cpu: number; readonly wall: number }> {
    const began = performance.now();
    const heard = once(this.#socket, 'message').then(() => performance.now());
    const child = spawn(process.execPath, [installedProgram('pac'), 'run', '-c', this.#config], {
      stdio: 'ignore',
      env: plainEnvironment(),
    });
    const exited = once(child, 'exit');
    const wall = (await heard) - began;
    const cpu = await processorTime(child);
    child.kill('SIGKILL');
    await exited;
    return { cpu, wall };
  }

  close(): void {
    this.#socket.close();
  }
}

/** Processor time of all threads of a process in milliseconds, on Linux; elsewhere NaN. */
async function processorTime({ pid }: ChildProcess): Promise<number> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    const spent = await Promise.all(threads.map((id) => readFile(`/proc/${pid}/task/${id}/schedstat`, 'utf8')));
    return spent.reduce((sum, text) => sum + Number(text.split(' ')[0]) / 1e6, 0);
  } catch {
    return Number.NaN;
  }
}
