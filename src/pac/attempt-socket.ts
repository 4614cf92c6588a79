import type { Logger } from '../runtime/log/events.js';
import { panaFields } from '../runtime/log/pana-fields.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import type { AttemptOptions, AttemptTools } from './attempt-interface.js';
import type { Source } from './source.js';

export interface Connected {
  readonly socket: DatagramSocket;
  readonly interface: string | undefined;
}

/** Opens a socket to a PAA. */
export function connect(
  { paa, port, localPort }: AttemptOptions,
  { log, metrics, guard, surroundings }: AttemptTools,
  source: Source | undefined,
  take: (octets: Uint8Array) => void,
): Promise<DatagramSocket> {
  const from = {
    ...(source === undefined ? {} : { address: source.address }),
    ...(localPort === undefined ? {} : { port: localPort }),
  };
  const onDatagram = (octets: Uint8Array) => {
    metrics.count('datagrams', { direction: 'in' });
    trace(log, 'message received', octets);
    take(octets);
  };
  return surroundings.udp.connect({ address: paa, port }, from, (octets) =>
    guard.run('datagram', () => onDatagram(octets)),
  );
}

export function trace(log: Logger, message: 'message sent' | 'message received', octets: Uint8Array): void {
  if (log.isLevelEnabled('debug')) log.debug({ ...panaFields(octets), octets: octets.length }, message);
}

/** How many algorithms of an offer a log line names: a stranger can offer thousands. */
const SHOWN_ALGORITHMS = 8;

/** The names of algorithms; `none`: there are none. */
export function nameList(ids: readonly number[], known: ReadonlyMap<number, { readonly hash: string }>): string {
  const names = ids.slice(0, SHOWN_ALGORITHMS).map((id) => known.get(id)?.hash ?? String(id));
  return [...names, ...(ids.length > names.length ? ['…'] : [])].join(',') || 'none';
}
