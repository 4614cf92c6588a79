import { spawn } from 'node:child_process';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { putHex, toHex } from '../../protocol/bytes/octets.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import type { HookOutcome } from '../../protocol/hooks/alphabet.js';
import type { HookEvent } from '../../protocol/hooks/contract.js';
import { makeFolder } from '../system/folder.js';
import type { Host } from '../system/host.js';
import { visible } from '../system/terminal.js';

/** Limits of the hook output that is logged: lines per run, and characters per line. */
const MAX_LINES = 200;
export const MAX_LINE = 500;

/** One run of a hook program. */
export interface HookCall {
  readonly program: string;
  /** The program's only argument. */
  readonly event: HookEvent;
  /** The environment variables, without MIP6_PSK_FILE. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stateDir: string;
  /** Standard input. */
  readonly input: string | undefined;
  /** The key that the program finds in MIP6_PSK_FILE. Readable until the run has ended; never logged. */
  readonly psk: Secret | undefined;
}

/** A running program. Signals to a program that has ended are ignored. */
export interface HookProcess {
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Receives the output and the end of a program. Its functions must not throw. */
export interface HookProcessListener {
  /** Receives a line of output: the first MAX_LINES, each cut to MAX_LINE characters. Some may arrive after `ended`. */
  line(line: string): void;
  /** Called once, when the program has ended, which is soon after SIGKILL. */
  ended(outcome: HookOutcome): void;
  /** Receives a fault that does not change the outcome. */
  fault(error: unknown): void;
}

/** Runs hook programs. A simulation passes its own implementation. */
export interface HookProcessRunner {
  /** Removes key files that a killed daemon left in this folder. Call before the first program starts. */
  removeLeftovers(stateDir: string): Promise<void>;
  /** Starts a program. If it cannot be started, `ended` reports a failure. */
  start(call: HookCall, listener: HookProcessListener): HookProcess;
}

/**
 * Runs programs as processes of this host, without a shell, each in its own process group. Key files are written to the
 * state folder.
 */
export class HostProcesses implements HookProcessRunner {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async removeLeftovers(stateDir: string): Promise<void> {
    const folder = keyFolder(stateDir);
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) if (KEY_FILE.test(name)) await removePskFile(join(folder, name));
  }

  start(call: HookCall, listener: HookProcessListener): HookProcess {
    const began = this.#host.monotonic();
    const child = new Child(call, (line) => listener.line(line));
    const ended = (reason: string | undefined) => {
      const milliseconds = this.#host.monotonic() - began;
      listener.ended(reason === undefined ? { ok: true, milliseconds } : { ok: false, milliseconds, reason });
    };
    void this.#run(call, child, listener).then(ended, (error: Error) => ended(error.message));
    return child;
  }

  /** Resolves with the reason of a failure; undefined: the program succeeded. */
  async #run(call: HookCall, child: Child, listener: HookProcessListener): Promise<string | undefined> {
    if (!call.psk) return child.run(call.environment);
    const file = await writePskFile(call.stateDir, call.psk, this.#host);
    try {
      return await child.run({ ...call.environment, MIP6_PSK_FILE: file });
    } finally {
      // A failure here does not change the outcome of the hook.
      await removePskFile(file).catch((error: unknown) => listener.fault(error));
    }
  }
}

class Child implements HookProcess {
  readonly #call: HookCall;
  readonly #onLine: (line: string) => void;
  #killed: NodeJS.Signals | undefined;
  #pid: number | undefined;
  /** The number of lines of output so far, of both streams. */
  #lines = 0;

  constructor(call: HookCall, onLine: (line: string) => void) {
    this.#call = call;
    this.#onLine = onLine;
  }

  kill(signal: NodeJS.Signals): void {
    this.#killed = signal;
    this.#signal(signal);
  }

  /** Resolves with the reason of a failure; undefined: the program succeeded. */
  run(environment: Readonly<Record<string, string>>): Promise<string | undefined> {
    if (this.#killed) return Promise.resolve(`ended by ${this.#killed}`);
    const { program, event, input } = this.#call;
    return new Promise((resolve) => {
      const child = spawn(program, [event], { env: environment, cwd: '/', detached: true, stdio: 'pipe' });
      this.#pid = child.pid;
      // If file descriptors run out, Node returns a child without streams, contrary to its types.
      const { stdin, stdout, stderr } = child as Partial<typeof child>;
      // A hook need not read its input; its exit status decides.
      stdin?.on('error', () => undefined).end(input);
      const readers = [stdout, stderr].flatMap((stream) => (stream ? [this.#readLines(stream)] : []));
      const finish = (reason: string | undefined) => {
        this.#pid = undefined;
        // Processes that the hook left in its group would otherwise hold the pipes open.
        for (const reader of readers) reader.close();
        stdout?.destroy();
        stderr?.destroy();
        resolve(reason);
      };
      child.once('error', (error: NodeJS.ErrnoException) =>
        finish(`cannot run ${program}: ${error.code ?? error.message}`),
      );
      child.once('exit', (code, signalName) => {
        // Also kill the rest of the process group.
        if (this.#killed) this.#signal('SIGKILL');
        const reason = code === 0 ? undefined : signalName ? `ended by ${signalName}` : `exit status ${code}`;
        // Wait until the last lines have been read.
        setImmediate(() => setImmediate(() => finish(reason)));
      });
    });
  }

  /** Sends a signal to the whole process group. */
  #signal(name: NodeJS.Signals): void {
    try {
      if (this.#pid !== undefined) process.kill(-this.#pid, name);
    } catch (error) {
      // The process has ended, or runs as another user and cannot be killed.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    }
  }

  #readLines(stream: NodeJS.ReadableStream): Interface {
    const { psk } = this.#call;
    const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
    reader.on('line', (line) => {
      this.#lines += 1;
      // Once the key is wiped, late lines cannot be checked for it.
      if (this.#lines > MAX_LINES || psk?.isWiped) return;
      const shown = visible(line.slice(0, MAX_LINE));
      this.#onLine(psk ? withoutKey(shown, psk) : shown);
    });
    return reader;
  }
}

/** Hex digits of this many consecutive octets of a key are not logged. */
const SHOWN_KEY = 8;

const HEX_RUN = /[0-9a-f]{16,}/gi;

/** Replaces hex digits of the key in a line. The key itself is never converted to a string. */
export function withoutKey(line: string, secret: Secret): string {
  return line.replaceAll(HEX_RUN, (digits) => (secret.use((key) => holds(digits, key)) ? '[key]' : digits));
}

/** Whether hex digits, at any offset, contain SHOWN_KEY consecutive octets of the key. */
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

const keyFolder = (stateDir: string) => join(stateDir, 'keys');

/** Number of random octets, whose hex form is the name of a key file. */
const NAME_OCTETS = 8;
const KEY_FILE = /^[0-9a-f]{16}$/;

/** Writes a key to a file of mode 0600 in a directory of mode 0700. Returns its path. */
async function writePskFile(stateDir: string, psk: Secret, host: Host): Promise<string> {
  const folder = keyFolder(stateDir);
  await makeFolder(folder, 0o700);
  const path = join(folder, toHex(host.random(NAME_OCTETS)));
  const file = await open(path, 'wx', 0o600);
  try {
    await writeKey(file, psk);
  } catch (error) {
    // Do not leave part of a key behind, for example on a full disk.
    await removePskFile(path);
    throw error;
  }
  return path;
}

/** Writes the key as a line and closes the file. */
async function writeKey(file: FileHandle, psk: Secret): Promise<void> {
  let line: Uint8Array | undefined;
  try {
    line = psk.use(hexLine);
    await file.writeFile(line);
  } finally {
    line?.fill(0);
    await file.close();
  }
}

/** Returns `0x`, two hex digits per octet, and a newline. The caller overwrites the result. */
function hexLine(octets: Uint8Array): Uint8Array {
  const line = Buffer.allocUnsafeSlow(2 * octets.length + 3);
  line.write('0x', 'latin1');
  putHex(octets, line, 2);
  line[line.length - 1] = 0x0a;
  return line;
}

/** Overwrites and removes a key file. */
async function removePskFile(path: string): Promise<void> {
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
