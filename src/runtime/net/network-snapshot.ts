import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

/** The state of the network, read without a monitor program. */
export interface NetworkSnapshot {
  /** All addresses with their interfaces, as text. */
  readonly addresses: string;
  /** The interfaces on Linux. Empty on other systems. */
  readonly links: ReadonlyMap<string, LinkSnapshot>;
}

export interface LinkSnapshot {
  readonly up: boolean;
  /** Changes when the interface loses or gets its carrier, or is replaced by another one of the same name. */
  readonly generation: string;
}

const FOLDER = '/sys/class/net';

/** Takes a snapshot of the network of this computer. */
export function networkSnapshot(folder = FOLDER): NetworkSnapshot {
  const addresses = Object.entries(networkInterfaces()).map(([name, list]) => [
    name,
    list?.map(({ address }) => address),
  ]);
  const links = namesIn(folder).map((name) => [name, linkSnapshot(name, folder)] as const);
  return { addresses: JSON.stringify(addresses), links: new Map(links) };
}

/** Takes a snapshot of one interface. */
export function linkSnapshot(name: string, folder = FOLDER): LinkSnapshot {
  const read = (file: string) => textOf(join(folder, name, file));
  return { up: read('carrier') === '1', generation: `${read('ifindex')} ${read('carrier_changes')}` };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The text of a file of sysfs. Empty if it cannot be read, such as the carrier of an interface that is down. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
