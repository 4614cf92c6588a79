import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** What `status` says about the process itself. */
export interface About {
  readonly version: string;
  readonly pid: number;
  /** Seconds since its start. */
  readonly uptimeSeconds: number;
  /** The configuration file; undefined: none, or only the environment names it. */
  readonly configuration: string | undefined;
}

/** package.json, from the folder of the compiled file. */
const PACKAGE = new URL('../../../package.json', import.meta.url);

let version: string | undefined;

/** About this process. `started`: when it started, by the same clock as `now`, in milliseconds. */
export function about(now: number, started: number): About {
  version ??= String((JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: unknown }).version);
  const uptimeSeconds = Math.floor((now - started) / 1000);
  return { version, pid: process.pid, uptimeSeconds, configuration: configurationIn(process.argv) };
}

/** The file that a command line names. */
export function configurationIn(words: readonly string[]): string | undefined {
  const given = words.flatMap((word, i) => {
    if (word === '-c' || word === '--config') return words[i + 1] ?? [];
    return /^(?:-c=?|--config=)(.+)$/.exec(word)?.[1] ?? [];
  });
  const [last] = given.slice(-1);
  return last === undefined ? undefined : resolve(last);
}
