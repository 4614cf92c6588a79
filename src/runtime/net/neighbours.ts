import { execFile } from 'node:child_process';

/** Reads the MAC addresses of the neighbours on an interface, by address without a scope. Empty if that fails. */
export type ReadNeighbours = (access: string) => Promise<ReadonlyMap<string, string>>;

/** Time limit of the program in milliseconds. */
const PROGRAM_TIME = 2_000;

/** Maximum length of its output in octets: some 100,000 neighbours. */
const MAX_OUTPUT = 10 * 1024 * 1024;

/** The neighbours that Linux knows; other systems are not supported. */
export const readNeighbours: ReadNeighbours = (access) =>
  new Promise((resolve) => {
    const words = ['neigh', 'show', 'dev', access];
    execFile('ip', words, { timeout: PROGRAM_TIME, maxBuffer: MAX_OUTPUT }, (failure, stdout) =>
      resolve(failure ? new Map() : neighboursIn(stdout)),
    );
  });

/** Parses lines such as `fe80::1 lladdr 02:00:00:00:00:01 REACHABLE`. Neighbours without a MAC address are left out. */
export function neighboursIn(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, address, mac] = /^([0-9a-f.:]+) (?:.* )?lladdr ([0-9a-f:]+)\b/.exec(line) ?? [];
    if (address !== undefined && mac !== undefined && !line.includes(' FAILED')) found.set(address, mac);
  }
  return found;
}
