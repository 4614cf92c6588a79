import { drawLadder, type Rung } from '../../runtime/cli/ladder.js';
import type { Decoded } from './decoder.js';
import type { Packet } from './packets.js';

/** Maximum number of columns of a ladder. */
const MAX_COLUMNS = 5;

type Endpoint = Packet['from'];

/**
 * Draws the messages of a capture as a ladder, with a column for each address. If there is only one address, as on
 * loopback, each address and port has a column. Undefined if there is nothing to draw.
 */
export function captureLadder(messages: readonly Decoded[]): string | undefined {
  const seen = messages.flatMap(({ packet, name }) => (packet && name !== undefined ? [{ packet, name }] : []));
  const addresses = new Set(seen.flatMap(({ packet }) => [packet.from.address, packet.to.address]));
  const label = ({ address, port }: Endpoint) => (addresses.size > 1 ? address : `${address} port ${port}`);
  const columns: string[] = [];
  const column = (endpoint: Endpoint) => {
    const name = label(endpoint);
    if (!columns.includes(name)) columns.push(name);
    return columns.indexOf(name);
  };
  const rungs: Rung[] = seen.map(({ packet, name }) => ({
    at: packet.at,
    from: column(packet.from),
    to: column(packet.to),
    text: name,
  }));
  const drawn = rungs.filter(({ from, to }) => from !== to && Math.max(from, to) < MAX_COLUMNS);
  if (drawn.length === 0) return undefined;
  const left = columns.slice(MAX_COLUMNS);
  const note = left.length === 0 ? '' : `\n${rungs.length - drawn.length} messages of ${left.join(', ')} are not drawn`;
  return drawLadder(drawn, columns.slice(0, MAX_COLUMNS)) + note;
}
