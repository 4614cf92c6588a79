import { createHash } from 'node:crypto';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { Paa } from '../../../../src/protocol/pana/agent/paa.js';
import type { PaaConfig, PaaInput, PaaOutput } from '../../../../src/protocol/pana/agent/paa-interface.js';
import type { Grant } from '../../../../src/protocol/pana/session/paa-interface.js';
import { PacSession } from '../../../../src/protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../../../../src/protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../../../../src/protocol/pana/session/retransmission.js';
import type { PacEndpoint } from '../../../../src/protocol/pana/session/start.js';
import { decodePana, type PanaMessage } from '../../../../src/protocol/pana/wire/codec.js';
import { messageName } from '../../../../src/protocol/pana/wire/dictionary.js';

export const PAC_CONFIG: PacConfig = {
  vendorId: 32473,
  prf: [5, 2],
  integrity: [12, 7],
  sa: 'required',
  piggyback: true,
  eapReplyTimeout: 500,
  failedSessionTimeout: 60_000,
  pci: PCI_DEFAULTS,
  request: REQUEST_DEFAULTS,
  pingInterval: 0,
  reauthenticateAt: 0,
  mobility: { mode: 'wanted', wish: 0x02d },
  exportKeys: false,
};

export const PAA_CONFIG: PaaConfig = {
  vendorId: 32473,
  prf: [5, 2],
  integrity: [12, 7],
  sa: 'required',
  failedSessionTimeout: 60_000,
  request: REQUEST_DEFAULTS,
  pingInterval: 0,
  reauthenticateAt: 0,
  lifetimeGrace: 0,
  reconfigure: false,
  mobility: 0x47f,
  firstRequest: undefined,
  exportKeys: false,
  limits: {
    pciPerAddress: 10,
    pciPerNetwork: 1000,
    pciInAll: 1000,
    halfOpenPerAddress: 4,
    halfOpenPerNetwork: 50,
    halfOpen: 100,
    sessions: 1000,
  },
};

export const HOME: Grant = {
  lifetime: 3_600_000,
  authorizationLifetime: undefined,
  assignment: {
    capability: 0x02d,
    homeAgent: new Uint8Array(16).fill(0x20),
    homeAddress: Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 0x20 : 0x21)),
    prefix: { length: 64, octets: Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 0x20 : 0)) },
    host: 'ha.home.example',
    ikeIdentity: 'mn@home.example',
    lifetime: 3600,
  },
};

/** The decision of the simulated AAA server. */
export type Verdict = 'grant' | 'reject' | 'reject-without-packet' | 'not-authorized' | 'silent';

interface Options {
  readonly pac?: Partial<PacConfig>;
  readonly paa?: Partial<PaaConfig>;
  readonly verdict?: Verdict;
  readonly grant?: Grant;
  /** Rounds of the simulated EAP method. */
  readonly rounds?: number;
  /** One-way delay of the link, in milliseconds. */
  readonly delay?: number;
  /** Whether the link loses this message. */
  readonly lose?: (line: LadderLine) => boolean;
  /** What the link delivers in place of this message. */
  readonly alter?: (line: LadderLine) => Uint8Array;
}

export interface LadderLine {
  readonly at: number;
  readonly from: 'pac' | 'paa';
  readonly name: string;
  readonly message: PanaMessage;
  readonly octets: Uint8Array;
  readonly nth: number;
}

const FROM: PacEndpoint = { address: '2001:db8:a::11', port: 50_000, local: '2001:db8:a::1' };

/**
 * A PaC and a PAA joined by a link in virtual time. The simulated EAP method has `rounds` rounds. Both ends know its
 * key after the last one; the PaC knows it before EAP-Success, as with EAP-TLS.
 */
export class Ladder {
  now = 0;
  readonly lines: LadderLine[] = [];
  readonly pacEvents: PacOutput[] = [];
  readonly paaEvents: PaaOutput[] = [];
  readonly pac: PacSession;
  readonly paa: Paa;
  from: PacEndpoint = FROM;
  /** Whether the enforcement point has not let an arrived PaC in yet. */
  holdsWelcome = false;
  readonly #options: Options;
  readonly #wire: {
    readonly at: number;
    readonly to: 'pac' | 'paa';
    readonly octets: Uint8Array;
    readonly from: PacEndpoint;
  }[] = [];
  #round = 0;
  #run = 0;

  constructor(options: Options = {}) {
    this.#options = options;
    this.pac = new PacSession({ ...PAC_CONFIG, ...options.pac }, new Uint8Array(32).fill(1));
    this.paa = new Paa({ ...PAA_CONFIG, ...options.paa }, new Uint8Array(32).fill(2));
  }

  get names(): string[] {
    return this.lines.map(({ name }) => name);
  }

  toPac(input: PacInput): void {
    this.#pac(this.pac.handle(input, this.now));
  }

  toPaa(input: PaaInput): void {
    this.#paa(this.paa.handle(input, this.now));
  }

  /** Delivers a datagram to one end, as any host could send it. */
  inject(to: 'pac' | 'paa', octets: Uint8Array, from: PacEndpoint = this.from): void {
    if (to === 'pac') this.#pac(this.pac.handle({ type: 'datagram', octets }, this.now));
    else this.#paa(this.paa.handle({ type: 'datagram', octets, from }, this.now));
  }

  toSession(
    input: { type: 'ping' } | { type: 'welcome' } | { type: 'reauthenticate' } | { type: 'terminate'; cause: 4 | 8 },
  ): void {
    const [session] = [...this.paa.list(this.now)];
    if (!session) throw new Error('the PAA has no session');
    this.#paa(this.paa.handle({ type: 'session', sessionId: session.sessionId, input }, this.now));
  }

  /** Runs until this virtual time. Each message is delivered and each timer fires when it is due. */
  run(until: number): this {
    for (;;) {
      this.#wire.sort((a, b) => a.at - b.at);
      const times = [this.#wire[0]?.at, this.pac.deadline, this.paa.deadline].filter((at) => at !== undefined);
      const next = Math.min(...times);
      if (times.length === 0 || next > until) break;
      this.now = Math.max(this.now, next);
      const arrived = this.#wire[0]?.at === next ? this.#wire.shift() : undefined;
      if (arrived) this.inject(arrived.to, arrived.octets, arrived.from);
      else if (this.pac.deadline === next) this.toPac({ type: 'tick' });
      else this.#paa(this.paa.handle({ type: 'tick' }, this.now));
    }
    this.now = until;
    return this;
  }

  #send(from: 'pac' | 'paa', octets: Uint8Array, place: PacEndpoint): void {
    const message = decodePana(octets);
    const line = { at: this.now, from, name: messageName(message).rfc, message, octets, nth: this.lines.length };
    this.lines.push(line);
    if (this.#options.lose?.(line)) return;
    const altered = this.#options.alter?.(line) ?? octets.slice();
    const at = this.now + (this.#options.delay ?? 1);
    this.#wire.push({ at, to: from === 'pac' ? 'paa' : 'pac', octets: altered, from: place });
  }

  #msk(): Secret {
    return Secret.take(createHash('sha512').update(`run ${this.#run}`).digest());
  }

  #pac(outputs: readonly PacOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'send') this.#send('pac', output.octets, this.from);
      else this.pacEvents.push(output);
      if (output.type !== 'eapPacket') continue;
      const [code = 0, id = 0, , , last = 0] = output.packet;
      if (code === 3) this.toPac({ type: 'eapSucceeded' });
      else if (code === 4) this.toPac({ type: 'eapFailed' });
      else {
        if (last === 1) this.toPac({ type: 'eapKeys', msk: this.#msk() });
        this.toPac({ type: 'eapResponse', packet: Uint8Array.of(2, id, 0, 5, last) });
      }
    }
  }

  #paa(outputs: readonly PaaOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'send') this.#send('paa', output.octets, output.to);
      else this.paaEvents.push(output);
      if (output.type !== 'session') continue;
      const { event, sessionId } = output;
      const answer = (input: Parameters<Paa['handle']>[0] & { type: 'session' }) =>
        this.#paa(this.paa.handle(input, this.now));
      if (event.type === 'arrived' && !this.holdsWelcome)
        answer({ type: 'session', sessionId, input: { type: 'welcome' } });
      if (event.type === 'eapStart') {
        this.#round = 0;
        this.#run += 1;
        const packet = this.#request();
        if (!event.asked) answer({ type: 'session', sessionId, input: { type: 'eapRequest', packet } });
      }
      if (event.type === 'eapPacket') answer({ type: 'session', sessionId, input: this.#verdict(event.packet) });
    }
  }

  #request(): Uint8Array {
    this.#round += 1;
    return Uint8Array.of(1, this.#round, 0, 5, this.#round === (this.#options.rounds ?? 2) ? 1 : 0);
  }

  #verdict(response: Uint8Array) {
    const { verdict = 'grant', grant = HOME } = this.#options;
    const [, id = 0, , , last = 0] = response;
    if (last !== 1) return { type: 'eapRequest', packet: this.#request() } as const;
    const success = { type: 'eapSuccess', packet: Uint8Array.of(3, id, 0, 4), msk: this.#msk(), grant } as const;
    switch (verdict) {
      case 'grant':
        return { ...success, authorized: true } as const;
      case 'not-authorized':
        return { ...success, authorized: false } as const;
      case 'reject':
        return { type: 'eapFailure', packet: Uint8Array.of(4, id, 0, 4) } as const;
      case 'reject-without-packet':
        return { type: 'eapFailure', packet: undefined } as const;
      case 'silent':
        return { type: 'ping' } as const;
    }
  }
}
