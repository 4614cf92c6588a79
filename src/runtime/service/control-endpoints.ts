import type { Host } from '../system/host.js';
import { about } from './about.js';
import type { Guard } from './barrier.js';
import { type ControlCall, type ControlRoutes, ControlServer } from './control.js';
import type { Metrics } from './metrics.js';

/** The control socket and metrics port of a daemon. */
export interface ControlEndpoints {
  readonly socket: string;
  /** The group that may use the socket. */
  readonly group?: string | undefined;
  readonly metrics?: string | undefined;
}

/** Adds to the status of a daemon what every process has. */
function withAbout(routes: ControlRoutes, clock: Pick<Host, 'monotonic'>, started: number): ControlRoutes {
  const status = routes['GET /status'];
  if (!status) return routes;
  const all = async (call: ControlCall) => {
    const own = await status(call);
    return typeof own === 'object' ? { ...about(clock.monotonic(), started), ...own } : own;
  };
  return { ...routes, 'GET /status': all };
}

/** Opens the control socket and metrics port. Resolves with a function that closes them. */
export type OpenControl = typeof openControl;

/** Opens the control socket, and the metrics port if configured. Resolves with a function that closes both. */
export async function openControl(
  endpoints: ControlEndpoints,
  routes: ControlRoutes,
  metrics: Metrics,
  guard: Guard,
  clock: Pick<Host, 'monotonic'>,
): Promise<() => Promise<void>> {
  metrics.measureProcess();
  const numbers: ControlRoutes = { 'GET /metrics': () => metrics.text(), 'GET /healthz': () => 'ok\n' };
  const started = clock.monotonic();
  const all = { ...numbers, ...withAbout(routes, clock, started) };
  const servers = [await ControlServer.onSocket(endpoints.socket, all, guard, endpoints.group)];
  if (endpoints.metrics !== undefined) {
    const colon = endpoints.metrics.lastIndexOf(':');
    const host = endpoints.metrics.slice(0, colon).replaceAll(/[[\]]/g, '');
    try {
      servers.push(await ControlServer.onTcp(host, Number(endpoints.metrics.slice(colon + 1)), numbers, guard, clock));
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
  }
  return async () => {
    await Promise.all(servers.map((server) => server.close()));
  };
}
