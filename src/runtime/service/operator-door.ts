import type { Guard } from './barrier.js';
import { type ControlRoutes, ControlServer } from './control.js';
import type { Metrics } from './metrics.js';

/** What every daemon opens for its operator. */
export interface OperatorDoor {
  readonly socket: string;
  readonly metrics?: string | undefined;
}

/** Opens the door of a daemon: its routes, and its numbers. Returns how to close it. */
export type OpenControl = typeof openControl;

/** Opens the control socket, and numbers over TCP if configured. Returns how to close both. */
export async function openControl(
  door: OperatorDoor,
  routes: ControlRoutes,
  metrics: Metrics,
  guard: Guard,
): Promise<() => Promise<void>> {
  metrics.measureProcess();
  const numbers: ControlRoutes = { 'GET /metrics': () => metrics.text(), 'GET /healthz': () => 'ok\n' };
  const servers = [await ControlServer.onSocket(door.socket, { ...numbers, ...routes }, guard)];
  if (door.metrics !== undefined) {
    const colon = door.metrics.lastIndexOf(':');
    const host = door.metrics.slice(0, colon).replaceAll(/[[\]]/g, '');
    try {
      servers.push(await ControlServer.onTcp(host, Number(door.metrics.slice(colon + 1)), numbers, guard));
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
  }
  return async () => {
    await Promise.all(servers.map((server) => server.close()));
  };
}
