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

/** What of a hook's output reaches the log. */
export const MAX_LINES = 200;
export const MAX_LINE = 500;

/** One run of a hook's program. */
export interface HookCall {
  readonly program: string;
  /** The only argument. */
  readonly event: HookEvent;
  /** Without MIP6_PSK_FILE. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stateDir: string;
  /** Standard input. */
  readonly input: string | undefined;
  /** The key that the program finds in MIP6_PSK_FILE. It can be read until the run has ended, and is never shown. */
  readonly psk: Secret | undefined;
}

/** A program that runs. A program that has ended takes signals without effect. */
export interface HookProcess {
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** What a program that runs has to say. None of them must throw. */
export interface HookProcessListener {
  /** A line of its output: the first MAX_LINES, each of MAX_LINE characters at most. Some may come after the end. */
  said(line: string): void;
  /** Called once. After SIGKILL it comes soon. */
  ended(outcome: HookOutcome): void;
  /** A fault that leaves the outcome as it is. */
  fault(error: unknown): void;
}

/** Runs programs of hooks. A simulation has its own. */
export interface HookProcessRunner {
  /** Removes the key files that a killed daemon has left in this folder. Called before the daemon starts its first program. */
  removeLeftovers(stateDir: string): Promise<void>;
  /** Starts a program. What cannot be started ends with an outcome as well. */
  start(call: HookCall, listener: HookProcessListener): HookProcess;
}

/** Processes of this host: one argument, no shell, a process group of their own. Key files are in the state folder. */
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
    const child = new Child(call, (line) => listener.said(line));
    const ended = (reason: string | undefined) => {
      const milliseconds = this.#host.monotonic() - began;
      listener.ended(reason === undefined ? { ok: true, milliseconds } : { ok: false, milliseconds, reason });
    };
    void this.#run(call, child, listener).then(ended, (error: Error) => ended(error.message));
    return child;
  }

  /** Resolves with why it failed; undefined: it worked. */
  async #run(call: HookCall, child: Child, listener: HookProcessListener): Promise<string | undefined> {
    if (!call.psk) return child.run(call.environment);
    const file = await writePskFile(call.stateDir, call.psk, this.#host);
    try {
      return await child.run({ ...call.environment, MIP6_PSK_FILE: file });
    } finally {
      // Whether the hook worked is another matter.
      await removePskFile(file).catch((error: unknown) => listener.fault(error));
    }
  }
}

class Child implements HookProcess {
  readonly #call: HookCall;
  readonly #said: (line: string) => void;
  #killed: NodeJS.Signals | undefined;
  #pid: number | undefined;

  constructor(call: HookCall, said: (line: string) => void) {
    this.#call = call;
    this.#said = said;
  }

  kill(signal: NodeJS.Signals): void {
    this.#killed = signal;
    this.#signal(signal);
  }

  /** Resolves with why it failed; undefined: it worked. */
  run(environment: Readonly<Record<string, string>>): Promise<string | undefined> {
    if (this.#killed) return Promise.resolve(`ended by ${this.#killed}`);
    const { program, event, input } = this.#call;
    return new Promise((resolve) => {
      const child = spawn(program, [event], { env: environment, cwd: '/', detached: true, stdio: 'pipe' });
      this.#pid = child.pid;
      // Without file descriptors the platform makes a child that has no streams, whatever its types say.
      const { stdin, stdout, stderr } = child as Partial<typeof child>;
      // A hook need not read its input: its exit status says whether it worked.
      stdin?.on('error', () => undefined).end(input);
      const readers = [stdout, stderr].flatMap((stream) => (stream ? [this.#readLines(stream)] : []));
      const finish = (reason: string | undefined) => {
        this.#pid = undefined;
        // What the hook left running in its group would hold its output open.
        for (const reader of readers) reader.close();
        stdout?.destroy();
        stderr?.destroy();
        resolve(reason);
      };
      child.once('error', (error: NodeJS.ErrnoException) =>
        finish(`cannot run ${program}: ${error.code ?? error.message}`),
      );
      child.once('exit', (code, signalName) => {
        // The rest of its group ends with it.
        if (this.#killed) this.#signal('SIGKILL');
        const reason = code === 0 ? undefined : signalName ? `ended by ${signalName}` : `exit status ${code}`;
        // The last lines are still on their way.
        setImmediate(() => setImmediate(() => finish(reason)));
      });
    });
  }

  /** To the whole process group. */
  #signal(name: NodeJS.Signals): void {
    try {
      if (this.#pid !== undefined) process.kill(-this.#pid, name);
    } catch (error) {
      // It has ended, or it runs as another user by now and cannot be killed.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    }
  }

  #readLines(stream: NodeJS.ReadableStream): Interface {
    const { psk } = this.#call;
    const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
    let lines = 0;
    reader.on('line', (line) => {
      lines += 1;
      // Without the key it cannot be told whether a late line shows it.
      if (lines > MAX_LINES || psk?.isWiped) return;
      const shown = visible(line.slice(0, MAX_LINE));
      this.#said(psk ? withoutKey(shown, psk) : shown);
    });
    return reader;
  }
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

const keyFolder = (stateDir: string) => join(stateDir, 'keys');

/** Names of key files: random octets in hex. */
const NAME_OCTETS = 8;
const KEY_FILE = /^[0-9a-f]{16}$/;

/** Puts a key where a hook can read it: a file of mode 0600 in a directory of mode 0700. Returns its path. */
async function writePskFile(stateDir: string, psk: Secret, host: Host): Promise<string> {
  const folder = keyFolder(stateDir);
  await makeFolder(folder, 0o700);
  const path = join(folder, toHex(host.random(NAME_OCTETS)));
  const file = await open(path, 'wx', 0o600);
  try {
    await writeKey(file, psk);
  } catch (error) {
    // A full disk, or the daemon has ended meanwhile: part of a key is not left behind.
    await removePskFile(path);
    throw error;
  }
  return path;
}

/** Writes the line and closes the file. */
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

/** `0x`, two hex digits an octet and a line end, in memory that the caller overwrites. */
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
