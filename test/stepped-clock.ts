import { execFile, spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const hasCompiler = process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0;

/** The reason why tests that set a program's clock are skipped; undefined: they run. */
export const withoutSteps = hasCompiler ? undefined : 'there is no gcc on Linux';

if (withoutSteps !== undefined) {
  process.stderr.write(
    `\nSKIPPED: tests that set the wall clock, because ${withoutSteps}. On Debian: apt-get install gcc\n\n`,
  );
}

/** A wall clock that can be stepped while programs use it, by a preloaded library. */
export class SteppedClock {
  readonly #folder: string;
  /** Milliseconds ahead of the host's clock. */
  #ahead = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Compiles the library. `ahead`: milliseconds ahead of the host's clock. */
  static async make(ahead = 0): Promise<SteppedClock> {
    const folder = await mkdtemp(join(tmpdir(), 'pana-clock-'));
    // Programs that run as another user need access too.
    await chmod(folder, 0o755);
    const clock = new SteppedClock(folder);
    const source = join(import.meta.dirname, 'clock-shim.c');
    await run('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', clock.#library, source, '-ldl']);
    await clock.step(ahead);
    return clock;
  }

  /** The environment of a program that uses this clock. */
  get environment(): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, CLOCK_SHIM: this.#file };
  }

  /** The same as a command prefix. */
  get launcher(): readonly string[] {
    return ['env', ...Object.entries(this.environment).map(([name, value]) => `${name}=${value}`)];
  }

  /** Its time in milliseconds since 1970, UTC. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  /** Steps the clock forwards or backwards. */
  async step(milliseconds: number): Promise<void> {
    this.#ahead += milliseconds;
    const octets = Buffer.alloc(8);
    if (endianness() === 'LE') octets.writeBigInt64LE(BigInt(this.#ahead));
    else octets.writeBigInt64BE(BigInt(this.#ahead));
    // In place, because programs have the file mapped.
    const file = await open(this.#file, constants.O_RDWR | constants.O_CREAT);
    await file.chmod(0o644);
    await file.write(octets, 0, octets.length, 0);
    await file.close();
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #library(): string {
    return join(this.#folder, 'clock-shim.so');
  }

  get #file(): string {
    return join(this.#folder, 'ahead');
  }
}
