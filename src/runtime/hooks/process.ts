import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { putHex } from '../../protocol/bytes/octets.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { makeFolder } from '../system/folder.js';
import { visible } from '../system/terminal.js';

/** What of a hook's output reaches the log. */
export const MAX_LINES = 200;
export const MAX_LINE = 500;

/** From the polite signal to the other one, in milliseconds. */
const KILL_AFTER = 2_000;

export type HookOutcome =
  | { readonly ok: true; readonly milliseconds: number }
  | { readonly ok: false; readonly milliseconds: number; readonly reason: string };

export interface HookCommand {
  readonly program: string;
  readonly event: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeout: number;
  /** Its standard input. */
  readonly input?: string | undefined;
  /** Never shown, whatever the hook prints. */
  readonly secret: Secret | undefined;
  readonly onLine: (line: string) => void;
  /** Ends it at once: nobody waits for its answer any more. */
  readonly end?: AbortSignal;
  readonly guard?: Guard | undefined;
}

/** Runs a hook; resolves when it has ended, whatever became of it. */
export type RunHook = (command: HookCommand) => Promise<HookOutcome>;

/** Runs a program with one argument and no shell; its whole process group ends with it when its time is over. */
export function runHook(command: HookCommand): Promise<HookOutcome> {
  const started = performance.now();
  const { program, event, environment, timeout, input, guard = unguarded } = command;
  return new Promise((resolve) => {
    const child = spawn(program, [event], {
      env: environment,
      cwd: '/',
      detached: true,
      stdio: 'pipe',
    });
    // Without file descriptors the platform makes a child that has no streams, whatever its types say.
    const { stdin, stdout, stderr } = child as Partial<typeof child>;
    // A hook need not read it: whether it worked is for its exit status to say.
    stdin?.on('error', () => undefined).end(input);
    let timedOut = false;
    let settled = false;
    let killer: NodeJS.Timeout | undefined;
    const signal = (name: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    };
    const limit = setTimeout(() => {
      timedOut = true;
      signal('SIGTERM');
      killer = setTimeout(() => signal('SIGKILL'), KILL_AFTER);
    }, timeout);
    const onEnd = () => signal('SIGKILL');
    command.end?.addEventListener('abort', onEnd, { once: true });
    const readers = [stdout, stderr].flatMap((stream) => (stream ? [readLines(stream, command, guard)] : []));
    const finish = (reason: string | undefined) => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      clearTimeout(killer);
      command.end?.removeEventListener('abort', onEnd);
      // What the hook left running in its group would hold its output open.
      for (const reader of readers) reader.close();
      stdout?.destroy();
      stderr?.destroy();
      const milliseconds = performance.now() - started;
      resolve(reason === undefined ? { ok: true, milliseconds } : { ok: false, milliseconds, reason });
    };
    child.once('error', (error: NodeJS.ErrnoException) =>
      guard.run('hook', () => finish(`cannot run ${program}: ${error.code ?? error.message}`)),
    );
    child.once('exit', (code, signalName) => {
      if (timedOut) guard.run('hook', () => signal('SIGKILL'));
      const reason = timedOut
        ? `no end after ${timeout} ms`
        : code === 0
          ? undefined
          : signalName
            ? `ended by ${signalName}`
            : `exit status ${code}`;
      // The last lines are still on their way.
      setImmediate(() => setImmediate(() => finish(reason)));
    });
  });
}

function readLines(stream: NodeJS.ReadableStream, command: HookCommand, guard: Guard): Interface {
  const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  let lines = 0;
  reader.on('line', (line) => {
    lines += 1;
    // Without the key it cannot be told whether a late line shows it.
    if (lines > MAX_LINES || command.secret?.isWiped) return;
    const shown = visible(line.slice(0, MAX_LINE));
    guard.run('hook', () => command.onLine(command.secret ? withoutKey(shown, command.secret) : shown));
  });
  return reader;
}

/** Octets of a key in a row, as hex digits, that are not shown. */
const SHOWN_KEY = 8;

const HEX_RUN = /[0-9a-f]{16,}/gi;

/** A line in which digits of the key are replaced; the key itself is never made a string. */
export function withoutKey(line: string, secret: Secret): string {
  return line.replaceAll(HEX_RUN, (digits) => (secret.use((key) => holds(digits, key)) ? '[key]' : digits));
}

/** Whether hex digits, from any of them on, say octets of the key that stand in a row. */
function holds(digits: string, key: Uint8Array): boolean {
  const own = Buffer.from(key.buffer, key.byteOffset, key.length);
  return [0, 1].some((from) => {
    const octets = Buffer.from(digits.slice(from), 'hex');
    let isIn = false;
    for (let at = 0; at + SHOWN_KEY <= own.length; at += 1) {
      isIn ||= octets.includes(own.subarray(at, at + SHOWN_KEY));
    }
    octets.fill(0);
    return isIn;
  });
}

/** Puts a key where a hook can read it: a file of mode 0600 in a directory of mode 0700. Returns its path. */
export async function writePskFile(stateDir: string, psk: Secret): Promise<string> {
  const folder = join(stateDir, 'keys');
  await makeFolder(folder, 0o700);
  const path = join(folder, randomBytes(8).toString('hex'));
  const file = await open(path, 'wx', 0o600);
  const line = psk.use(hexLine);
  try {
    await file.writeFile(line);
  } finally {
    line.fill(0);
    await file.close();
  }
  return path;
}

/** `0x`, two hex digits an octet and a line end, in memory that the caller overwrites. */
function hexLine(octets: Uint8Array): Uint8Array {
  const line = Buffer.allocUnsafeSlow(2 * octets.length + 3);
  line.write('0x', 'latin1');
  putHex(octets, line, 2);
  line[line.length - 1] = 0x0a;
  return line;
}

/** Overwrites and removes a key file. */
export async function removePskFile(path: string): Promise<void> {
  const file = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return;
  try {
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size, '0'), 0, size, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await rm(path, { force: true });
}
