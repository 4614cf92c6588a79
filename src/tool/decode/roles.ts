import { FLAG as DIAMETER_FLAG, type DiameterMessage } from '../../protocol/diameter/wire/codec.js';
import { CER, DPR, DWR } from '../../protocol/diameter/wire/commands.js';
import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../../protocol/diameter/wire/ports.js';
import { MESSAGE_TYPE, FLAG as PANA_FLAG, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import type { Endpoint } from './dissector.js';
import { type Heard, RecentMap } from './heard.js';
import { isFromRadiusClient } from './radius.js';

/** What an endpoint is: PaC, relay (RFC 6345), PAA; the client or server of Diameter or RADIUS. */
export type Role = 'PaC' | 'PRE' | 'PAA' | 'client' | 'server';

/** Limit of the pairs of endpoints whose roles are remembered. */
const MAX_PAIRS = 16_384;

const ORIGIN_HOST = 264;

/** Finds the roles of the two ends of a message. */
export class Roles {
  /** Whether the first end of a pair has the first of the two roles. */
  readonly #pairs = new RecentMap<boolean>(MAX_PAIRS);

  /** The roles of sender and receiver. */
  of({ from, to, content }: Heard): readonly [from: Role, to: Role] {
    if (content.protocol === 'diameter') {
      return this.#isFirst(from, to, isFromClient(from, to, content.message))
        ? ['client', 'server']
        : ['server', 'client'];
    }
    if (content.protocol === 'radius') {
      return isFromRadiusClient(content.message) ? ['client', 'server'] : ['server', 'client'];
    }
    const { message, relayed } = content;
    if (message.type === MESSAGE_TYPE.RELAY) {
      const fromRelay = relayed ? isFromPac(relayed.message, relayed.message.type) : undefined;
      return this.#isFirst(from, to, fromRelay) ? ['PRE', 'PAA'] : ['PAA', 'PRE'];
    }
    return this.#isFirst(from, to, isFromPac(message, message.type) ?? isFromPacByPorts(from, to))
      ? ['PaC', 'PAA']
      : ['PAA', 'PaC'];
  }

  /** `known`: whether the sender is the first, as far as the message tells. Otherwise an earlier message told. */
  #isFirst(from: Endpoint, to: Endpoint, known: boolean | undefined): boolean {
    const [there, back] = [`${keyOf(from)} ${keyOf(to)}`, `${keyOf(to)} ${keyOf(from)}`];
    const earlier = this.#pairs.get(there) ?? negated(this.#pairs.get(back));
    const isFirst = earlier ?? known ?? true;
    if (earlier === undefined) this.#pairs.set(there, isFirst);
    return isFirst;
  }
}

export function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}

function negated(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

/** RFC 5191 4: only a PaC sends PCI and PAN, and only a PAA sends PAR. */
function isFromPac({ flags }: PanaMessage, type: number): boolean | undefined {
  if (type === MESSAGE_TYPE.PCI) return true;
  return type === MESSAGE_TYPE.AUTH ? (flags & PANA_FLAG.R) === 0 : undefined;
}

function isFromPacByPorts(from: Endpoint, to: Endpoint): boolean | undefined {
  return from.port === to.port || (from.port !== PANA_PORT && to.port !== PANA_PORT)
    ? undefined
    : to.port === PANA_PORT;
}

function isFromClient(from: Endpoint, to: Endpoint, message: DiameterMessage | undefined): boolean | undefined {
  const isServer = ({ port }: Endpoint) => port === DIAMETER_PORT || port === DIAMETER_TLS_PORT;
  if (isServer(from) !== isServer(to)) return isServer(to);
  // Only the end that opened the connection sends a CER (RFC 6733 5.3).
  return message?.commandCode === CER.code ? (message.flags & DIAMETER_FLAG.R) !== 0 : undefined;
}

/** The Origin-Host of the sender. Only messages between peers tell: others may be forwarded. */
export function identityOf(message: DiameterMessage | undefined): string | undefined {
  if (!message || ![CER.code, DWR.code, DPR.code].some((code) => code === message.commandCode)) return undefined;
  const value = message.avps.find(({ code, vendorId }) => code === ORIGIN_HOST && vendorId === undefined)?.data;
  return value && Buffer.from(value).toString('utf8').toLowerCase();
}
