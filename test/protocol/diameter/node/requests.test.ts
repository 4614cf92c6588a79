import { beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_IN_FLIGHT,
  type RequestHop,
  type RequestOutput,
  Requests,
} from '../../../../src/protocol/diameter/node/requests.js';
import { RouteTable } from '../../../../src/protocol/diameter/node/routing.js';
import { EndToEndIdentifiers } from '../../../../src/protocol/diameter/peer/identifiers.js';
import { type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION } from '../../../../src/protocol/diameter/wire/commands.js';
import { MAX_MESSAGE } from '../../../../src/protocol/diameter/wire/framer.js';
import { deaTo, der, grammarian } from '../messages.js';

const TIMEOUT = 10_000;

/** A peer that requests can be sent to. */
class FakeHop implements RequestHop {
  readonly host: string;
  readonly priority: number;
  readonly weight = 1;
  readonly sent: DiameterMessage[] = [];
  connected = true;
  trusted = true;
  relay = false;
  #hopByHop = 0;

  constructor(host: string, priority: number) {
    this.host = host;
    this.priority = priority;
  }

  get capabilities() {
    return { relay: this.relay, applications: [APPLICATION.EAP] };
  }

  nextHopByHop(): number {
    this.#hopByHop += 1;
    return this.#hopByHop;
  }

  /** The answer of this peer to its last request. */
  answer(resultCode = 2001, more: Partial<DiameterMessage> = {}, host = this.host): DiameterMessage {
    const request = this.sent.at(-1);
    if (!request) throw new Error(`${this.host} was not asked`);
    return { ...deaTo(request, host, { 'Result-Code': resultCode }), ...more };
  }
}

let first: FakeHop;
let second: FakeHop;
let requests: Requests<FakeHop>;
/** Outcome of each request, by token: the Origin-Host of the answer, or the code of the failure. */
let outcomes: Map<number, string | undefined>;
let failovers: string[];
let lastToken: number;

beforeEach(() => {
  first = new FakeHop('first.example', 0);
  second = new FakeHop('second.example', 1);
  const hops = new Map([first, second].map((hop) => [hop.host, hop]));
  outcomes = new Map();
  failovers = [];
  lastToken = 0;
  requests = new Requests(grammarian, new EndToEndIdentifiers(0, 0), hops, new RouteTable([], hops, () => 0.5));
});

function take(outputs: readonly RequestOutput<FakeHop>[] = []): void {
  for (const output of outputs) {
    if (output.type === 'send') output.hop.sent.push(output.message);
    else if (output.type === 'failedOver') failovers.push(`${output.from.host} ${output.to.host}`);
    else if (output.type === 'failed') outcomes.set(output.token, output.code);
    else outcomes.set(output.token, grammarian.find(output.message.avps, 'Origin-Host'));
  }
}

function ask(now = 0, message = der('client.example'), target = {}): number {
  lastToken += 1;
  take(requests.request({ type: 'request', token: lastToken, message, target, timeout: TIMEOUT }, now));
  return lastToken;
}

/** Whether this answer of a peer is accepted. */
function answer(hop: FakeHop, message: DiameterMessage): boolean {
  const outputs = requests.answer(hop, message);
  take(outputs);
  return outputs !== undefined;
}

describe('failover of requests (RFC 3539 3.1)', () => {
  it('sends a request to another peer once, with T and the same End-to-End Identifier, when the first is suspected', () => {
    const token = ask();
    expect([first.sent.length, second.sent.length]).toEqual([1, 0]);
    take(requests.suspected(first));
    take(requests.suspected(first));
    expect([first.sent.length, second.sent.length]).toEqual([1, 1]);
    expect(second.sent[0]).toMatchObject({ flags: FLAG.R | FLAG.P | FLAG.T, endToEnd: first.sent[0]?.endToEnd });
    expect(failovers).toEqual(['first.example second.example']);
    expect([requests.inFlight(first), requests.inFlight(second)]).toEqual([0, 1]);
    // The first peer recovers: no request waits for its answer now.
    expect(answer(first, first.answer())).toBe(false);
    expect(answer(second, second.answer())).toBe(true);
    expect(outcomes.get(token)).toBe('second.example');
    expect(requests.inFlight(second)).toBe(0);
    expect(requests.deadline).toBeUndefined();
  });

  it('keeps a request at a suspected peer when there is no other, and accepts its late answer', () => {
    second.connected = false;
    const token = ask();
    take(requests.suspected(first));
    expect(first.sent).toHaveLength(1);
    expect(requests.inFlight(first)).toBe(1);
    expect(failovers).toEqual([]);
    expect(answer(first, first.answer())).toBe(true);
    expect(outcomes.get(token)).toBe('first.example');
  });

  it('prefers a trusted peer to a suspected one', () => {
    first.trusted = false;
    const token = ask();
    expect([first.sent.length, second.sent.length]).toEqual([0, 1]);
    answer(second, second.answer());
    expect(outcomes.get(token)).toBe('second.example');
    // A suspected peer is used when there is no other.
    second.connected = false;
    ask();
    expect(first.sent).toHaveLength(1);
  });

  it('fails a request at its timeout when all peers hang, and at once when the last one is lost', () => {
    const late = ask(500);
    take(requests.suspected(first));
    take(requests.suspected(second));
    expect(requests.deadline).toBe(500 + TIMEOUT);
    take(requests.tick(500 + TIMEOUT - 1));
    expect(requests.inFlight(second)).toBe(1);
    take(requests.tick(500 + TIMEOUT));
    expect(outcomes.get(late)).toBe('timeout');
    expect(requests.inFlight(second)).toBe(0);
    expect(requests.deadline).toBeUndefined();
    const lost = ask();
    take(requests.suspected(first));
    second.connected = false;
    take(requests.lost(second, 'gone'));
    expect(outcomes.get(lost)).toBe('peer-lost');
  });

  it('sends a request refused with 3004 to the next peer without T, and passes 3004 on when none is left', () => {
    const token = ask();
    expect(answer(first, first.answer(3004, { flags: FLAG.P | FLAG.E }))).toBe(true);
    expect(second.sent[0]?.flags).toBe(FLAG.R | FLAG.P);
    expect(answer(second, second.answer(3004, { flags: FLAG.P | FLAG.E }))).toBe(true);
    expect(outcomes.get(token)).toBe('second.example');
  });

  it('passes on a permanent error, and a 3004 without the E bit', () => {
    const one = ask();
    answer(first, first.answer(5012, { flags: FLAG.P }));
    const other = ask();
    answer(first, first.answer(3004, { flags: FLAG.P }));
    expect([outcomes.get(one), outcomes.get(other)]).toEqual(['first.example', 'first.example']);
    expect(second.sent).toEqual([]);
  });

  it('limits the requests in flight at one peer to MAX_IN_FLIGHT', () => {
    second.connected = false;
    for (let i = 0; i < MAX_IN_FLIGHT; i += 1) ask();
    expect(requests.inFlight(first)).toBe(MAX_IN_FLIGHT);
    expect(outcomes.get(ask())).toBe('busy');
    expect(requests.inFlight(first)).toBe(MAX_IN_FLIGHT);
    second.connected = true;
    ask();
    expect(second.sent).toHaveLength(1);
  });
});

describe('a request that cannot be sent', () => {
  it('fails with no-peer when no peer is connected, its target has none, or the node stops', () => {
    first.connected = false;
    second.connected = false;
    expect(outcomes.get(ask())).toBe('no-peer');
    expect(outcomes.get(ask(0, der('client.example'), { peers: [] }))).toBe('no-peer');
    first.connected = true;
    const waiting = ask();
    take(requests.stop());
    expect(outcomes.get(waiting)).toBe('no-peer');
    expect(outcomes.get(ask())).toBe('no-peer');
    expect(requests.deadline).toBeUndefined();
  });

  it('fails with too-long when it exceeds MAX_MESSAGE', () => {
    const ofLength = (payload: number) => der('client.example', { 'EAP-Payload': new Uint8Array(payload) });
    expect(outcomes.get(ask(0, ofLength(MAX_MESSAGE)))).toBe('too-long');
    expect(outcomes.has(ask(0, ofLength(MAX_MESSAGE - 1_000)))).toBe(false);
  });
});

describe('an answer', () => {
  it.each<[string, (hop: FakeHop) => DiameterMessage]>([
    ['another Hop-by-Hop', (hop) => hop.answer(2001, { hopByHop: 99 })],
    ['another End-to-End', (hop) => hop.answer(2001, { endToEnd: 99 })],
    ['another command', (hop) => hop.answer(2001, { commandCode: 275 })],
    ['the Origin-Host of another server', (hop) => hop.answer(2001, {}, 'second.example')],
  ])('is dropped when it has %s, and the request keeps waiting', (_what, wrong) => {
    const token = ask();
    expect(answer(first, wrong(first))).toBe(false);
    expect(answer(second, first.answer())).toBe(false);
    expect(requests.inFlight(first)).toBe(1);
    expect(answer(first, first.answer())).toBe(true);
    expect(outcomes.get(token)).toBe('first.example');
  });

  it('of another server is accepted from a relay agent', () => {
    first.relay = true;
    const token = ask();
    expect(answer(first, first.answer(2001, {}, 'server.example'))).toBe(true);
    expect(outcomes.get(token)).toBe('server.example');
  });
});
