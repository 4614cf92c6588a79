import { OperatorError } from '../runtime/system/failure.js';
import { durationOf, type LoadFlags, numberOf } from './options.js';

/** What a run does. All times in milliseconds. */
export interface LoadPlan {
  /** `concurrency`: bootstraps in progress at all times. `rate`: bootstraps that begin per second. */
  readonly arrivals: { readonly type: 'concurrency' | 'rate'; readonly number: number };
  /** Bootstraps; undefined: no limit. */
  readonly count: number | undefined;
  readonly duration: number | undefined;
  /** Bootstraps before the measurement. */
  readonly warmUp: number;
  /** Share of bootstraps that resume a TLS session, if the node has a ticket. */
  readonly resume: number;
  /** How long a session lasts; 0: terminated at once; Infinity: until the end of the run. */
  readonly stay: number;
  /** Mean intervals of movement and of re-authentication in a session; 0: never. */
  readonly moveEvery: number;
  readonly reauthenticateEvery: number;
  /** Share of sessions that a node leaves without a message. */
  readonly vanish: number;
  /** Whether a node that no AAA server judged tries again, as a pana-pac does. */
  readonly retry: boolean;
  /** Time limit of an attempt. */
  readonly timeout: number;
  /** Maximum number of nodes, which is that of sockets and sessions. */
  readonly nodes: number;
}

const MOST = 1_000_000;
const DEFAULT_DURATION = 10_000;

/** Nodes at a given rate without sessions that stay. */
const USUAL_NODES = 10_000;

/** Open files that are not sockets of nodes. */
const OTHER_FILES = 64;

/** What `--soak` means, unless a flag says otherwise. */
const SOAK = { stay: '60s', 'move-every': '20s', 'reauth-every': '30s', vanish: 0.1, resume: 0.5 } as const;

/** `files`: maximum number of open files of this process. Throws OperatorError. */
export function planOf(given: LoadFlags, certificates: number, files: number): LoadPlan {
  const flags = given.soak ? { ...given, ...soaked(given) } : given;
  const { concurrency, rate, count } = flags;
  if (concurrency !== undefined && rate !== undefined) {
    throw new OperatorError('--concurrency and --rate exclude each other', { remedy: 'give one of them' });
  }
  const arrivals =
    rate === undefined
      ? ({ type: 'concurrency', number: numberOf('concurrency', concurrency ?? 1, 1, 100_000, true) } as const)
      : ({ type: 'rate', number: numberOf('rate', rate, 0.001, 100_000, false) } as const);
  const stay = flags.stay === 'end' ? Number.POSITIVE_INFINITY : durationOf('stay', flags.stay);
  const isUnlimited = count !== undefined && flags.duration === undefined;
  const inProgress = arrivals.type === 'concurrency' ? arrivals.number : USUAL_NODES;
  // Two sessions with one certificate replace each other at the AAA server.
  const usual = stay === 0 ? inProgress : certificates;
  return {
    arrivals,
    count: count === undefined ? undefined : numberOf('count', count, 1, MOST * 1_000, true),
    duration: isUnlimited
      ? undefined
      : flags.duration === undefined
        ? DEFAULT_DURATION
        : longerThanZero(flags.duration),
    warmUp: numberOf('warm-up', flags['warm-up'], 0, MOST, true),
    resume: numberOf('resume', flags.resume, 0, 1, false),
    stay,
    moveEvery: durationOf('move-every', flags['move-every']),
    reauthenticateEvery: durationOf('reauth-every', flags['reauth-every']),
    vanish: numberOf('vanish', flags.vanish, 0, 1, false),
    retry: flags.retry ?? arrivals.type === 'concurrency',
    timeout: durationOf('timeout', flags.timeout),
    nodes: nodesOf(flags.nodes, Math.max(usual, certificates), files),
  };
}

function longerThanZero(text: string): number {
  const duration = durationOf('duration', text);
  if (duration > 0) return duration;
  throw new OperatorError(`--duration: "${text}" is no time at all`);
}

function nodesOf(wanted: number | undefined, usual: number, files: number): number {
  const most = Math.max(1, files - OTHER_FILES);
  if (wanted === undefined) return Math.min(usual, most);
  numberOf('nodes', wanted, 1, MOST, true);
  if (wanted <= most) return wanted;
  throw new OperatorError(`--nodes: ${wanted} nodes need as many sockets, and this process may open ${files} files`, {
    remedy: `raise the limit (ulimit -n ${wanted + OTHER_FILES})`,
  });
}

/** The values of a soak where a flag has its default. */
function soaked(given: LoadFlags): Partial<LoadFlags> {
  return {
    stay: given.stay === '0' ? SOAK.stay : given.stay,
    'move-every': given['move-every'] === '0' ? SOAK['move-every'] : given['move-every'],
    'reauth-every': given['reauth-every'] === '0' ? SOAK['reauth-every'] : given['reauth-every'],
    vanish: given.vanish === 0 ? SOAK.vanish : given.vanish,
    resume: given.resume === 0 ? SOAK.resume : given.resume,
  };
}
