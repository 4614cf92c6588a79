import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type DiameterMessage, decodeDiameter, encodeDiameter } from '../../../src/protocol/diameter/wire/codec.js';
import { DiameterConnection, MESSAGES_PER_TURN } from '../../../src/runtime/diameter/connection.js';
import { systemHost } from '../../../src/runtime/system/host.js';

/** A device watchdog request (RFC 6733 5.5.1) without AVPs. */
function message(hopByHop: number): Uint8Array {
  const octets = Buffer.from('01000014800001180000000000000000000000ff', 'hex');
  octets.writeUInt32BE(hopByHop, 12);
  expect(encodeDiameter(decodeDiameter(octets))).toEqual(new Uint8Array(octets));
  return octets;
}

const messages = (count: number, from = 0) =>
  Buffer.concat(Array.from({ length: count }, (_, number) => message(from + number)));

function connection(fails = false) {
  const seen: (number | string)[] = [];
  const listeners = new Map<string, (chunk: Uint8Array) => void>();
  const stream = {
    writable: true,
    closed: false,
    writableLength: 0,
    on: (event: string, listener: (chunk: Uint8Array) => void) => listeners.set(event, listener),
    write: () => undefined,
    end: () => undefined,
    pause: () => seen.push('pause'),
    resume: () => seen.push('resume'),
  };
  const transport = {
    stream,
    localAddress: new Uint8Array(4),
    remoteAddress: '',
    identities: undefined,
    reset: () => seen.push('reset'),
  };
  const events = {
    message: ({ hopByHop }: DiameterMessage) => {
      if (fails && hopByHop === MESSAGES_PER_TURN) throw new Error('a fault');
      seen.push(hopByHop);
    },
    malformed: () => seen.push('malformed'),
    untrusted: () => seen.push('untrusted'),
    closed: () => seen.push('closed'),
  };
  const guard = {
    run: <T>(_where: string, action: () => T, end?: (error: unknown) => void) => {
      try {
        return action();
      } catch (error) {
        end?.(error);
        return undefined;
      }
    },
    settle: () => Promise.resolve(),
    fault: () => undefined,
  };
  const made = new DiameterConnection(transport, events, systemHost, guard);
  const emit = (event: string, chunk = new Uint8Array()) => listeners.get(event)?.(chunk);
  return { made, seen, emit };
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, number) => from + number);

describe('a Diameter connection that receives many messages at once', () => {
  it('handles some in each turn, in order, and reads nothing meanwhile', async () => {
    const { seen, emit } = connection();
    const chunk = messages(2 * MESSAGES_PER_TURN + 3);
    emit('data', chunk);
    expect(seen).toEqual([...numbers(MESSAGES_PER_TURN), 'pause']);
    await turn();
    expect(seen.slice(MESSAGES_PER_TURN + 1)).toEqual(numbers(MESSAGES_PER_TURN, MESSAGES_PER_TURN));
    await turn();
    expect(seen.slice(2 * MESSAGES_PER_TURN + 1)).toEqual([...numbers(3, 2 * MESSAGES_PER_TURN), 'resume']);
    // A message may contain a key.
    expect(chunk.every((octet) => octet === 0)).toBe(true);
  });

  it('handles those of one turn without a pause', () => {
    const { seen, emit } = connection();
    emit('data', messages(MESSAGES_PER_TURN));
    expect(seen).toEqual(numbers(MESSAGES_PER_TURN));
  });

  it('keeps the order of what a stream passes nevertheless, and tells of lost framing last', async () => {
    const { seen, emit } = connection();
    emit('data', messages(MESSAGES_PER_TURN + 1));
    emit('data', Buffer.concat([messages(1, 500), Buffer.alloc(20, 9)]));
    expect(seen.at(-1)).toBe('pause');
    await turn();
    expect(seen.slice(MESSAGES_PER_TURN + 1)).toEqual([MESSAGES_PER_TURN, 500, 'untrusted', 'resume']);
  });

  it('handles the others before it reports the end of the stream', async () => {
    const { seen, emit } = connection();
    emit('data', messages(3 * MESSAGES_PER_TURN));
    emit('close');
    expect(seen.slice(-2)).toEqual([3 * MESSAGES_PER_TURN - 1, 'closed']);
    await turn();
    expect(seen.filter((each) => each === 'closed')).toHaveLength(1);
  });

  it('handles none after a fault or its own end, and overwrites them', async () => {
    const failing = connection(true);
    const chunk = messages(3 * MESSAGES_PER_TURN);
    failing.emit('data', chunk);
    await turn();
    failing.emit('close');
    expect(failing.seen.slice(MESSAGES_PER_TURN)).toEqual(['pause', 'reset', 'closed']);
    expect(chunk.every((octet) => octet === 0)).toBe(true);

    const ending = connection();
    ending.emit('data', messages(2 * MESSAGES_PER_TURN));
    ending.made.reset();
    await turn();
    expect(ending.seen.slice(MESSAGES_PER_TURN)).toEqual(['pause', 'reset', 'resume']);
  });
});
