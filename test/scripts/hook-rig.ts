import { execFileSync, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join, relative } from 'node:path';
import { hookPath } from '../../dist/lab/lab.js';

export interface TestNode {
  readonly id: string;
  readonly hoa: string;
  readonly key: string;
}

/** The nth test node, with a key of its own. */
export function testNode(n: number): TestNode {
  const hex = n.toString(16).padStart(2, '0');
  return { id: `mn${n}@home.example`, hoa: `2001:db8:1::${(0x1000 + n).toString(16)}`, key: `0x${hex.repeat(64)}` };
}

export interface Run {
  readonly script: string;
  readonly event: string;
  readonly node: TestNode;
  readonly ike?: 'ikev1' | 'ikev2';
  /** A command prefix of the script. */
  readonly shell?: readonly string[];
  /** A folder of programs that is first in PATH. */
  readonly programs?: string;
  readonly key?: string;
  readonly careOf?: string;
  readonly session?: string;
}

export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a hook as a daemon does, in its own process group. */
export async function runHook(state: string, { script, event, node, ike = 'ikev2', ...more }: Run): Promise<Ended> {
  const { shell = [], programs, key = node.key, careOf, session = 'paa.access.example;1;1' } = more;
  await mkdir(join(state, 'keys'), { recursive: true });
  const keyFile = join(state, 'keys', node.id);
  await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
  return runCommand([...shell, hookPath(script), event], '', {
    PATH: pathWith(programs),
    HOME: '/',
    LANG: 'C',
    // Not the kernel's settings of this machine.
    SYSCTL: join(state, 'sysctl'),
    SYSFS: join(state, 'sysfs'),
    MIP6_EVENT: event,
    MIP6_ROLE: script.startsWith('mn') ? 'mn' : 'ha',
    MIP6_STATE_DIR: state,
    MIP6_MN_ID: node.id,
    MIP6_SESSION: session,
    MIP6_HOA: node.hoa,
    MIP6_HA: '2001:db8:1::1',
    MIP6_HA_HOST: 'ha.home.example',
    MIP6_PREFIX: '2001:db8:1::',
    MIP6_PREFIX_LEN: '64',
    MIP6_LIFETIME: '3600',
    MIP6_IKE: ike,
    ...(careOf === undefined ? {} : { MIP6_COA: careOf }),
    ...(event === 'down' ? {} : { MIP6_PSK_FILE: keyFile }),
  });
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The PATH of hooks, with a folder of programs in front. */
export function pathWith(programs: string | undefined): string {
  return programs === undefined ? PATH : `${programs}:${PATH}`;
}

/** Runs a command in its own process group with this standard input. */
export function runCommand(command: readonly string[], input: string, env: Record<string, string>): Promise<Ended> {
  const [program = '', ...parameters] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { detached: true, stdio: 'pipe', env });
    // The command may end without reading it.
    child.stdin.on('error', () => undefined).end(input);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        output += piece.toString();
      });
    }
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}

/** The text of functions of a hook's script. */
export async function functionsOf(script: string, ...names: readonly string[]): Promise<string> {
  const all = [...(await readFile(hookPath(script), 'utf8')).matchAll(/^(\w+)\(\) \{\n[\s\S]*?^\}$/gm)];
  return names
    .map((name) => {
      const found = all.find(([, each]) => each === name);
      if (!found) throw new Error(`${script} has no ${name}`);
      return found[0];
    })
    .join('\n');
}

/** The shells that hooks must support. */
export const SHELLS = [
  { shell: 'dash', command: ['dash'] },
  { shell: 'busybox sh', command: ['busybox', 'sh'] },
];

/** The files that a hook wrote, by path and mode; not its records, its lock and temporary files. */
export async function made(state: string): Promise<Map<string, string>> {
  const entries = await readdir(state, { recursive: true, withFileTypes: true });
  const files = new Map<string, string>();
  for (const entry of entries) {
    const path = relative(state, join(entry.parentPath, entry.name));
    if (!entry.isFile() || path === 'hooks.conf' || /^(keys|nodes|bin|\.lock)\/|(^|\/)\./.test(path)) continue;
    const mode = ((await stat(join(state, path))).mode & 0o777).toString(8);
    files.set(`${path} ${mode}`, (await readFile(join(state, path), 'utf8')).replaceAll(state, '$STATE'));
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The files as one text. */
export function asText(files: ReadonlyMap<string, string>): string {
  return [...files].map(([path, text]) => `===== ${path}\n${text}`).join('\n');
}

export function hasProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** mip6d's console in UMIP 0.4, as far as the hook uses it: one command a segment, answers that end with a zero byte. */
export async function mip6dConsole(refused: readonly string[] = []) {
  const asked: string[] = [];
  let looks = 0;
  const server = createServer((socket) => {
    socket.write('mip6d> ');
    socket
      .on('error', () => undefined)
      .on('data', (data: Buffer) => {
        const command = data.toString().replace(/\n$/, '');
        if (command === 'quit') return socket.end();
        let answer = 'no\n';
        if (command === 'pl') answer = ++looks < 3 ? '' : 'h0 2001:db8:1:0:0:0:0:1/64\n valid 86400 / 86400\n';
        else if (command.startsWith('bc add')) {
          asked.push(command);
          answer = `bc status=${refused.some((hoa) => command.includes(`hoa ${hoa} `)) ? 130 : 0}\n`;
        }
        return socket.write(`${answer}mip6d> \0`);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { asked, port, close: () => server.close() };
}
