// Long, because it has all rows of the state table of RFC 6733 5.6.

import { describe, expect, it } from 'vitest';
import type { PeerConfig, PeerInput, PeerOutput } from '../../../../src/protocol/diameter/peer/alphabet.js';
import type { LocalCapabilities } from '../../../../src/protocol/diameter/peer/capabilities.js';
import { EndToEndIdentifiers } from '../../../../src/protocol/diameter/peer/identifiers.js';
import { Peer } from '../../../../src/protocol/diameter/peer/peer.js';
import { type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import {
  APPLICATION,
  CEA,
  CER,
  type CommandSpec,
  commandOf,
  DER,
  DPA,
  DPR,
  DWA,
  DWR,
} from '../../../../src/protocol/diameter/wire/commands.js';
import { AVPS, type AvpName, DISCONNECT_CAUSE, Dictionary } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { type Content, Grammarian } from '../../../../src/protocol/diameter/wire/grammar.js';

const grammarian = new Grammarian(new Dictionary());
const ADDRESS = new Uint8Array(16).fill(1);
const TIMEOUT = 10_000;
/** Placeholder for the Hop-by-Hop Identifier of an answer: that of the last request of its command. */
const ASKED = 7;
/** Name of this node. The greater name wins an election. */
const OURS = 'mmm.example';

function config(more: Partial<PeerConfig> = {}, host = 'nnn.example'): PeerConfig {
  const local: LocalCapabilities = {
    origin: { host: OURS, realm: 'example' },
    addresses: [],
    productName: 'test',
    vendorId: 0,
    originStateId: 1,
    applications: [APPLICATION.EAP],
    supportedVendors: [],
  };
  const identifiers = new EndToEndIdentifiers(0, 0);
  return {
    host,
    local,
    identifiers,
    watchdog: 30_000,
    reconnect: 30_000,
    timeout: TIMEOUT,
    initiates: true,
    mayRelay: false,
    ...more,
  };
}

/** What a peer announces in CER or CEA. */
interface Says {
  readonly host?: string;
  readonly applications?: readonly number[];
  readonly originStateId?: number;
  readonly resultCode?: number;
}

function origin(host: string) {
  return { 'Origin-Host': host, 'Origin-Realm': 'example' } as const;
}

function write<S extends CommandSpec>(spec: S, content: Content<S>): DiameterMessage {
  return grammarian.message(spec, APPLICATION.COMMON, content, { hopByHop: ASKED, endToEnd: 8 });
}

function capabilities({ applications = [APPLICATION.EAP], originStateId = 5 }: Says) {
  return {
    'Host-IP-Address': [ADDRESS],
    'Vendor-Id': 0,
    'Product-Name': 'other',
    'Auth-Application-Id': applications,
    'Origin-State-Id': originStateId,
  } as const;
}

function cer(says: Says = {}): DiameterMessage {
  return write(CER, { ...origin(says.host ?? 'nnn.example'), ...capabilities(says) });
}

function cea(says: Says = {}): DiameterMessage {
  return write(CEA, {
    'Result-Code': says.resultCode ?? 2001,
    ...origin(says.host ?? 'nnn.example'),
    ...capabilities(says),
  });
}

const dwr = write(DWR, origin('nnn.example'));
const dwa = write(DWA, { 'Result-Code': 2001, ...origin('nnn.example') });
const dpa = write(DPA, { 'Result-Code': 2001, ...origin('nnn.example') });

/** Inband-Security-Id TLS, RFC 6733 6.10. */
function secured(given: DiameterMessage): DiameterMessage {
  return { ...given, avps: [...given.avps, grammarian.avp('Inband-Security-Id', 1)] };
}

function without(given: DiameterMessage, name: AvpName): DiameterMessage {
  return { ...given, avps: given.avps.filter(({ code }) => code !== AVPS[name].code) };
}

function dpr(cause: number): DiameterMessage {
  return write(DPR, { ...origin('nnn.example'), 'Disconnect-Cause': cause });
}

/** A peer machine stepped through inputs, with its outputs as text. */
class Steps {
  readonly peer: Peer;
  now = 0;
  /** Hop-by-Hop Identifier of the last request of each command. */
  readonly #asked = new Map<number, number>();

  constructor(given: PeerConfig = config()) {
    this.peer = new Peer(given, grammarian, new Uint8Array(32).fill(3));
  }

  do(input: PeerInput): string[] {
    const outputs = this.peer.handle(this.#answering(input), this.now);
    for (const output of outputs) {
      if (output.type === 'send' && output.message.flags & FLAG.R)
        this.#asked.set(output.message.commandCode, output.message.hopByHop);
    }
    return outputs.map(word);
  }

  #answering(input: PeerInput): PeerInput {
    if (input.type !== 'message' || input.message.flags & FLAG.R || input.message.hopByHop !== ASKED) return input;
    const hopByHop = this.#asked.get(input.message.commandCode) ?? ASKED;
    return { ...input, message: { ...input.message, hopByHop } };
  }

  at(now: number): this {
    this.now = now;
    return this;
  }

  /** Opens connection 1, made by this node. */
  open(): this {
    this.do({ type: 'start' });
    this.do({ type: 'connected', connection: 1, address: ADDRESS });
    this.do({ type: 'message', connection: 1, message: cea() });
    expect(this.peer.state).toBe('I-Open');
    return this;
  }
}

function word(output: PeerOutput): string {
  switch (output.type) {
    case 'send': {
      const { flags, commandCode, avps } = output.message;
      const name = commandOf(commandCode, (flags & FLAG.R) !== 0)?.name ?? '';
      const result = grammarian.find(avps, 'Result-Code');
      return `send ${output.connection} ${name}${result === undefined || result === 2001 ? '' : ` ${result}`}${flags & FLAG.E ? ' E' : ''}`;
    }
    case 'disconnect':
    case 'open':
    case 'deliver':
      return `${output.type} ${output.connection}`;
    default:
      return output.type;
  }
}

const accepted = (message = cer(), connection = 2): PeerInput => ({
  type: 'accepted',
  connection,
  cer: message,
  address: ADDRESS,
});
const connected: PeerInput = { type: 'connected', connection: 1, address: ADDRESS };
const message = (content: DiameterMessage, connection = 1): PeerInput => ({
  type: 'message',
  connection,
  message: content,
});

describe('the connection set-up of a peer (RFC 6733 5.6)', () => {
  it('passes Closed, Wait-Conn-Ack, Wait-I-CEA and I-Open when this node connects', () => {
    const steps = new Steps();
    expect(steps.do({ type: 'start' })).toEqual(['connect']);
    expect(steps.peer.state).toBe('Wait-Conn-Ack');
    expect(steps.do(connected)).toEqual(['send 1 CER']);
    expect(steps.peer.state).toBe('Wait-I-CEA');
    expect(steps.do(message(cea()))).toEqual(['open 1']);
    expect(steps.peer.state).toBe('I-Open');
    expect(steps.peer.trusted).toBe(true);
    expect(steps.peer.capabilities).toMatchObject({ host: 'nnn.example', productName: 'other', relay: false });
  });

  it('passes from Closed to R-Open when the peer connects', () => {
    const steps = new Steps(config({ initiates: false }));
    expect(steps.do({ type: 'start' })).toEqual([]);
    expect(steps.do(accepted())).toEqual(['send 2 CEA', 'open 2']);
    expect(steps.peer.state).toBe('R-Open');
  });

  it('is tried again after 1 s, doubling up to Tc, with 10 % jitter', () => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    for (const wait of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      expect(steps.do({ type: 'connectFailed', reason: 'ECONNREFUSED' })).toEqual(['closed']);
      const due = (steps.peer.deadline ?? 0) - steps.now;
      expect(due).toBeGreaterThanOrEqual(wait * 0.9);
      expect(due).toBeLessThanOrEqual(wait * 1.1);
      expect(steps.do({ type: 'tick' })).toEqual([]);
      expect(steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' })).toEqual(['connect']);
    }
  });

  it.each(['Wait-Conn-Ack', 'Wait-I-CEA'])('ends in %s after the timeout', (state) => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    if (state === 'Wait-I-CEA') steps.do(connected);
    expect(steps.peer.state).toBe(state);
    expect(steps.at(TIMEOUT - 1).do({ type: 'tick' })).toEqual([]);
    expect(steps.at(TIMEOUT).do({ type: 'tick' })).toEqual([
      state === 'Wait-I-CEA' ? 'disconnect 1' : 'abort',
      'closed',
    ]);
    expect(steps.peer.state).toBe('Closed');
  });

  it('drops a CEA with another Hop-by-Hop Identifier and keeps waiting', () => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    steps.do(connected);
    const { hopByHop } = cea();
    expect(steps.do(message({ ...cea(), hopByHop: hopByHop + 1 }))).toEqual(['dropped']);
    expect(steps.peer.state).toBe('Wait-I-CEA');
    expect(steps.do(message(cea()))).toEqual(['open 1']);
  });

  it('accepts DWA and DPA only as answers to its own DWR and DPR', () => {
    const steps = new Steps().open();
    expect(steps.do(message(dwa))).toEqual(['dropped']);
    steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' });
    expect(steps.do(message({ ...dwa, hopByHop: 8 }))).toEqual(['dropped']);
    expect(steps.do(message(dwa))).toEqual([]);
    expect(steps.do(message(dwa))).toEqual(['dropped']);
    steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING });
    expect(steps.do(message({ ...dpa, hopByHop: 8 }))).toEqual(['dropped']);
    expect(steps.do(message(dpa))).toEqual(['disconnect 1', 'closed']);
  });

  it.each([
    ['another command', dwa],
    ['the E bit', { ...cea(), flags: FLAG.E }],
    ['Inband-Security-Id TLS', secured(cea())],
    ['an error Result-Code', cea({ resultCode: 3010 })],
    ['another Origin-Host', cea({ host: 'other.example' })],
    ['no common application', cea({ applications: [4] })],
  ])('ends when the answer to CER has %s', (_what, answer) => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    steps.do(connected);
    expect(steps.do(message(answer))).toEqual(['disconnect 1', 'closed']);
  });

  it('accepts a relay agent only if mayRelay is set', () => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    steps.do(connected);
    expect(steps.do(message(cea({ applications: [APPLICATION.RELAY] })))).toEqual(['disconnect 1', 'closed']);
    const both = new Steps();
    both.do({ type: 'start' });
    both.do(connected);
    both.do(message(cea({ applications: [APPLICATION.RELAY, APPLICATION.EAP] })));
    expect(both.peer.capabilities).toMatchObject({ relay: false });
  });

  it('treats a peer as a relay agent if mayRelay is set, even without the relay application (RFC 6733 2.8.2)', () => {
    const steps = new Steps(config({ mayRelay: true, initiates: false }));
    expect(steps.do(accepted(cer({ applications: [APPLICATION.EAP] })))).toEqual(['send 2 CEA', 'open 2']);
    expect(steps.peer.capabilities).toMatchObject({ relay: true, applications: [APPLICATION.EAP] });
    const other = new Steps(config({ mayRelay: true, initiates: false }));
    expect(other.do(accepted(cer({ applications: [4] })))).toEqual(['send 2 CEA 5010', 'disconnect 2', 'rejected']);
  });

  it('accepts a relay agent that advertises only the relay application', () => {
    const steps = new Steps(config({ mayRelay: true }));
    steps.do({ type: 'start' });
    steps.do(connected);
    expect(steps.do(message(cea({ applications: [APPLICATION.RELAY] })))).toEqual(['open 1']);
    expect(steps.peer.capabilities?.relay).toBe(true);
  });

  it.each([
    ['another Origin-Host', cer({ host: 'other.example' }), '3010 E'],
    ['the E bit', { ...cer(), flags: FLAG.R | FLAG.E }, '3008 E'],
    ['no Origin-Host', without(cer(), 'Origin-Host'), '5005'],
    ['Inband-Security-Id TLS', secured(cer()), '5017'],
    ['no common application', cer({ applications: [4] }), '5010'],
  ])('refuses a CER with %s', (_what, request, result) => {
    const steps = new Steps(config({ initiates: false }));
    expect(steps.do(accepted(request))).toEqual([`send 2 CEA ${result}`, 'disconnect 2', 'rejected']);
    expect(steps.peer.state).toBe('Closed');
  });
});

describe('the election (RFC 6733 5.6.4)', () => {
  const toWaitReturns = (host: string, before: 'Wait-Conn-Ack' | 'Wait-I-CEA') => {
    const steps = new Steps(config({}, host));
    steps.do({ type: 'start' });
    if (before === 'Wait-Conn-Ack') {
      expect(steps.do(accepted(cer({ host })))).toEqual([]);
      expect(steps.peer.state).toBe('Wait-Conn-Ack/Elect');
      return { steps, outputs: steps.do(connected) };
    }
    steps.do(connected);
    return { steps, outputs: steps.do(accepted(cer({ host }))) };
  };

  it.each(['Wait-Conn-Ack', 'Wait-I-CEA'] as const)('is won by this node in %s when its name is greater', (before) => {
    const { steps, outputs } = toWaitReturns('aaa.example', before);
    const asked = before === 'Wait-Conn-Ack' ? ['send 1 CER'] : [];
    expect(outputs).toEqual([...asked, 'disconnect 1', 'send 2 CEA', 'open 2']);
    expect(steps.peer.state).toBe('R-Open');
  });

  it.each(['Wait-Conn-Ack', 'Wait-I-CEA'] as const)(
    'is lost by this node in %s when its name is smaller, and it waits for CEA',
    (before) => {
      const { steps } = toWaitReturns('nnn.example', before);
      expect(steps.peer.state).toBe('Wait-Returns');
      expect(steps.do(message(cea()))).toEqual(['disconnect 2', 'open 1']);
      expect(steps.peer.state).toBe('I-Open');
    },
  );

  it('ignores the case of names', () => {
    const { steps } = toWaitReturns('MMMM.example', 'Wait-I-CEA');
    expect(steps.peer.state).toBe('Wait-Returns');
  });

  it('ends when one connection ends, or at the timeout', () => {
    const one = toWaitReturns('nnn.example', 'Wait-I-CEA').steps;
    expect(one.do({ type: 'disconnected', connection: 1 })).toEqual(['send 2 CEA', 'open 2']);
    const two = toWaitReturns('nnn.example', 'Wait-I-CEA').steps;
    expect(two.do({ type: 'disconnected', connection: 2 })).toEqual([]);
    expect(two.peer.state).toBe('Wait-I-CEA');
    const three = toWaitReturns('nnn.example', 'Wait-I-CEA').steps;
    expect(three.at(TIMEOUT).do({ type: 'tick' })).toEqual(['disconnect 1', 'disconnect 2', 'closed']);
  });

  it('continues from Wait-Conn-Ack/Elect with the other connection when one ends', () => {
    const one = new Steps();
    one.do({ type: 'start' });
    one.do(accepted());
    expect(one.do({ type: 'connectFailed', reason: '' })).toEqual(['send 2 CEA', 'open 2']);
    const two = new Steps();
    two.do({ type: 'start' });
    two.do(accepted());
    expect(two.do({ type: 'disconnected', connection: 2 })).toEqual([]);
    expect(two.peer.state).toBe('Wait-Conn-Ack');
    expect(two.do(connected)).toEqual(['send 1 CER']);
  });
});

describe('an open peer', () => {
  it('answers DWR, delivers requests of applications, and drops messages that do not fit its state', () => {
    const steps = new Steps().open();
    expect(steps.do(message(dwr))).toEqual(['send 1 DWA']);
    const der = { ...dwr, commandCode: DER.code, applicationId: APPLICATION.EAP };
    expect(steps.do(message(der))).toEqual(['deliver 1']);
    for (const odd of [cer(), cea(), dpa]) expect(steps.do(message(odd))).toEqual(['dropped']);
    expect(steps.do(message(der, 9))).toEqual(['dropped']);
  });

  it.each([
    ['DWR', dwr, '1 DWA 3008 E'],
    ['DPR', dpr(0), '1 DPA 3008 E'],
    ['DPR with an unknown Disconnect-Cause', dpr(3), '1 DPA 5004'],
  ])('answers a %s with an error', (what, request, said) => {
    const flags = what.length === 3 ? request.flags | FLAG.E : request.flags;
    expect(new Steps().open().do(message({ ...request, flags }))).toEqual([`send ${said}`]);
  });

  it('rejects a second connection', () => {
    const steps = new Steps().open();
    expect(steps.do(accepted())).toEqual(['disconnect 2', 'rejected']);
    expect(steps.peer.state).toBe('I-Open');
  });

  const RESTARTED = ['failover', 'closed', 'send 2 CEA', 'open 2', 'send 2 DWR'];

  it('moves to the connection of a restarted peer when the old one ends or leaves DWR unanswered', () => {
    const silent = new Steps().open();
    expect(silent.do(accepted(cer({ originStateId: 6 })))).toEqual(['send 1 DWR']);
    expect(silent.peer.deadline).toBe(3_000);
    // Neither an answer to another request nor a message sent before the crash shows that the connection is alive.
    expect(silent.do(message({ ...dwa, hopByHop: 1 }))).toEqual(['dropped']);
    silent.do(message(dwr));
    expect(silent.at(2_999).do({ type: 'tick' })).toEqual([]);
    expect(silent.at(3_000).do({ type: 'tick' })).toEqual(['disconnect 1', ...RESTARTED]);
    expect(silent.peer).toMatchObject({ state: 'R-Open', connection: 2 });
    const ended = new Steps().open();
    ended.do(accepted(cer({ originStateId: 6 })));
    expect(ended.do({ type: 'disconnected', connection: 1 })).toEqual(RESTARTED);
    expect(ended.peer).toMatchObject({ state: 'R-Open', connection: 2 });
  });

  it('keeps a connection that answers DWR, whatever the Origin-State-Id of another connection', () => {
    const steps = new Steps().open();
    expect(steps.do(accepted(cer({ originStateId: 0xffff_fff0 })))).toEqual(['send 1 DWR']);
    // Only one connection may wait.
    expect(steps.do(accepted(cer({ originStateId: 0xffff_fff1 }), 3))).toEqual(['disconnect 3', 'rejected']);
    expect(steps.do(message(dwr, 2))).toEqual(['dropped']);
    expect(steps.do(message(dwa))).toEqual(['disconnect 2', 'rejected']);
    expect(steps.peer).toMatchObject({ state: 'I-Open', connection: 1 });
    expect(steps.peer.capabilities?.originStateId).toBe(5);
    // The waiting connection ends, or this node stops, before the DWA.
    steps.do(accepted(cer({ originStateId: 6 }), 4));
    expect(steps.do({ type: 'disconnected', connection: 4 })).toEqual([]);
    expect(steps.at(4_000).do({ type: 'tick' })).toEqual([]);
    steps.do(accepted(cer({ originStateId: 6 }), 5));
    expect(steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING })).toEqual([
      'disconnect 5',
      'rejected',
      'send 1 DPR',
    ]);
  });

  it('sends DWR after a silence, then fails over, then closes', () => {
    const steps = new Steps().open();
    const next = () => steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' });
    expect(next()).toEqual(['send 1 DWR']);
    expect(steps.now).toBeGreaterThanOrEqual(28_000);
    expect(steps.now).toBeLessThanOrEqual(32_000);
    expect(next()).toEqual(['failover']);
    expect(steps.peer.trusted).toBe(false);
    expect(next()).toEqual(['disconnect 1', 'closed']);
    expect(steps.peer.state).toBe('Closed');
  });

  it('is trusted again only after three DWAs when its connection was lost', () => {
    const steps = new Steps().open();
    expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual(['failover', 'closed']);
    steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' });
    steps.do({ type: 'connected', connection: 4, address: ADDRESS });
    expect(steps.do(message(cea(), 4))).toEqual(['open 4', 'send 4 DWR']);
    for (const trusted of [false, false, true]) {
      steps.do(message(dwa, 4));
      expect(steps.peer.trusted).toBe(trusted);
      steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' });
    }
  });
});

describe('a peer that closes its connection', () => {
  it('sends DPR when this node stops, and closes at DPA', () => {
    const steps = new Steps().open();
    expect(steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING })).toEqual(['send 1 DPR']);
    expect(steps.peer.state).toBe('Closing');
    expect(steps.do(message(dpa))).toEqual(['disconnect 1', 'closed']);
    expect(steps.peer.deadline).toBeUndefined();
    expect(steps.do(accepted())).toEqual(['disconnect 2', 'rejected']);
  });

  it('answers DPR with DPA, and closes at the timeout', () => {
    const steps = new Steps().open();
    expect(steps.do(message(dpr(DISCONNECT_CAUSE.REBOOTING)))).toEqual(['send 1 DPA']);
    expect(steps.peer.state).toBe('Closing');
    expect(steps.at(TIMEOUT).do({ type: 'tick' })).toEqual(['disconnect 1', 'closed']);
    // After REBOOTING the peer returns soon, and an orderly end is not a failure.
    expect((steps.peer.deadline ?? 0) - steps.now).toBeLessThanOrEqual(1_100);
  });

  it('waits about ten Tc for the next attempt after DPR with BUSY or DO_NOT_WANT_TO_TALK_TO_YOU', () => {
    for (const cause of [DISCONNECT_CAUSE.BUSY, DISCONNECT_CAUSE.DO_NOT_WANT_TO_TALK_TO_YOU]) {
      const steps = new Steps().open();
      steps.do(message(dpr(cause)));
      expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual(['closed']);
      expect((steps.peer.deadline ?? 0) - steps.now).toBeGreaterThanOrEqual(270_000);
    }
  });

  it('answers DPR even after its own DPR, and closes at DPA', () => {
    const steps = new Steps().open();
    steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING });
    expect(steps.do(message(dpr(DISCONNECT_CAUSE.REBOOTING)))).toEqual(['send 1 DPA']);
    expect(steps.do(message(dpa))).toEqual(['disconnect 1', 'closed']);
  });

  it('gives up a connection attempt at once when it is stopped', () => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    expect(steps.do({ type: 'stop', cause: 0 })).toEqual(['abort', 'closed']);
    expect(steps.peer.deadline).toBeUndefined();
    // A connection that is made after the stop is closed.
    expect(steps.do(connected)).toEqual(['disconnect 1']);
  });
});

describe('the peer machine in rare cases', () => {
  const electing = (host: string) => {
    const steps = new Steps(config({}, host));
    steps.do({ type: 'start' });
    return steps;
  };

  it('leaves Wait-Conn-Ack/Elect at R-Peer-Disc and at the timeout, and rejects another CER there', () => {
    const steps = electing('nnn.example');
    expect(steps.do(accepted())).toEqual([]);
    expect(steps.peer.state).toBe('Wait-Conn-Ack/Elect');
    expect(steps.do(accepted(cer(), 3))).toEqual(['disconnect 3', 'rejected']);
    expect(steps.do({ type: 'disconnected', connection: 9 })).toEqual([]);
    expect(steps.peer.state).toBe('Wait-Conn-Ack/Elect');
    expect(steps.do({ type: 'disconnected', connection: 2 })).toEqual([]);
    expect(steps.peer.state).toBe('Wait-Conn-Ack');
    steps.do(accepted());
    expect(steps.at(TIMEOUT).do({ type: 'tick' })).toEqual(['abort', 'disconnect 2', 'closed']);
  });

  it('leaves Wait-Returns at R-Peer-Disc for Wait-I-CEA, at I-Peer-Disc for R-Open, and at the timeout', () => {
    // The peer has the greater name, so it wins the election.
    const steps = electing('nnn.example');
    steps.do(connected);
    expect(steps.do(accepted())).toEqual([]);
    expect(steps.peer.state).toBe('Wait-Returns');
    expect(steps.do({ type: 'disconnected', connection: 9 })).toEqual([]);
    expect(steps.do(message(cea(), 2))).toEqual(['dropped']);
    expect(steps.do({ type: 'disconnected', connection: 2 })).toEqual([]);
    expect(steps.peer.state).toBe('Wait-I-CEA');
    steps.do(accepted());
    expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual(['send 2 CEA', 'open 2']);

    const late = electing('nnn.example');
    late.do(connected);
    late.do(accepted());
    expect(late.at(TIMEOUT).do({ type: 'tick' }).at(-1)).toBe('closed');
  });

  it('ignores messages and events of other connections in Closed and Closing', () => {
    const steps = new Steps();
    expect(steps.do(message(dwr))).toEqual(['dropped']);
    expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual([]);
    expect(steps.do({ type: 'connectFailed', reason: 'late' })).toEqual([]);
    steps.open();
    expect(steps.do({ type: 'disconnected', connection: 7 })).toEqual([]);
    expect(steps.do(message(dwr, 7))).toEqual(['dropped']);
    steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING });
    expect(steps.peer.state).toBe('Closing');
    expect(steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING })).toEqual([]);
    expect(steps.do(message(dwr, 7))).toEqual(['dropped']);
    expect(steps.do(message(dwr))).toEqual(['dropped']);
    // Both ends sent DPR at the same time.
    expect(steps.do(message(dpr(0)))).toEqual(['send 1 DPA']);
    expect(steps.do({ type: 'disconnected', connection: 7 })).toEqual([]);
    expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual(['closed']);
  });

  it('delivers answers in Closing, and closes at the timeout', () => {
    const steps = new Steps().open();
    steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING });
    const answer: DiameterMessage = { ...cea(), commandCode: DER.code, applicationId: APPLICATION.EAP };
    expect(steps.do(message(answer))).toEqual(['deliver 1']);
    expect(steps.at(TIMEOUT).do({ type: 'tick' }).at(-1)).toBe('closed');
  });

  it('closes its connection when it is stopped before it opens, and rejects others', () => {
    const steps = electing('nnn.example');
    steps.do(connected);
    expect(steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING })).toEqual(['disconnect 1', 'closed']);
    expect(steps.do(accepted())).toEqual(['disconnect 2', 'rejected']);
    expect(steps.peer.deadline).toBeUndefined();
  });

  it('answers a CER with 5017 if it cannot offer the security, and delivers base commands of other applications', () => {
    const steps = new Steps(config({ initiates: false }));
    const secured = write(CER, { ...origin('nnn.example'), ...capabilities({}), 'Inband-Security-Id': [1] });
    expect(steps.do(accepted(secured))).toEqual(['send 2 CEA 5017', 'disconnect 2', 'rejected']);
    const plain = write(CER, { ...origin('nnn.example'), ...capabilities({}), 'Inband-Security-Id': [1, 0] });
    expect(steps.do(accepted(plain))).toEqual(['send 2 CEA', 'open 2']);
    expect(steps.do(message({ ...dwr, applicationId: APPLICATION.EAP }, 2))).toEqual(['deliver 2']);
    expect(steps.do(message(dpa, 2))).toEqual(['dropped']);
  });

  it('closes at a CEA without AVPs, and answers a DPR without AVPs with 5005', () => {
    const steps = electing('nnn.example');
    steps.do(connected);
    const empty: DiameterMessage = { ...cea(), avps: [] };
    expect(steps.do(message(empty))).toEqual(['disconnect 1', 'closed']);
    const open = new Steps().open();
    expect(open.do(message({ ...dpr(0), avps: [] }))).toEqual(['send 1 DPA 5005']);
  });
});

describe('a connection that this node makes', () => {
  it('ends in Wait-I-CEA at I-Peer-Disc, and not at the end of another connection', () => {
    const steps = new Steps();
    steps.do({ type: 'start' });
    steps.do(connected);
    expect(steps.peer.state).toBe('Wait-I-CEA');
    expect(steps.peer.watchdog).toBe('INITIAL');
    expect(steps.do({ type: 'disconnected', connection: 9 })).toEqual([]);
    expect(steps.do({ type: 'disconnected', connection: 1 })).toEqual(['closed']);
    expect(steps.peer.state).toBe('Closed');
    // RFC 6733 2.1: the attempt is repeated later.
    expect(steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' })).toEqual(['connect']);
  });
});

describe('a connection that the peer makes', () => {
  const responder = (more: Partial<PeerConfig> = {}) => {
    const steps = new Steps(config({ initiates: false, ...more }));
    steps.do(accepted());
    return steps;
  };

  it('has the same states as one that this node makes', () => {
    const steps = responder();
    expect(steps.peer).toMatchObject({ state: 'R-Open', connection: 2, trusted: true });
    expect(steps.peer.capabilities).toMatchObject({ host: 'nnn.example', originStateId: 5 });
    expect(steps.peer.deadline).toBeGreaterThanOrEqual(28_000);
    expect(steps.do(message(dwr, 2))).toEqual(['send 2 DWA']);
    expect(steps.at(steps.peer.deadline ?? 0).do({ type: 'tick' })).toEqual(['send 2 DWR']);
    expect(steps.do(message(dwa, 2))).toEqual([]);
    expect(steps.do(message(dpr(DISCONNECT_CAUSE.REBOOTING), 2))).toEqual(['send 2 DPA']);
    expect(steps.do({ type: 'disconnected', connection: 2 })).toEqual(['closed']);
    expect(steps.peer).toMatchObject({ connection: undefined, trusted: false, capabilities: undefined });
  });

  it('fails over and closes when it is lost, and this node does not connect', () => {
    const steps = responder();
    expect(steps.do({ type: 'disconnected', connection: 2 })).toEqual(['failover', 'closed']);
    // This node does not initiate connections.
    expect(steps.peer.deadline).toBeUndefined();
  });

  it('stays when the peer connects again, unless the peer has restarted', () => {
    const steps = responder();
    expect(steps.do(accepted(cer(), 3))).toEqual(['disconnect 3', 'rejected']);
    expect(steps.do(accepted(cer({ originStateId: 6 }), 3))).toEqual(['send 2 DWR']);
    expect(steps.at(3_000).do({ type: 'tick' })).toEqual([
      'disconnect 2',
      'failover',
      'closed',
      'send 3 CEA',
      'open 3',
      // RFC 3539: trusted again after three DWAs.
      'send 3 DWR',
    ]);
    expect(steps.do({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING })).toEqual(['send 3 DPR']);
  });

  it('accepts the application inside Vendor-Specific-Application-Id of any vendor', () => {
    const specific = { 'Vendor-Id': [10_415], 'Auth-Application-Id': APPLICATION.EAP };
    const content = { ...origin('nnn.example'), ...capabilities({ applications: [] }) };
    const steps = new Steps(config({ initiates: false }));
    steps.do(accepted(write(CER, { ...content, 'Vendor-Specific-Application-Id': [specific] })));
    expect(steps.peer.capabilities?.applications).toEqual([APPLICATION.EAP]);
  });

  it('is not replaced when its CER had no Origin-State-Id', () => {
    const { 'Origin-State-Id': _, ...rest } = capabilities({});
    const silent = write(CER, { ...origin('nnn.example'), ...rest });
    const steps = new Steps(config({ initiates: false }));
    steps.do(accepted(silent));
    expect(steps.do(accepted(silent, 3))).toEqual(['disconnect 3', 'rejected']);
    expect(steps.do(accepted(cer(), 4))).toEqual(['disconnect 4', 'rejected']);
  });

  it('announces the configured addresses, or else its local address', () => {
    const given = config();
    const own = new Uint8Array(4).fill(9);
    for (const [addresses, expected] of [
      [[], [ADDRESS]],
      [[own], [own]],
    ] as const) {
      const peer = new Peer({ ...given, local: { ...given.local, addresses } }, grammarian, new Uint8Array(32));
      const [sent] = peer.handle(accepted(), 0);
      const read = sent?.type === 'send' ? grammarian.read(CEA, sent.message) : undefined;
      expect(read).toMatchObject({ 'Host-IP-Address': expected });
    }
  });
});
