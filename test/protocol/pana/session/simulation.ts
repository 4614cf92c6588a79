import { createHash } from 'node:crypto';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { Paa } from '../../../../src/protocol/pana/agent/paa.js';
import type { PaaConfig, PaaOutput } from '../../../../src/protocol/pana/agent/paa-interface.js';
import { PacSession } from '../../../../src/protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../../../../src/protocol/pana/session/pac-interface.js';
import { type PacEndpoint, placeOf } from '../../../../src/protocol/pana/session/start.js';
import { decodePana, FLAG, type PanaMessage } from '../../../../src/protocol/pana/wire/codec.js';
import { messageName } from '../../../../src/protocol/pana/wire/dictionary.js';
import { HOME, PAA_CONFIG, PAC_CONFIG } from './ladder.js';

/** What happens in a run. All random choices follow from the seed. */
export interface Scenario {
  readonly seed: number;
  /** Probabilities that a message is lost and that it is duplicated while the link is impaired. */
  readonly loss: number;
  readonly duplication: number;
  /** Longest delay of a message while the link is impaired, in milliseconds; delays cause reordering. */
  readonly delay: number;
  /** How long the link is impaired, and how long the run continues afterwards, in milliseconds. */
  readonly bad: number;
  readonly good: number;
  /** The events that may happen while the link is impaired, and the probability that one happens in a second. */
  readonly events: readonly SimulationEvent[];
  readonly eventRate: number;
  readonly pac?: Partial<PacConfig>;
  readonly paa?: Partial<PaaConfig>;
}

export type SimulationEvent =
  | 'pac-ping'
  | 'pac-reauthenticate'
  | 'paa-ping'
  | 'paa-reauthenticate'
  | 'move'
  | 'pac-terminate'
  | 'paa-terminate'
  | 'pac-restart'
  | 'paa-restart';

/** Delay of the link when it is not impaired, in milliseconds. */
const GOOD_DELAY = 5;

/** Time until a closed PaC starts again, as in pana-pac. */
const RESTART_AFTER = 2_000;

const LIFETIME = 300_000;

interface Flying {
  readonly at: number;
  readonly to: 'pac' | 'paa';
  readonly octets: Uint8Array;
  /** Address of the PaC as the sender knows it. */
  readonly from: PacEndpoint;
}

/** mulberry32: a small, fast generator that gives the same numbers for the same seed. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A PaC and a PAA over a link that loses, duplicates, delays and reorders messages, in virtual time. */
export class Simulation {
  readonly #scenario: Scenario;
  readonly #random: () => number;
  now = 0;
  pac: PacSession;
  paa: Paa;
  /** One readable line for each message or event. */
  readonly ladder: string[] = [];
  readonly broken: string[] = [];
  /** Number of successful bootstraps, and of those with a home agent. */
  authorized = 0;
  withHomeAgent = 0;
  closed: string[] = [];
  #wire: Flying[] = [];
  #place: PacEndpoint = { address: '2001:db8:a::11', port: 50_000, local: '2001:db8:a::1' };
  #restartAt: number | undefined;
  #nextEvent = 0;
  #runs = 0;
  /** Round and run of the simulated EAP method in each PAA session. */
  readonly #eap = new Map<number, { round: number; run: number }>();
  /** Sequence number of the unanswered request of each side, by session. */
  readonly #asked = { pac: new Map<number, number>(), paa: new Map<number, number>() };
  #starts = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#random = generator(scenario.seed);
    this.pac = this.#newPac();
    this.paa = this.#newPaa();
  }

  /** Runs to the end of the scenario. Violations are listed in `broken`. */
  run(): this {
    const { bad, good } = this.#scenario;
    this.#toPac({ type: 'start' });
    const end = bad + good;
    for (let steps = 0; this.broken.length === 0; steps += 1) {
      if (steps > 200_000) this.broken.push('the run does not end');
      const next = this.#next();
      if (next === undefined || next > end) break;
      this.now = Math.max(this.now, next);
      this.#step(next);
    }
    this.now = end;
    return this;
  }

  #newPac(): PacSession {
    this.#starts += 1;
    const seed = createHash('sha256').update(`pac ${this.#scenario.seed} ${this.#starts}`).digest();
    const config = { ...PAC_CONFIG, pingInterval: 20_000, reauthenticateAt: 0.75, ...this.#scenario.pac };
    return new PacSession(config, new Uint8Array(seed));
  }

  #newPaa(): Paa {
    this.#starts += 1;
    const seed = createHash('sha256').update(`paa ${this.#scenario.seed} ${this.#starts}`).digest();
    const limits = { ...PAA_CONFIG.limits, pciPerAddress: 100, halfOpenPerAddress: 100 };
    return new Paa({ ...PAA_CONFIG, limits, reauthenticateAt: 0.9, ...this.#scenario.paa }, new Uint8Array(seed));
  }

  #next(): number | undefined {
    const times = [
      this.#wire.reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY),
      this.pac.deadline ?? Number.POSITIVE_INFINITY,
      this.paa.deadline ?? Number.POSITIVE_INFINITY,
      this.#restartAt ?? Number.POSITIVE_INFINITY,
      this.now < this.#scenario.bad ? this.#nextEvent : Number.POSITIVE_INFINITY,
    ];
    const next = Math.min(...times);
    return Number.isFinite(next) ? next : undefined;
  }

  #step(due: number): void {
    const arrived = this.#wire.findIndex(({ at }) => at <= due);
    const [flying] = arrived < 0 ? [] : this.#wire.splice(arrived, 1);
    if (flying) {
      this.#deliver(flying);
    } else if (this.#restartAt !== undefined && this.#restartAt <= due) {
      this.#restartPac();
    } else if (this.#nextEvent <= due && this.now < this.#scenario.bad) {
      this.#nextEvent = due + 1000;
      if (this.#random() < this.#scenario.eventRate) this.#happen();
    } else if ((this.pac.deadline ?? Number.POSITIVE_INFINITY) <= due) {
      const { pac } = this;
      this.#toPac({ type: 'tick' });
      this.#checkTick('pac', pac.deadline);
    } else {
      this.#fromPaa(this.paa.handle({ type: 'tick' }, this.now));
      this.#checkTick('paa', this.paa.deadline);
    }
    this.#check();
  }

  /** A timer that has fired must have a later deadline or none. */
  #checkTick(name: string, deadline: number | undefined): void {
    if (deadline !== undefined && deadline <= this.now) this.broken.push(`${name}: the deadline stays at ${deadline}`);
  }

  /** Every deadline is at most one lifetime ahead, and only OPEN and CLOSED may have none. */
  #check(): void {
    for (const [name, { deadline }] of [
      ['pac', this.pac],
      ['paa', this.paa],
    ] as const) {
      if (deadline === undefined) continue;
      if (deadline > this.now + LIFETIME + 1) this.broken.push(`${name}: the deadline ${deadline} is out of bounds`);
    }
    const bounded = ['OPEN', 'CLOSED'].includes(this.pac.state) || this.pac.deadline !== undefined;
    if (!bounded) this.broken.push(`pac: no timer in ${this.pac.state}`);
  }

  #happen(): void {
    const { events } = this.#scenario;
    const event = events[Math.floor(this.#random() * events.length)];
    if (event === undefined) return;
    this.#note(`* ${event}`);
    const session = [...this.paa.list(this.now)].at(-1)?.sessionId;
    const toSession = (input: { type: 'ping' } | { type: 'reauthenticate' } | { type: 'terminate'; cause: 4 }) => {
      if (session !== undefined)
        this.#fromPaa(this.paa.handle({ type: 'session', sessionId: session, input }, this.now));
    };
    switch (event) {
      case 'pac-ping':
        this.#toPac({ type: 'ping' });
        break;
      case 'pac-reauthenticate':
        this.#toPac({ type: 'reauthenticate' });
        break;
      case 'pac-terminate':
        this.#toPac({ type: 'terminate' });
        break;
      case 'paa-ping':
        toSession({ type: 'ping' });
        break;
      case 'paa-reauthenticate':
        toSession({ type: 'reauthenticate' });
        break;
      case 'paa-terminate':
        toSession({ type: 'terminate', cause: 4 });
        break;
      case 'move':
        this.#place = { ...this.#place, port: 50_000 + Math.floor(this.#random() * 1000) };
        // As in pana-pac: the PaC sends a protected message from the new address, or starts again if it has no key.
        if (this.pac.protected) this.#toPac({ type: 'moved' });
        else this.#restartPac();
        break;
      case 'pac-restart':
        // The old PaC disappears without sending a message.
        if (this.#random() < 0.5) this.#place = { ...this.#place, port: 50_000 + Math.floor(this.#random() * 1000) };
        this.#restartPac();
        break;
      case 'paa-restart':
        this.paa = this.#newPaa();
        this.#asked.paa.clear();
        break;
    }
  }

  #restartPac(): void {
    this.pac = this.#newPac();
    this.#asked.pac.clear();
    this.#restartAt = undefined;
    this.#toPac({ type: 'start' });
  }

  // ------------------------------------------------------------------------------------------------------ messages

  #send(from: 'pac' | 'paa', octets: Uint8Array, place: PacEndpoint): void {
    const { loss, duplication, delay, bad } = this.#scenario;
    const message = decodePana(octets);
    this.#request(from, message);
    if (!(message.flags & FLAG.R) && message.avps.some(({ code }) => code === 12)) this.broken.push('encrypted answer');
    const isBad = this.now < bad;
    const copies = isBad && this.#random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (isBad && this.#random() < loss) {
        this.#note(`${from === 'pac' ? '-x ' : 'x- '} ${messageName(message).rfc} ${message.sequence} lost`);
        continue;
      }
      const wait = isBad ? GOOD_DELAY + this.#random() * delay : GOOD_DELAY;
      const to = from === 'pac' ? 'paa' : 'pac';
      this.#wire.push({ at: this.now + wait, to, octets: octets.slice(), from: place });
    }
  }

  /** RFC 5191 5.2: one outstanding request a side. */
  #request(from: 'pac' | 'paa', { flags, type, sessionId, sequence }: PanaMessage): void {
    const start = type === 1 || (type === 2 && flags & FLAG.S);
    if (start || (flags & FLAG.R) === 0) return;
    const before = this.#asked[from].get(sessionId);
    if (before !== undefined && before !== sequence) {
      this.broken.push(`${from}: request ${sequence} before ${before} was answered`);
    }
    this.#asked[from].set(sessionId, sequence);
  }

  #deliver({ to, octets, from }: Flying): void {
    const message = decodePana(octets);
    if (to === 'pac' && placeOf(from) !== placeOf(this.#place)) {
      this.#note(`<x- ${messageName(message).rfc} ${message.sequence} to the old address`);
      return;
    }
    this.#note(`${to === 'paa' ? '-->' : '<--'} ${messageName(message).rfc} ${message.sequence}`);
    const { flags, sessionId, sequence } = message;
    // A delivered answer counts as the end of its request, whether or not the machine accepts it.
    if ((flags & FLAG.R) === 0 && this.#asked[to].get(sessionId) === sequence) this.#asked[to].delete(sessionId);
    if (to === 'pac') this.#toPac({ type: 'datagram', octets });
    else this.#fromPaa(this.paa.handle({ type: 'datagram', octets, from }, this.now));
  }

  #note(text: string): void {
    const states = [...this.paa.list(this.now)].map(({ state }) => state).join(',');
    this.ladder.push(`${String(Math.round(this.now)).padStart(8)}  ${text.padEnd(36)} ${this.pac.state} | ${states}`);
  }

  #toPac(input: PacInput): void {
    const { pac } = this;
    for (const output of pac.handle(input, this.now)) if (pac === this.pac) this.#performPac(output);
  }

  #performPac(output: PacOutput): void {
    switch (output.type) {
      case 'send':
        this.#send('pac', output.octets, this.#place);
        break;
      case 'authorized':
        this.#note('PaC authorized');
        if (!output.reauthentication) {
          this.authorized += 1;
          if (output.assignment) this.withHomeAgent += 1;
        }
        break;
      case 'closed':
        this.#note(`PaC closed: ${output.cause}`);
        this.closed.push(output.cause);
        this.#asked.pac.clear();
        this.#restartAt = this.now + RESTART_AFTER;
        break;
      case 'eapPacket': {
        const [code = 0, id = 0, , , last = 0, run = 0] = output.packet;
        if (code === 3) this.#toPac({ type: 'eapSucceeded' });
        else if (code === 4) this.#toPac({ type: 'eapFailed' });
        else {
          if (last === 1) this.#toPac({ type: 'eapKeys', msk: msk(run) });
          this.#toPac({ type: 'eapResponse', packet: Uint8Array.of(2, id, 0, 6, last, run) });
        }
      }
    }
  }

  #fromPaa(outputs: readonly PaaOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'send') this.#send('paa', output.octets, output.to);
      if (output.type !== 'session') continue;
      const { event, sessionId } = output;
      if (event.type === 'closed') {
        this.#note(`PAA closed: ${event.cause}`);
        this.#eap.delete(sessionId);
        this.#asked.paa.delete(sessionId);
      }
      if (event.type === 'eapStart') {
        this.#runs += 1;
        this.#eap.set(sessionId, { round: 0, run: this.#runs & 0xff });
        const packet = this.#eapRequest(sessionId);
        if (!event.asked) this.#toSession(sessionId, { type: 'eapRequest', packet });
      }
      if (event.type === 'eapPacket') {
        const [, id = 0, , , last = 0, run = 0] = event.packet;
        const success = {
          type: 'eapSuccess',
          packet: Uint8Array.of(3, id, 0, 4),
          msk: msk(run),
          authorized: true,
        } as const;
        const grant = { ...HOME, lifetime: LIFETIME };
        if (last === 1) this.#toSession(sessionId, { ...success, grant });
        else this.#toSession(sessionId, { type: 'eapRequest', packet: this.#eapRequest(sessionId) });
      }
    }
  }

  #toSession(sessionId: number, input: Extract<Parameters<Paa['handle']>[0], { type: 'session' }>['input']): void {
    this.#fromPaa(this.paa.handle({ type: 'session', sessionId, input }, this.now));
  }

  #eapRequest(sessionId: number): Uint8Array {
    const state = this.#eap.get(sessionId) ?? { round: 0, run: 0 };
    state.round += 1;
    return Uint8Array.of(1, state.round, 0, 6, state.round === 3 ? 1 : 0, state.run);
  }

  // -------------------------------------------------------------------------------------------------------- the end

  #runFor(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (let next = this.#next(); next !== undefined && next <= until; next = this.#next()) {
      this.now = Math.max(this.now, next);
      this.#step(next);
    }
    this.now = until;
  }

  /** Lets a ping or re-authentication in progress finish. */
  #settle(): void {
    const isOpen = () => this.pac.state === 'OPEN' && [...this.paa.list(this.now)].at(-1)?.state === 'OPEN';
    this.#runFor(4 * GOOD_DELAY);
    for (let tries = 0; tries < 20 && !isOpen(); tries += 1) this.#runFor(10 * GOOD_DELAY);
  }

  /** Checks that both ends are open with the same session and key: each answers a ping of the other. */
  expectOpen(): void {
    this.#settle();
    const sessions = [...this.paa.list(this.now)];
    const [session] = sessions;
    if (this.pac.state !== 'OPEN') this.broken.push(`the PaC ended in ${this.pac.state}`);
    if (sessions.length !== 1) this.broken.push(`the PAA has ${sessions.length} sessions`);
    if (session?.state !== 'OPEN') this.broken.push(`the PAA ended in ${session?.state ?? 'nothing'}`);
    if (session?.sessionId !== this.pac.sessionId) this.broken.push('the ends have different sessions');
    if (this.broken.length > 0 || !session) return;
    this.#toPac({ type: 'ping' });
    this.#toSession(session.sessionId, { type: 'ping' });
    this.#settle();
    if (this.pac.state !== 'OPEN') this.broken.push('a ping of the PaC is not answered');
    if ([...this.paa.list(this.now)][0]?.state !== 'OPEN') this.broken.push('a ping of the PAA is not answered');
  }
}

/** The MSK of a run of the simulated EAP method. */
function msk(run: number): Secret {
  return Secret.take(createHash('sha512').update(`run ${run}`).digest());
}
