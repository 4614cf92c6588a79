import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** Whether this host has an interface of this name now. Outside Linux, one without addresses does not count. */
export type HasInterface = (name: string) => boolean;

export const hasInterface: HasInterface = (name) => namesOfInterfaces().includes(name);

function namesOfInterfaces(): string[] {
  if (process.platform !== 'linux') return Object.keys(networkInterfaces());
  try {
    return readdirSync('/sys/class/net');
  } catch {
    return Object.keys(networkInterfaces());
  }
}

/**
 * The warning about a configured interface that this host does not have; undefined: it has it. The daemon waits for the
 * interface, because a modem or a tunnel may create it later.
 */
export function interfaceWarning(name: string | undefined, has: HasInterface): string | undefined {
  if (name === undefined || has(name)) return undefined;
  return `this host has no interface ${name} now; it is used when it appears`;
}
