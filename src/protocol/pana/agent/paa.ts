import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { Drbg } from '../../bytes/drbg.js';
import type { PaaSessionInput, PaaSessionOutput } from '../session/paa-interface.js';
import { PaaSession } from '../session/paa-session.js';
import { nextRetransmission, type Retransmission, startRetransmission } from '../session/retransmission.js';
import { type Dropped, dropped, isRequest, type Received, receive } from '../session/session.js';
import { type PacEndpoint, placeOf } from '../session/start.js';
import { FLAG, MESSAGE_TYPE } from '../wire/codec.js';
import { isRelay } from '../wire/relayed.js';
import { CandidateSessions, mayPreAuthenticate } from './candidates.js';
import { EndedSessions } from './ended-sessions.js';
import { PaaOffers } from './offers.js';
import type { PaaConfig, PaaInput, PaaOutput, PaaSessionView, SessionFault } from './paa-interface.js';
import { PciLimiter, type PciLimits } from './pci-limiter.js';
import { openRelay, toPac } from './relays.js';
import { Entry, hasAccess, SessionTable } from './session-table.js';
import { EPOCH } from './stateless-start.js';
import { lengthProblem, typeOf } from './undecoded.js';

/**
 * Maximum number of deadlines handled in one tick, so that datagrams are not delayed while those of a hundred thousand
 * sessions expire together. One deadline takes up to 40 µs.
 */
export const MAX_DUE = 200;

interface Invitation {
  readonly peer: PacEndpoint;
  readonly timer: Retransmission;
}

type StepOutput = PaaSessionOutput | SessionFault;

/** Passes an input to one session. An exception ends that session. */
function step({ session }: Entry, input: PaaSessionInput, now: number): StepOutput[] {
  try {
    return session.handle(input, now);
  } catch (error) {
    return [{ type: 'fault', error }, ...session.abandon()];
  }
}

/**
 * The PAA with all its sessions. It answers PCI without state, starts a session when a valid PAN[S] arrives, and passes
 * other messages to their session.
 */
export class Paa {
  #config: PaaConfig;
  readonly #drbg: Drbg;
  readonly #offers: PaaOffers;
  readonly #pciLimiter: PciLimiter;
  readonly #sessions = new SessionTable();
  readonly #ended = new EndedSessions();
  readonly #candidates = new CandidateSessions<Entry>();
  /** Invited PaCs, to which an unsolicited PAR[S] was sent, by address and port. */
  readonly #invited = new Map<string, Invitation>();
  /** Deadlines of sessions by identifier, and of invitations by address and port. */
  readonly #deadlines = new DeadlineQueue<number | string>();

  constructor(config: PaaConfig, seed: Uint8Array) {
    this.#config = config;
    this.#drbg = new Drbg(seed);
    this.#offers = new PaaOffers(config, this.#drbg);
    this.#pciLimiter = new PciLimiter(this.#drbg.bytes(16), pciLimits(config));
  }

  get deadline(): number | undefined {
    return this.#deadlines.first;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get halfOpen(): number {
    return this.#sessions.halfOpen;
  }

  /** Number of authenticated sessions that encrypt AVPs (RFC 6786). */
  get encrypting(): number {
    const isCounted = ({ session }: Entry) => session.admitted && session.encryption !== undefined;
    return [...this.#sessions.all()].filter(isCounted).length;
  }

  get preAuthenticated(): number {
    return this.#candidates.size;
  }

  *list(now: number): Generator<PaaSessionView> {
    for (const { session, where } of this.#sessions.all()) {
      const { sessionId, state, encryption, preAuthenticates: preAuthenticated } = session;
      const remaining = session.remaining(now);
      yield { sessionId, peer: where.peer, state, preAuthenticated, encryption, remaining };
    }
  }

  handle(input: PaaInput, now: number): PaaOutput[] {
    const out = this.#handle(input, now);
    for (const [i, output] of out.entries()) {
      if (output.type === 'send' && output.to.relay) out[i] = { type: 'send', ...toPac(output.octets, output.to) };
    }
    return out;
  }

  #handle(input: PaaInput, now: number): PaaOutput[] {
    switch (input.type) {
      case 'datagram':
        return this.#datagram(input.octets, input.from, now);
      case 'tick':
        return this.#tick(now);
      case 'invite':
        return this.#invite(input.peer, now);
      case 'configure':
        this.#config = input.config;
        this.#offers.configure(input.config);
        this.#pciLimiter.limits = pciLimits(input.config);
        return [];
      case 'session': {
        const entry = this.#sessions.get(input.sessionId);
        if (entry) return this.#perform(entry, step(entry, input.input, now), now);
        if (input.input.type === 'eapSuccess') input.input.msk?.wipe();
        return [];
      }
    }
  }

  /** What remains due keeps its deadline, which has passed, so that the caller ticks again after other inputs. */
  #tick(now: number): PaaOutput[] {
    const out: PaaOutput[] = [];
    for (let count = 0; count < MAX_DUE; count += 1) {
      const id = this.#deadlines.due(now);
      if (id === undefined) break;
      if (typeof id === 'string') {
        out.push(...this.#inviteAgain(id, now));
        continue;
      }
      const entry = this.#sessions.get(id);
      if (entry) out.push(...this.#tickSession(entry, now));
    }
    return out;
  }

  #tickSession(entry: Entry, now: number): PaaOutput[] {
    const { session, where } = entry;
    const out: PaaOutput[] = [];
    // The new address did not answer: send the outstanding request to the proven address immediately.
    if (where.giveUp(now)) for (const octets of session.resend()) out.push({ type: 'send', octets, to: where.target });
    const due = session.deadline !== undefined && session.deadline <= now;
    const outputs = due ? step(entry, { type: 'tick' }, now) : [];
    return [...out, ...this.#perform(entry, outputs, now)];
  }

  #datagram(octets: Uint8Array, from: PacEndpoint, now: number): PaaOutput[] {
    // RFC 768: source port 0 means that the sender expects no answer.
    if (from.port === 0) return [refuse('source-port', from)];
    if (isRelay(octets) && !from.relay) {
      const opened = openRelay(octets, from, this.#config.relays ?? []);
      return typeof opened === 'string' ? [refuse(opened, from)] : this.#datagram(opened.octets, opened.from, now);
    }
    // A PCI that will not be answered is not decoded, because anyone can send PCIs from any address.
    if (typeOf(octets) === MESSAGE_TYPE.PCI) {
      // A malformed PCI does not count against the limit of its address.
      const broken = lengthProblem(octets);
      if (broken) return [refuse(broken, from)];
      const refused = this.#pciLimiter.refuse(from.address, now);
      if (refused) return [{ type: 'dropped', code: refused, from }];
    }
    const received = receive(octets, this.#config.vendorId);
    if ('type' in received) return [{ ...received, from }];
    const { message } = received;
    if (message.type === MESSAGE_TYPE.PCI) return this.#pci(received, from, now);
    const entry = this.#sessions.get(message.sessionId);
    const start = message.type === MESSAGE_TYPE.AUTH && (message.flags & (FLAG.R | FLAG.S)) === FLAG.S;
    if (start && !entry) return this.#begin(received, from, now);
    if (!entry) return [refuse('unknown-session', from)];
    // Without a key nothing proves that a node has moved (RFC 5191 5.6).
    if (!entry.session.protected && placeOf(from) !== placeOf(entry.where.peer))
      return [refuse('unknown-session', from)];
    return this.#perform(entry, step(entry, { type: 'message', received }, now), now, from);
  }

  // INITIAL    PAC_FOUND  | not OPTIMIZED_INIT | Tx PAR[S]           | INITIAL
  // Not RFC: the PAR[S] is retransmitted. PCIs of that PaC are dropped from now on (RFC 5191 4.1), so a lost PAR[S]
  // would keep the PaC out.
  #invite(peer: PacEndpoint, now: number): PaaOutput[] {
    const place = placeOf(peer);
    if (this.#invited.has(place)) return [];
    if (this.#invited.size >= this.#config.limits.halfOpen) return [refuse('invitations', peer)];
    const timer = startRetransmission(this.#config.request, now, this.#drbg.unit());
    this.#invited.set(place, { peer, timer });
    this.#deadlines.set(place, timer.at);
    return this.#offer(peer, now, 0);
  }

  #inviteAgain(place: string, now: number): PaaOutput[] {
    const invited = this.#invited.get(place);
    if (!invited) return [];
    const timer = nextRetransmission(invited.timer, now, this.#drbg.unit());
    if (!timer) {
      this.#invited.delete(place);
      return [{ type: 'uninvited', peer: invited.peer }];
    }
    this.#invited.set(place, { ...invited, timer });
    this.#deadlines.set(place, timer.at);
    return this.#offer(invited.peer, now, timer.sent - 1);
  }

  // INITIAL    PCI        | not OPTIMIZED_INIT | Tx PAR[S], no RTX   | INITIAL
  // INITIAL    PCI        | OPTIMIZED_INIT     | EAPrestart          | INITIAL
  // INITIAL    EAP_REQUEST|                    | Tx PAR[S](EAP); RTX+| INITIAL
  // Not RFC: PAR[S] with EAP-Payload needs no state and no timer either. The first EAP-Request is an Identity request,
  // the same for every PaC, and the PaC repeats PCI anyway until it receives a PAR without S (RFC 5191 4.1).
  #pci({ message }: Received, from: PacEndpoint, now: number): PaaOutput[] {
    if (message.sessionId !== 0 || message.sequence !== 0) return [refuse('unexpected', from)];
    // RFC 5191 4.1: if PaC and PAA have both initiated, the PaC answers the PAR[S] of the PAA.
    if (this.#invited.size > 0 && this.#invited.has(placeOf(from))) return [refuse('unexpected', from)];
    // The PaC repeats PCI until it receives a PAR without S, so this PCI belongs to the start in progress.
    const starting = [...this.#sessions.at(from)].findLast(({ session }) => session.starting);
    if (starting) return [{ type: 'send', octets: starting.session.iPar, to: from }];
    const asks = (message.flags & FLAG.E) !== 0;
    const grants = asks && mayPreAuthenticate(this.#config.preAuthentication, from.address);
    const before = this.#pciLimiter.repeats(from.address, from.port, Math.floor(now / EPOCH));
    // RFC 5873 3: the answer without E refuses.
    const refused = asks && !grants ? [refuse('pre-authentication', from)] : [];
    return [...refused, ...this.#offer(from, now, before, grants)];
  }

  /** Sends a PAR[S] to a PaC to which `before` offers were sent. */
  #offer(peer: PacEndpoint, now: number, before: number, preAuthentication = false): PaaOutput[] {
    const taken = (id: number) => this.#sessions.get(id) !== undefined || this.#ended.has(id, now);
    const start = this.#offers.offer(peer, before, now, taken, preAuthentication);
    return start ? [{ type: 'send', octets: start.iPar, to: peer }] : [refuse('starts-of-epoch', peer)];
  }

  #begin(pan: Received, from: PacEndpoint, now: number): PaaOutput[] {
    const { sessionId, sequence } = pan.message;
    const start = this.#offers.prove(from, sessionId, sequence, now);
    if (!start || this.#ended.has(sessionId, now)) return [refuse('bad-start', from)];
    this.#pciLimiter.proven(from.address, from.port);
    const { limits, preAuthentication } = this.#config;
    if (start.preAuthentication) {
      if (!preAuthentication) return [refuse('pre-authentication', from)];
      const refusal = this.#candidates.refusal(preAuthentication, limits.halfOpen);
      if (refusal) return [refuse(refusal, from)];
    }
    const { size, halfOpen } = this.#sessions;
    const room = this.#sessions.room(
      from.address,
      {
        perAddress: limits.halfOpenPerAddress,
        perNetwork: limits.halfOpenPerNetwork,
        // Half-open sessions may use only the room that authenticated sessions leave.
        inAll: Math.min(limits.halfOpen, limits.sessions - (size - halfOpen)),
      },
      now,
    );
    if (typeof room === 'string') return [refuse(size >= limits.sessions ? 'sessions-in-all' : room, from)];
    const begun = PaaSession.begin(this.#config, this.#drbg, start, pan, now);
    if ('type' in begun) return [{ ...begun, from }];
    this.#invited.delete(placeOf(from));
    this.#deadlines.set(placeOf(from), undefined);
    const entry = new Entry(begun.session, from);
    const { instead } = room;
    const out = instead ? this.#perform(instead, instead.session.end('pushed-out'), now) : [];
    this.#sessions.add(entry);
    if (start.preAuthentication) this.#candidates.add(entry);
    return [...out, ...this.#perform(entry, begun.out, now)];
  }

  /** Converts the outputs of a session and updates the tables. */
  #perform(entry: Entry, outputs: readonly StepOutput[], now: number, from?: PacEndpoint): PaaOutput[] {
    const { session, where } = entry;
    const { sessionId } = session;
    const out: PaaOutput[] = [];
    for (const output of outputs) {
      switch (output.type) {
        case 'send':
          // An answer goes to the source of its request.
          out.push({
            type: 'send',
            octets: output.octets,
            to: from && !isRequest(output.octets) ? from : where.target,
          });
          break;
        case 'dropped':
          out.push({ ...output, from });
          break;
        case 'heard':
          if (from) where.hear(from, output.askedAt, now);
          break;
        case 'reached':
          out.push(...this.#arrive(entry), ...this.#enter(entry, now));
          break;
        case 'arriving':
          entry.isArriving = true;
          if (!from || placeOf(from) === placeOf(where.peer)) out.push(...this.#enter(entry, now));
          break;
        case 'fault':
          out.push({ ...output, sessionId });
          break;
        default:
          if (output.type === 'authorized' && where.isTryingByRun)
            out.push(...this.#arrive(entry), ...this.#enter(entry, now));
          out.push({ type: 'session', sessionId, peer: where.peer, event: output });
          if (output.type === 'authorized') out.push(...this.#authorized(entry, now));
          if (output.type === 'closed') this.#remove(entry, now);
      }
    }
    if (this.#sessions.get(sessionId) !== entry) return out;
    this.#sessions.stepped(entry);
    out.push(...this.#follow(entry, outputs, now));
    if (this.#sessions.get(sessionId) === entry) this.#schedule(entry);
    return out;
  }

  #schedule({ session, where }: Entry): void {
    const [first, second] = [session.deadline, where.deadline];
    const at = first !== undefined && second !== undefined ? Math.min(first, second) : (first ?? second);
    this.#deadlines.set(session.sessionId, at);
  }

  /** Ends the older sessions at the address of a node that started again there and is now authorized. */
  #authorized(entry: Entry, now: number): PaaOutput[] {
    this.#sessions.admit(entry);
    this.#candidates.admit(entry);
    return hasAccess(entry.session) ? this.#replaceOthers(entry, now) : [];
  }

  #replaceOthers(entry: Entry, now: number): PaaOutput[] {
    const out: PaaOutput[] = [];
    for (const other of [...this.#sessions.at(entry.where.peer)]) {
      if (other !== entry && other.session.admitted)
        out.push(...this.#perform(other, other.session.end('replaced'), now));
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------------------- movement

  /** Verifies the address that the PaC sent from, if it is new (RFC 5191 5.6); see PacLocation. */
  #follow(entry: Entry, outputs: readonly StepOutput[], now: number): PaaOutput[] {
    const { session, where } = entry;
    const place = where.wanted(now);
    const out: PaaOutput[] = [];
    if (place) {
      const holders = place.address === where.peer.address ? [] : this.#sessions.holders(place.address, entry);
      if (holders.length > 0) {
        // Another session has this address and is pinged. If it does not answer, it ends and the address becomes free.
        where.wait(now);
        out.push(refuse('address-held', place));
        for (const holder of holders) {
          out.push(...this.#perform(holder, step(holder, { type: 'ping' }, now), now));
        }
        return out;
      }
      where.try(session.echoes ? 'echo' : 'run', now);
      for (const octets of session.resend()) out.push({ type: 'send', octets, to: place });
      if (session.echoes) return [...out, ...this.#perform(entry, step(entry, { type: 'prove' }, now), now)];
    }
    if (session.echoes || !where.isTrying || where.isTryingByRun) return out;
    // A PaC without Echo support proves a new address by an authentication of which all messages are sent there.
    if (outputs.some((output) => output.type === 'eapStart')) where.beginRun(now);
    else if (session.idle) {
      where.beginRun(now);
      out.push(...this.#perform(entry, step(entry, { type: 'reauthenticate' }, now), now));
    }
    return out;
  }

  #arrive(entry: Entry): PaaOutput[] {
    const { sessionId } = entry.session;
    const from = this.#sessions.move(entry);
    return from ? [{ type: 'moved', sessionId, from, peer: entry.where.peer }] : [];
  }

  /** RFC 5873 3: a pre-authenticated PaC has come, and is where it says. */
  #enter(entry: Entry, now: number): PaaOutput[] {
    if (!entry.isArriving) return [];
    entry.isArriving = false;
    this.#candidates.delete(entry);
    const { sessionId } = entry.session;
    const arrived = { type: 'session', sessionId, peer: entry.where.peer, event: { type: 'arrived' } } as const;
    return [arrived, ...this.#replaceOthers(entry, now)];
  }

  #remove(entry: Entry, now: number): void {
    const { sessionId } = entry.session;
    this.#sessions.remove(entry);
    this.#candidates.delete(entry);
    this.#deadlines.set(sessionId, undefined);
    this.#ended.add(sessionId, now);
  }
}

function pciLimits({ limits }: PaaConfig): PciLimits {
  return { perAddress: limits.pciPerAddress, perNetwork: limits.pciPerNetwork, inAll: limits.pciInAll };
}

function refuse(code: Dropped['code'], from: PacEndpoint): PaaOutput {
  return { ...dropped(code), from };
}
