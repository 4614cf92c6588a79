import { DecodeError } from '../protocol/bytes/decode-error.js';
import { type DiameterMessage, FLAG } from '../protocol/diameter/codec.js';
import { commandOf } from '../protocol/diameter/commands.js';
import type { Grammarian } from '../protocol/diameter/grammar.js';
import { resultName } from '../protocol/diameter/result-codes.js';
import { decodePana } from '../protocol/pana/codec.js';
import { messageName } from '../protocol/pana/dictionary.js';
import { FAULT_PLACES, type Guard, isFault } from './barrier.js';
import { type ControlRoutes, ControlServer } from './control.js';
import type { DiameterEvent } from './diameter-node.js';
import { type HookOptions, type HookReport, HookRunner, type HookView } from './hooks.js';
import type { Logger } from './log.js';
import { each, type MetricDescriptions, type Metrics } from './metrics.js';

/** What every daemon opens for its operator. */
export interface OperatorDoor {
  readonly socket: string;
  readonly metrics?: string | undefined;
}

/** Opens the control socket, and numbers over TCP if configured. Returns how to close both. */
export async function openControl(
  door: OperatorDoor,
  routes: ControlRoutes,
  metrics: Metrics,
  guard: Guard,
): Promise<() => Promise<void>> {
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

/** A daemon's hooks as its configuration has them. */
interface HookSection {
  readonly 'state-dir': string;
  readonly timeout: number;
  readonly parallel: number;
}

/** How hooks are run; what happens to them is logged and counted. */
export function hookOptions(hooks: HookSection, log: Logger, metrics: Metrics, guard: Guard): HookOptions {
  const { 'state-dir': stateDir, timeout, parallel: maxParallel } = hooks;
  return { stateDir, timeout, maxParallel, onEvent: hookReporter(log, metrics), guard };
}

/** A runner of hooks that logs and counts what happens to them. */
export function makeHookRunner(hooks: HookSection, log: Logger, metrics: Metrics, guard: Guard): HookRunner {
  return new HookRunner(hookOptions(hooks, log, metrics, guard));
}

/** Gauges of hooks that are not done with. */
export function hookGauges(metrics: Metrics, hooks: () => readonly HookView[]): void {
  metrics.gauge('hooks_waiting', 'Hooks that wait, run, or will be tried again', () => hooks().length);
  metrics.gauge(
    'hooks_failing',
    'Hooks that have failed so far, and will be tried again',
    () => hooks().filter(({ problem }) => problem !== undefined).length,
  );
}

function hookReporter(log: Logger, metrics: Metrics): (report: HookReport) => void {
  return (report) => {
    const { subject, role, event } = report;
    const fields = { subject, role, event };
    // From PAR[C] to an IKE_SA, say: whatever failed before is in it.
    const since = 'sinceEvent' in report ? { sinceEvent: Math.round(report.sinceEvent) } : {};
    switch (report.type) {
      case 'line':
        log.info({ ...fields, line: report.line, ...since }, 'hook said');
        break;
      case 'refused':
        metrics.count('hook_runs', { event, result: 'refused' });
        log.error({ ...fields, reason: report.error.message }, 'hook refused');
        break;
      case 'finished': {
        const { outcome } = report;
        const milliseconds = Math.round(outcome.milliseconds);
        metrics.count('hook_runs', { event, result: outcome.ok ? 'ok' : 'failed' });
        if (outcome.ok) log.info({ ...fields, try: report.try, milliseconds, ...since }, 'hook done');
        else log.warn({ ...fields, try: report.try, milliseconds, ...since, reason: outcome.reason }, 'hook failed');
      }
    }
  };
}

/** What the log says of a PANA datagram: its name by RFC 5191 and by the paper. */
export function panaFields(octets: Uint8Array): Record<string, unknown> {
  try {
    const message = decodePana(octets);
    const { rfc, paper } = messageName(message);
    return { message: rfc, paper, session: sessionText(message.sessionId), sequence: message.sequence };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { message: 'not PANA' };
  }
}

/** A PANA session identifier as people see it: eight hex digits. */
export function sessionText(sessionId: number): string {
  return sessionId.toString(16).padStart(8, '0');
}

/** What the barrier counts. */
export const FAULT_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  faults: {
    help: 'Faults of this program that were contained, by where they came in: each is worth a report',
    series: each('where', FAULT_PLACES),
  },
};

/** What `diameterReporter` counts. */
export const DIAMETER_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  failovers: { help: 'Diameter requests that were sent again to another peer' },
  duplicates: { help: 'Repeated Diameter requests that were answered as before' },
  diameter_dropped: { help: 'Diameter messages that were dropped, by reason', series: [{ code: 'unknown-answer' }] },
};

/** Between two warnings that connections in the name of one listed peer are refused, in milliseconds. */
const REFUSAL_PAUSE = 60_000;

/** Why a peer is refused that is configured, and what to do. */
const NOT_ITS_ADDRESS = 'diameter.peers does not list the address for this peer: add it to from, or use TLS';

/** Logs and counts what happens to Diameter peers; messages at `level`. */
export function diameterReporter(
  log: Logger,
  metrics: Metrics,
  level: 'debug' | 'trace',
): (event: DiameterEvent, grammarian: Grammarian) => void {
  /** When a peer was last said to be refused. */
  const warned = new Map<string, number>();
  /** Anybody can say the name of a peer: an operator hears of it, but not as often as a stranger likes. */
  const refused = ({ peer = '', address, code }: Extract<DiameterEvent, { type: 'peerRefused' }>) => {
    const now = performance.now();
    const often = code === 'unknown-peer' || now - (warned.get(peer) ?? Number.NEGATIVE_INFINITY) < REFUSAL_PAUSE;
    if (!often) warned.set(peer, now);
    const reason = code === 'peer-address' ? { reason: NOT_ITS_ADDRESS } : {};
    log[often ? 'debug' : 'warn']({ peer, address, code, ...reason }, 'peer refused');
  };
  return (event, grammarian) => {
    switch (event.type) {
      case 'message':
        if (!log.isLevelEnabled(level)) break;
        log[level](
          { peer: event.peer, ...diameterFields(grammarian, event.message) },
          event.direction === 'in' ? 'received' : 'sent',
        );
        break;
      case 'peerOpen':
        log.info({ peer: event.peer, product: event.capabilities.productName }, 'peer connected');
        break;
      case 'peerClosed':
        log.warn({ peer: event.peer, reason: event.reason }, 'peer disconnected');
        break;
      case 'peerSuspected':
      case 'peerTrusted':
        log.warn({ peer: event.peer }, event.type === 'peerTrusted' ? 'peer trusted again' : 'peer suspected');
        break;
      case 'failedOver':
        metrics.count('failovers');
        log.warn({ peer: event.peer, to: event.to }, 'request failed over');
        break;
      case 'duplicate':
        metrics.count('duplicates');
        log.debug({ peer: event.peer }, 'duplicate request answered as before');
        break;
      case 'dropped':
        metrics.count('diameter_dropped', { code: event.code });
        log.debug({ peer: event.peer, code: event.code }, 'dropped');
        break;
      case 'peerRefused':
        metrics.count('diameter_dropped', { code: event.code });
        refused(event);
        break;
      case 'failed':
        // A fault of ours has been counted and logged at the barrier.
        if (!isFault(event.error)) {
          log.error({ peer: event.peer, reason: (event.error as Error).message }, 'request failed');
        }
    }
  };
}

/** Logs why a Diameter connection with TLS did not come to be. */
export function refusedReporter(log: Logger): (reason: string) => void {
  return (reason) => log.warn({ reason }, 'TLS refused');
}

/** What the log says of a Diameter message. */
function diameterFields(grammarian: Grammarian, message: DiameterMessage): Record<string, unknown> {
  const request = (message.flags & FLAG.R) !== 0;
  const name = commandOf(message.commandCode, request)?.name ?? `command ${message.commandCode}`;
  const result = grammarian.find(message.avps, 'Result-Code');
  return {
    message: name,
    session: grammarian.find(message.avps, 'Session-Id'),
    ...(result === undefined ? {} : { result: resultName(result) }),
  };
}
