import type { ApplicationOutput } from '../protocol/diameter/node/application.js';
import type { DiameterMessage } from '../protocol/diameter/wire/codec.js';
import { APPLICATION, commandOf } from '../protocol/diameter/wire/commands.js';
import { Dictionary } from '../protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Violation } from '../protocol/diameter/wire/grammar.js';
import { resultName } from '../protocol/diameter/wire/result-codes.js';
import type { Demand, DemandOutcome, HomeAnswer, Token } from '../protocol/home/alphabet.js';
import { DiameterAccess } from '../protocol/home/diameter/access.js';
import type { Session } from '../protocol/home/records.js';
import { type DiameterEvent, DiameterNode, type DiameterSurroundings } from '../runtime/diameter/node.js';
import { listenOptions, peerOptions } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Inbox } from '../runtime/system/inbox.js';
import type { AaaOptions } from './config/options.js';
import type { NasPort, NasPortInput, NasPortOutput } from './nas-port.js';

export interface DiameterServerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly surroundings: DiameterSurroundings;
  readonly originState: number;
  readonly guard: Guard;
  /** TLS transport for Diameter. Undefined: no TLS. */
  readonly tls: TlsTransport | undefined;
  readonly report: (event: DiameterEvent, grammarian: Grammarian) => void;
  /** Receives the requests of NASs and their answers. */
  readonly feed: (input: NasPortInput) => void;
}

interface SentDemand {
  readonly demand: Demand;
  readonly session: Session;
}

/** The Diameter EAP application (RFC 4072): translates between the messages of NASs and the home machine. */
export class DiameterServer implements NasPort {
  readonly node: DiameterNode;
  readonly #parts: DiameterServerParts;
  readonly #timeout: number;
  readonly #access: DiameterAccess;
  /** Unanswered requests. */
  readonly #requests = new Map<Token, DiameterMessage>();
  /** Unanswered demands. */
  readonly #demands = new Map<Token, SentDemand>();

  constructor({ diameter }: Pick<AaaOptions, 'diameter'>, parts: DiameterServerParts) {
    this.#parts = parts;
    this.#timeout = diameter.timeout;
    const { originState, tls, guard, report, feed } = parts;
    const { host, transport } = parts.surroundings;
    const origin = { host: diameter.host, realm: diameter.realm };
    const grammarian = new Grammarian(new Dictionary(diameter['vendor-id']));
    this.#access = new DiameterAccess(grammarian, {
      origin,
      originStateId: originState,
      sharedStore: diameter['shared-store'],
    });
    const outputs = new Inbox<ApplicationOutput>();
    this.node = new DiameterNode({
      origin,
      productName: 'pana-aaa',
      vendorId: 0,
      originStateId: originState,
      ownVendor: diameter['vendor-id'],
      applications: [APPLICATION.EAP],
      realms: diameter.realms,
      listen: listenOptions(diameter, tls),
      peers: peerOptions(diameter.peers, tls),
      watchdog: diameter.watchdog,
      reconnect: diameter.reconnect,
      timeout: diameter.timeout,
      perform: (output) => outputs.put(output),
      guard,
      host,
      transport,
      onEvent: (event) => {
        report(event, grammarian);
        if (event.type !== 'peerOpen') return;
        const { host: peer, originStateId } = event.capabilities;
        feed({ type: 'peerOpen', origin: peer, originState: originStateId });
      },
    });
    outputs.open((output) => this.#received(output));
  }

  perform(output: NasPortOutput): void {
    switch (output.type) {
      case 'answer':
        this.#answer(output.token, output.answer);
        break;
      case 'sendDemand': {
        const { token, demand, session } = output;
        this.#demands.set(token, { demand, session });
        const message = this.#access.demand(demand, session);
        this.node.feed({ type: 'request', token, message, target: {}, timeout: this.#timeout });
        break;
      }
      case 'forgetKeys':
      case 'forgetKeysOf':
        this.node.feed(output);
    }
  }

  failed(output: NasPortOutput): void {
    if (output.type === 'answer') this.node.feed({ type: 'unserved', token: output.token });
    if (output.type === 'sendDemand') {
      this.#demands.delete(output.token);
      const outcome = { failure: 'internal error' };
      this.#parts.feed({ type: 'demandAnswered', token: output.token, outcome });
    }
  }

  #answer(token: Token, answer: HomeAnswer): void {
    const request = this.#requests.get(token);
    this.#requests.delete(token);
    if (!request) return;
    const written = this.#access.write(request, answer);
    const message = isViolation(written) ? this.#refuse(request, written) : written;
    this.node.feed({ type: 'answer', token, message });
  }

  #refuse(request: DiameterMessage, violation: Violation): DiameterMessage {
    const { resultCode, text: reason } = violation;
    this.#parts.metrics.count('refused_requests', { code: resultName(resultCode) });
    const message = commandOf(request.commandCode, true)?.name ?? `command ${request.commandCode}`;
    this.#parts.log.debug({ message, resultCode: resultName(resultCode), reason }, 'request rejected');
    return this.#access.refuse(request, violation);
  }

  #received(output: ApplicationOutput): void {
    switch (output.type) {
      case 'serve':
        this.#serve(output.token, output.peer, output.message);
        break;
      case 'answered':
        this.#demandAnswered(output.token, ({ session }) => this.#access.demandOutcome(output.message, session));
        break;
      case 'failed':
        this.#demandAnswered(output.token, () => ({ failure: output.text }));
    }
  }

  #serve(token: Token, peer: string, message: DiameterMessage): void {
    const read = this.#access.read(message, peer);
    if (isViolation(read)) {
      this.node.feed({ type: 'answer', token, message: this.#refuse(message, read) });
      return;
    }
    this.#requests.set(token, message);
    if (read.type === 'termination') {
      this.#parts.feed({ ...read, token });
      return;
    }
    const own = this.node.capabilitiesOf(read.request.origin);
    const connected = own && { originState: own.originStateId };
    this.#parts.feed({ type: 'request', token, request: { ...read.request, connected } });
  }

  #demandAnswered(token: Token, read: (sent: SentDemand) => DemandOutcome): void {
    const sent = this.#demands.get(token);
    if (!sent) return;
    this.#demands.delete(token);
    const outcome = read(sent);
    const { demand, session } = sent;
    if ('result' in outcome) {
      const fields = {
        message: demand === 'disconnect' ? 'ASR' : 'RAR',
        session: session.sessionId,
        nai: session.nai,
        peer: session.origin,
        resultCode: outcome.result,
      };
      this.#parts.log.info(fields, 'request answered');
    }
    this.#parts.feed({ type: 'demandAnswered', token, outcome });
  }
}
