import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RouteTable } from '../../../src/protocol/diameter/node/routing.js';
import { EndToEndIdentifiers } from '../../../src/protocol/diameter/peer/identifiers.js';
import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, FLAG } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DEA } from '../../../src/protocol/diameter/wire/commands.js';
import {
  DiameterClient,
  type DiameterHop,
  MAX_IN_FLIGHT,
  type RequestEvent,
} from '../../../src/runtime/diameter/requests.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { der, grammarian } from './rig.js';

const TIMEOUT = 10_000;

/** A peer that takes what is sent to it. */
class FakeHop implements DiameterHop {
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

  send(message: DiameterMessage): void {
    this.sent.push(message);
  }

  /** Its answer to the last request. */
  answer(resultCode = 2001, more: Partial<DiameterMessage> = {}, host = this.host): DiameterMessage {
    const request = this.sent.at(-1);
    if (!request) throw new Error(`${this.host} was not asked`);
    const avps = grammarian.write(DEA, {
      'Session-Id': 'client.example;1;1',
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Result-Code': resultCode,
      'Origin-Host': host,
      'Origin-Realm': 'example',
    });
    return { ...answerTo(request, avps), ...more };
  }
}

let first: FakeHop;
let second: FakeHop;
let events: RequestEvent[];
let client: DiameterClient;

beforeEach(() => {
  vi.useFakeTimers();
  first = new FakeHop('first.example', 0);
  second = new FakeHop('second.example', 1);
  const hops = new Map<string, DiameterHop>([first, second].map((hop) => [hop.host, hop]));
  events = [];
  const routes = new RouteTable<DiameterHop>([], hops, () => 0.5);
  client = new DiameterClient(
    grammarian,
    new EndToEndIdentifiers(0, 0),
    hops,
    routes,
    (event) => events.push(event),
    systemHost,
  );
});

afterEach(() => {
  vi.useRealTimers();
});

function ask() {
  const asked = client.request(der('client.example'), {}, TIMEOUT);
  const settled = asked.then(
    (answer) => grammarian.find(answer.avps, 'Origin-Host'),
    (error: Error & { code?: string }) => error.code,
  );
  return settled;
}

describe('a request to a peer that hangs (RFC 3539 3.1)', () => {
  it('goes to another peer when the watchdog suspects the first: T, same End-to-End, once', async () => {
    const asked = ask();
    expect([first.sent.length, second.sent.length]).toEqual([1, 0]);
    client.suspected(first);
    client.suspected(first);
    expect([first.sent.length, second.sent.length]).toEqual([1, 1]);
    expect(second.sent[0]).toMatchObject({ flags: FLAG.R | FLAG.P | FLAG.T, endToEnd: first.sent[0]?.endToEnd });
    expect(events).toEqual([{ type: 'failedOver', peer: 'first.example', to: 'second.example' }]);
    expect([client.inFlight(first), client.inFlight(second)]).toEqual([0, 1]);
    // The first one wakes up: its answer is nobody's any more.
    expect(client.answer(first, first.answer())).toBe(false);
    expect(client.answer(second, second.answer())).toBe(true);
    expect(await asked).toBe('second.example');
    expect(client.inFlight(second)).toBe(0);
  });

  it('stays where it is while there is no other peer, and is answered when the first wakes up', async () => {
    second.connected = false;
    const asked = ask();
    client.suspected(first);
    expect(first.sent).toHaveLength(1);
    expect(client.inFlight(first)).toBe(1);
    expect(events).toEqual([]);
    expect(client.answer(first, first.answer())).toBe(true);
    expect(await asked).toBe('first.example');
  });

  it('does not begin with a suspected peer while a trusted one is there', async () => {
    first.trusted = false;
    const asked = ask();
    expect([first.sent.length, second.sent.length]).toEqual([0, 1]);
    client.answer(second, second.answer());
    expect(await asked).toBe('second.example');
    // But a suspected one is better than none.
    second.connected = false;
    void ask();
    expect(first.sent).toHaveLength(1);
  });

  it('fails when every peer hangs, at its own timeout, and when the last one is lost, at once', async () => {
    const late = ask();
    client.suspected(first);
    client.suspected(second);
    await vi.advanceTimersByTimeAsync(TIMEOUT - 1);
    expect(client.inFlight(second)).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await late).toBe('ERR_DIAMETER_TIMEOUT');
    expect(client.inFlight(second)).toBe(0);
    const lost = ask();
    client.suspected(first);
    second.connected = false;
    client.lost(second, 'gone');
    expect(await lost).toBe('ERR_DIAMETER_PEER_LOST');
  });

  it('moves on from a peer that says it is busy, without T, and takes its answer where nobody else is left', async () => {
    const asked = ask();
    expect(client.answer(first, first.answer(3004, { flags: FLAG.P | FLAG.E }))).toBe(true);
    expect(second.sent[0]?.flags).toBe(FLAG.R | FLAG.P);
    expect(client.answer(second, second.answer(3004, { flags: FLAG.P | FLAG.E }))).toBe(true);
    expect(await asked).toBe('second.example');
  });

  it('never has more than so many waiting at one peer', () => {
    second.connected = false;
    for (let i = 0; i < MAX_IN_FLIGHT; i += 1) void ask();
    expect(client.inFlight(first)).toBe(MAX_IN_FLIGHT);
    void ask();
    expect(client.inFlight(first)).toBe(MAX_IN_FLIGHT);
    second.connected = true;
    void ask();
    expect(second.sent).toHaveLength(1);
  });
});

describe('what is no answer to a request', () => {
  it.each<[string, (hop: FakeHop) => DiameterMessage]>([
    ['another Hop-by-Hop', (hop) => hop.answer(2001, { hopByHop: 99 })],
    ['another End-to-End', (hop) => hop.answer(2001, { endToEnd: 99 })],
    ['another command', (hop) => hop.answer(2001, { commandCode: 275 })],
    ['the Origin-Host of somebody else', (hop) => hop.answer(2001, {}, 'second.example')],
  ])('has %s, and the request waits on', async (_what, wrong) => {
    const asked = ask();
    expect(client.answer(first, wrong(first))).toBe(false);
    expect(client.answer(second, first.answer())).toBe(false);
    expect(client.inFlight(first)).toBe(1);
    expect(client.answer(first, first.answer())).toBe(true);
    expect(await asked).toBe('first.example');
  });

  it('is not the answer of a server behind an agent', async () => {
    first.relay = true;
    const asked = ask();
    expect(client.answer(first, first.answer(2001, {}, 'server.example'))).toBe(true);
    expect(await asked).toBe('server.example');
  });
});
