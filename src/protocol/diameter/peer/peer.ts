import { Drbg } from '../../bytes/drbg.js';
import { xorshift } from '../../bytes/xorshift.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, CEA, CER, DPA, DPR, DWA, DWR } from '../wire/commands.js';
import { DISCONNECT_CAUSE } from '../wire/dictionary.js';
import { type Grammarian, isViolation, type Violation } from '../wire/grammar.js';
import type { ConnectionId, PeerConfig, PeerInput, PeerOutput } from './alphabet.js';
import { BaseMessages, isBase } from './base-messages.js';
import { CapabilitiesExchange, type PeerCapabilities } from './capabilities.js';
import { OwnRequests, type Sent } from './own-requests.js';
import { Reconnection } from './reconnection.js';
import { deadlineOf, endingOf, hasRestarted, type Introduced, type Open, openOf, type State } from './state.js';
import { Watchdog, type WatchdogAction, type WatchdogInput, type WatchdogStatus } from './watchdog.js';

/**
 * How long a restarted peer waits for the answer to a DWR on its old connection until that connection counts as dead,
 * in milliseconds.
 */
const RESTART_PROBE = 3_000;

/**
 * The state machine of one peer, RFC 6733 5.6, with its watchdog. I-: connections initiated by this node. R-:
 * connections initiated by the peer. Long, because it contains all rows of the RFC's table.
 */
export class Peer {
  readonly #config: PeerConfig;
  readonly #grammarian: Grammarian;
  readonly #exchange: CapabilitiesExchange;
  readonly #base: BaseMessages;
  readonly #watchdog: Watchdog;
  #state: State = { name: 'Closed', retryAt: undefined };
  readonly #reconnection: Reconnection;
  readonly #own: OwnRequests;
  #stopped = false;

  constructor(config: PeerConfig, grammarian: Grammarian, seed: Uint8Array) {
    this.#config = config;
    this.#grammarian = grammarian;
    this.#exchange = new CapabilitiesExchange(config.local, grammarian, config.mayRelay);
    this.#base = new BaseMessages(grammarian, config.local);
    const drbg = new Drbg(seed);
    this.#watchdog = new Watchdog(config.watchdog, xorshift(drbg.u32()));
    this.#own = new OwnRequests(config.identifiers, drbg.u32());
    this.#reconnection = new Reconnection(config.reconnect, () => drbg.unit());
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  get watchdog(): WatchdogStatus {
    return this.#watchdog.status;
  }

  /** The open connection, whether trusted or not. */
  get connection(): ConnectionId | undefined {
    return openOf(this.#state)?.connection;
  }

  /** Whether requests should go to this peer (RFC 3539 3.4.1). */
  get trusted(): boolean {
    return this.connection !== undefined && this.#watchdog.status === 'OKAY';
  }

  /** The capabilities of the peer while it is open. */
  get capabilities(): PeerCapabilities | undefined {
    return openOf(this.#state)?.peer;
  }

  get deadline(): number | undefined {
    return deadlineOf(this.#state, this.#watchdog.deadline);
  }

  /** A Hop-by-Hop identifier for the connection (RFC 6733 3). */
  nextHopByHop(): number {
    return this.#own.nextHopByHop();
  }

  handle(input: PeerInput, now: number): PeerOutput[] {
    switch (input.type) {
      case 'start':
        this.#stopped = false;
        // Closed     Start                            | I-Snd-Conn-Req                   | Wait-Conn-Ack
        return this.#state.name === 'Closed' && this.#config.initiates ? this.#connect(now) : [];
      case 'stop':
        this.#stopped = true;
        return this.#stop(input.cause, now);
      case 'connected':
        return this.#connected(input.connection, input.address, now);
      case 'connectFailed':
        return this.#connectFailed(input.reason, now);
      case 'accepted':
        return this.#accepted(input, now);
      case 'message':
        return this.#message(input.connection, input.message, now);
      case 'disconnected':
        return this.#disconnected(input.connection, now);
      case 'tick':
        return this.#tick(now);
    }
  }

  // ------------------------------------------------------------------------------------------------ coming up

  #connect(now: number): PeerOutput[] {
    this.#reconnection.attempted();
    this.#state = { name: 'Wait-Conn-Ack', until: now + this.#config.timeout };
    return [{ type: 'connect' }];
  }

  #connected(initiated: ConnectionId, address: Uint8Array, now: number): PeerOutput[] {
    const state = this.#state;
    const until = now + this.#config.timeout;
    switch (state.name) {
      // Wait-Conn-Ack        I-Rcv-Conn-Ack         | I-Snd-CER                        | Wait-I-CEA
      case 'Wait-Conn-Ack': {
        const asked = this.#own.ask(initiated, this.#exchange.request(address));
        this.#state = { name: 'Wait-I-CEA', until, initiated, cer: asked.message.hopByHop };
        return [asked];
      }
      // Wait-Conn-Ack/Elect  I-Rcv-Conn-Ack         | I-Snd-CER, Elect                 | Wait-Returns
      case 'Wait-Conn-Ack/Elect': {
        const asked = this.#own.ask(initiated, this.#exchange.request(address));
        const { responded } = state;
        this.#state = { name: 'Wait-Returns', until, initiated, cer: asked.message.hopByHop, responded };
        return [asked, ...this.#elect(initiated, responded, now)];
      }
      default:
        return [{ type: 'disconnect', connection: initiated }];
    }
  }

  #connectFailed(reason: string, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // Wait-Conn-Ack        I-Rcv-Conn-Nack        | cleanup                          | Closed
      case 'Wait-Conn-Ack':
        return this.#close(reason, now);
      // Wait-Conn-Ack/Elect  I-Rcv-Conn-Nack        | R-Snd-CEA                        | R-Open
      case 'Wait-Conn-Ack/Elect':
        return this.#openResponder(state.responded, now);
      default:
        return [];
    }
  }

  #accepted(input: Extract<PeerInput, { type: 'accepted' }>, now: number): PeerOutput[] {
    const { connection, cer, address } = input;
    if (this.#stopped) return this.#reject(connection, 'stopped');
    const peer = this.#exchange.readRequest(cer, this.#config.host);
    if (isViolation(peer)) return this.#refuse(connection, cer, peer);
    const responded: Introduced = { connection, cer, address, peer };
    const until = now + this.#config.timeout;
    const state = this.#state;
    switch (state.name) {
      // Closed         R-Conn-CER                   | R-Accept, process CER, R-Snd-CEA | R-Open
      case 'Closed':
        return this.#openResponder(responded, now);
      // Wait-Conn-Ack  R-Conn-CER                   | R-Accept, process CER            | Wait-Conn-Ack/Elect
      case 'Wait-Conn-Ack':
        this.#state = { name: 'Wait-Conn-Ack/Elect', until, responded };
        return [];
      // Wait-I-CEA     R-Conn-CER                   | R-Accept, process CER, Elect     | Wait-Returns
      case 'Wait-I-CEA':
        this.#state = { name: 'Wait-Returns', until, initiated: state.initiated, cer: state.cer, responded };
        return this.#elect(state.initiated, responded, now);
      case 'I-Open':
      case 'R-Open':
        if (!state.contender && hasRestarted(state.peer, peer)) return this.#contend(state, responded, now);
        return this.#reject(connection, 'already connected');
      // Wait-Conn-Ack/Elect, Wait-Returns, Open  R-Conn-CER | R-Reject                | same
      default:
        return this.#reject(connection, 'already connected');
    }
  }

  /**
   * Not RFC: a peer that reconnects with a greater Origin-State-Id (RFC 6733 8.16) may have lost the old connection.
   * Rejecting it would keep it out until the watchdog detects that. The claim alone does not close the old connection:
   * the new one waits for its CEA until the old one is closed or has not answered a DWR.
   */
  #contend(state: Open<'I-Open'> | Open<'R-Open'>, responded: Introduced, now: number): PeerOutput[] {
    const asked = this.#probe(state.connection);
    const contender = { responded, probe: asked.message.hopByHop, until: now + RESTART_PROBE };
    this.#state = { ...state, contender };
    return [asked];
  }

  /** Closes the dead open connection. A new connection that waits replaces it. */
  #lost(reason: string, outputs: readonly PeerOutput[], now: number): PeerOutput[] {
    const state = this.#state;
    const waiting = 'contender' in state ? state.contender?.responded : undefined;
    return [...outputs, ...this.#close(reason, now), ...(waiting ? this.#openResponder(waiting, now) : [])];
  }

  /** Rejects a new connection that waits, because the open one is alive or is being closed by DPR. */
  #dismiss(): PeerOutput[] {
    const state = this.#state;
    if ((state.name !== 'I-Open' && state.name !== 'R-Open') || !state.contender) return [];
    this.#state = { ...state, contender: undefined };
    return this.#reject(state.contender.responded.connection, 'another connection of this peer is open');
  }

  /**
   * RFC 6733 5.6.4: the node with the lexically greater Origin-Host keeps the connection that the other one initiated.
   */
  #elect(initiated: ConnectionId, responded: Introduced, now: number): PeerOutput[] {
    if (this.#config.local.origin.host.toLowerCase() <= responded.peer.host.toLowerCase()) return [];
    // Wait-Returns   Win-Election                   | I-Disc, R-Snd-CEA                | R-Open
    return [{ type: 'disconnect', connection: initiated }, ...this.#openResponder(responded, now)];
  }

  #openResponder({ connection, cer, address, peer }: Introduced, now: number): PeerOutput[] {
    const message = this.#exchange.answer(cer, address);
    return [{ type: 'send', connection, message }, ...this.#opened('R-Open', connection, peer, now)];
  }

  #opened(name: 'I-Open' | 'R-Open', connection: ConnectionId, peer: PeerCapabilities, now: number): PeerOutput[] {
    this.#state = { name, connection, peer, contender: undefined };
    this.#reconnection.opened();
    this.#own.forgetProbes();
    return [{ type: 'open', connection, peer }, ...this.#watched('up', connection, now)];
  }

  #reject(connection: ConnectionId, reason: string): PeerOutput[] {
    return [
      { type: 'disconnect', connection },
      { type: 'rejected', reason },
    ];
  }

  #refuse(connection: ConnectionId, cer: DiameterMessage, violation: Violation): PeerOutput[] {
    const message = this.#exchange.refusal(cer, violation);
    return [{ type: 'send', connection, message }, ...this.#reject(connection, `CER: ${violation.text}`)];
  }

  // ------------------------------------------------------------------------------------------------ messages

  #message(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      case 'I-Open':
      case 'R-Open':
        return connection === state.connection ? this.#inOpen(connection, message, now) : unexpected();
      case 'Closing':
        return connection === state.connection ? this.#inClosing(state, message, now) : unexpected();
      case 'Wait-I-CEA':
      case 'Wait-Returns':
        return connection === state.initiated ? this.#inWaitForCea(message, now) : unexpected();
      default:
        return unexpected();
    }
  }

  #inWaitForCea(message: DiameterMessage, now: number): PeerOutput[] {
    const state = this.#state;
    if (state.name !== 'Wait-I-CEA' && state.name !== 'Wait-Returns') return [];
    // RFC 6733 3: the answer must have the Hop-by-Hop Identifier of the CER.
    if (isBase(message, CEA) && message.hopByHop !== state.cer) return unexpected();
    // Wait-I-CEA     I-Rcv-Non-CEA                  | error                            | Closed
    if (!isBase(message, CEA)) return this.#fail(`no CEA but command ${message.commandCode}`, now);
    // Wait-I-CEA     I-Rcv-CEA                      | process CEA                      | I-Open
    // Wait-Returns   I-Rcv-CEA                      | R-Disc                           | I-Open
    const peer = this.#exchange.readAnswer(message, this.#config.host);
    if (isViolation(peer)) return this.#fail(`CEA: ${peer.text}`, now);
    const other: PeerOutput[] =
      state.name === 'Wait-Returns' ? [{ type: 'disconnect', connection: state.responded.connection }] : [];
    return [...other, ...this.#opened('I-Open', state.initiated, peer, now)];
  }

  // I-Open, R-Open  Rcv-Message                     | process                          | same
  // I-Open, R-Open  Rcv-DWR                         | process DWR, Snd-DWA             | same
  // I-Open, R-Open  Rcv-DWA                         | process DWA                      | same
  // I-Open, R-Open  Rcv-DPR                         | Snd-DPA                          | Closing
  #inOpen(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    if (isBase(message, DWA)) return this.#inOpenDwa(connection, message, now);
    const watched = this.#watched('message', connection, now);
    if (isBase(message, DWR)) return [...watched, { type: 'send', connection, message: this.#base.dwa(message) }];
    if (isBase(message, DPR)) {
      const cause = this.#grammarian.find(message.avps, 'Disconnect-Cause') ?? DISCONNECT_CAUSE.REBOOTING;
      const unwanted = cause !== DISCONNECT_CAUSE.REBOOTING;
      const dismissed = this.#dismiss();
      this.#state = { name: 'Closing', until: now + this.#config.timeout, connection, dpr: undefined, unwanted };
      return [...watched, ...dismissed, { type: 'send', connection, message: this.#base.dpa(message) }];
    }
    if (isBase(message, CER) || isBase(message, CEA) || isBase(message, DPA)) return [...watched, ...unexpected()];
    // Not RFC: requests are also served in REOPEN, where RFC 3539 discards everything except DWA. The peer sent the
    // request because it trusts the connection.
    watched.push({ type: 'deliver', connection, message });
    return watched;
  }

  #inOpenDwa(connection: ConnectionId, message: DiameterMessage, now: number): PeerOutput[] {
    if (!this.#own.probed(message)) return unexpected();
    const state = this.#state;
    const lives = 'contender' in state && state.contender?.probe === message.hopByHop;
    return [...(lives ? this.#dismiss() : []), ...this.#watched('dwa', connection, now)];
  }

  #inClosing(state: Extract<State, { name: 'Closing' }>, message: DiameterMessage, now: number): PeerOutput[] {
    const { connection, unwanted } = state;
    // Closing         Rcv-DPA                       | Disc                             | Closed
    if (isBase(message, DPA)) {
      if (message.hopByHop !== state.dpr) return unexpected();
      return [{ type: 'disconnect', connection }, ...this.#closeInOrder('disconnected', unwanted, now)];
    }
    // Both sent DPR at the same time: RFC 6733 has no row for this, but the DPR must be answered.
    if (isBase(message, DPR)) return [{ type: 'send', connection, message: this.#base.dpa(message) }];
    // Answers to earlier requests are still delivered.
    if ((message.flags & FLAG.R) === 0 && message.applicationId !== APPLICATION.COMMON) {
      return [{ type: 'deliver', connection, message }];
    }
    return unexpected();
  }

  // ------------------------------------------------------------------------------------------------ going down

  #disconnected(connection: ConnectionId, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // Wait-I-CEA           I-Peer-Disc            | I-Disc                           | Closed
      case 'Wait-I-CEA':
        return connection === state.initiated ? this.#close('closed before its CEA', now) : [];
      // Wait-Conn-Ack/Elect  R-Peer-Disc            | R-Disc                           | Wait-Conn-Ack
      case 'Wait-Conn-Ack/Elect':
        if (connection === state.responded.connection) this.#state = { name: 'Wait-Conn-Ack', until: state.until };
        return [];
      // Wait-Returns         I-Peer-Disc            | I-Disc, R-Snd-CEA                | R-Open
      // Wait-Returns         R-Peer-Disc            | R-Disc                           | Wait-I-CEA
      case 'Wait-Returns':
        if (connection === state.initiated) return this.#openResponder(state.responded, now);
        if (connection === state.responded.connection) {
          this.#state = { name: 'Wait-I-CEA', until: state.until, initiated: state.initiated, cer: state.cer };
        }
        return [];
      // I-Open, R-Open       Peer-Disc              | Disc                             | Closed
      case 'I-Open':
      case 'R-Open':
        if (connection === state.contender?.responded.connection) {
          this.#state = { ...state, contender: undefined };
          return [];
        }
        if (connection !== state.connection) return [];
        return this.#lost('connection lost', this.#watched('down', connection, now), now);
      // Closing              Peer-Disc              | Disc                             | Closed
      case 'Closing':
        return connection === state.connection ? this.#closeInOrder('disconnected', state.unwanted, now) : [];
      default:
        return [];
    }
  }

  #tick(now: number): PeerOutput[] {
    const state = this.#state;
    if (state.name === 'Closed') {
      return state.retryAt !== undefined && now >= state.retryAt ? this.#connect(now) : [];
    }
    if (state.name === 'I-Open' || state.name === 'R-Open') {
      const { connection, contender } = state;
      if (contender && now >= contender.until) {
        const dead: PeerOutput[] = [{ type: 'disconnect', connection }, ...this.#watched('down', connection, now)];
        return this.#lost('the peer has restarted', dead, now);
      }
      return this.#watched('timeout', connection, now);
    }
    // Wait-…, Closing      Timeout                  | error                            | Closed
    return now >= state.until ? this.#fail(`timeout in ${state.name}`, now) : [];
  }

  #stop(cause: number, now: number): PeerOutput[] {
    const state = this.#state;
    switch (state.name) {
      // I-Open, R-Open       Stop                   | Snd-DPR                          | Closing
      case 'I-Open':
      case 'R-Open': {
        const { connection } = state;
        const dismissed = this.#dismiss();
        const asked = this.#own.ask(connection, this.#base.dpr(cause));
        const { hopByHop: dpr } = asked.message;
        this.#state = { name: 'Closing', until: now + this.#config.timeout, connection, dpr, unwanted: false };
        return [...dismissed, asked];
      }
      case 'Closed':
        this.#state = { name: 'Closed', retryAt: undefined };
        return [];
      case 'Closing':
        return [];
      default:
        return this.#fail('stopped', now);
    }
  }

  /** Closes all connections. */
  #fail(reason: string, now: number): PeerOutput[] {
    const state = this.#state;
    const closed =
      state.name === 'Closing' ? this.#closeInOrder(reason, state.unwanted, now) : this.#close(reason, now);
    return [...endingOf(state), ...closed];
  }

  #closeInOrder(reason: string, unwanted: boolean, now: number): PeerOutput[] {
    this.#watchdog.handle('reset', now);
    return this.#close(reason, now, unwanted);
  }

  #close(reason: string, now: number, unwanted = false): PeerOutput[] {
    const retries = this.#config.initiates && !this.#stopped;
    this.#state = { name: 'Closed', retryAt: retries ? now + this.#reconnection.wait(unwanted) : undefined };
    return [{ type: 'closed', reason }];
  }

  // ------------------------------------------------------------------------------------------------ watchdog

  /** Passes an input to the watchdog and performs its actions. */
  #watched(input: WatchdogInput, connection: ConnectionId, now: number): PeerOutput[] {
    const actions = this.#watchdog.handle(input, now);
    return actions.length === 0 ? [] : actions.flatMap((action) => this.#guard(action, connection, now));
  }

  #guard(action: WatchdogAction, connection: ConnectionId, now: number): PeerOutput[] {
    switch (action) {
      case 'sendDwr':
        return [this.#probe(connection)];
      case 'close':
        return this.#lost('no answer to the watchdog', [{ type: 'disconnect', connection }], now);
      case 'failover':
      case 'failback':
        return [{ type: action }];
    }
  }

  // ------------------------------------------------------------------------------------------------ writing

  #probe(connection: ConnectionId): Sent {
    return this.#own.probe(connection, this.#base.dwr());
  }
}

function unexpected(): PeerOutput[] {
  return [{ type: 'dropped', code: 'unexpected-message' }];
}
