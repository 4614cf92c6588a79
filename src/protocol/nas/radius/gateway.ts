import { earliest } from '../../bytes/deadline-queue.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { Drbg } from '../../bytes/drbg.js';
import type { Token } from '../../diameter/node/application.js';
import { answerTo, type Origin } from '../../diameter/wire/answers.js';
import type { DiameterMessage } from '../../diameter/wire/codec.js';
import { APPLICATION, ASR, DEA, DER, RAR, STA, STR } from '../../diameter/wire/commands.js';
import {
  AUTH_REQUEST_TYPE,
  Dictionary,
  RE_AUTH_REQUEST_TYPE,
  SESSION_BINDING,
  SESSION_SERVER_FAILOVER,
} from '../../diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Message } from '../../diameter/wire/grammar.js';
import { isSuccess, RESULT } from '../../diameter/wire/result-codes.js';
import type { ClientEvent, ClientOutput, EndpointStatus } from '../../radius/client/alphabet.js';
import { RadiusClient } from '../../radius/client/client.js';
import { attribute } from '../../radius/wire/attributes.js';
import { ERROR_CAUSE } from '../../radius/wire/dictionary.js';
import { accessAttributes, readAccessAnswer } from './access.js';
import { Accounting, type AccountingRecord, MAX_ASKED, type RadiusSession } from './accounting.js';
import type { GatewayConfig, GatewayEvent, GatewayInput, GatewayOutput } from './alphabet.js';
import { DynamicAuthorization, type DynamicRequest } from './dynamic.js';

/** Origin-Realm of the answers. RADIUS has no realms of servers. */
const REALM = 'radius';

/** What waits for the RADIUS client. */
type Asked =
  | {
      readonly type: 'access';
      readonly token: Token;
      readonly message: DiameterMessage;
      readonly der: Message<typeof DER>;
    }
  | { readonly type: 'accounting'; readonly record: AccountingRecord };

/** A request of a server that the NAS has not answered yet. */
interface Serving {
  readonly request: DynamicRequest;
  readonly sessionId: string;
  readonly isAuthorizeOnly: boolean;
}

/**
 * Stands between a NAS and RADIUS servers as a Diameter node stands between it and Diameter servers: an Access-Request for
 * each DER, a DEA for each answer (RFC 4072 6), Accounting-Requests for sessions, and ASR and RAR for the requests of
 * RFC 5176.
 */
export class RadiusGateway {
  readonly #origin: Origin;
  #config: GatewayConfig;
  readonly #grammarian: Grammarian;
  readonly #client: RadiusClient;
  readonly #accounting: Accounting;
  readonly #dynamic = new DynamicAuthorization();
  readonly #sessions = new Map<string, RadiusSession>();
  readonly #asked = new Map<number, Asked>();
  #records = 0;
  readonly #serving = new Map<Token, Serving>();
  #lastToken = 0;
  /** When to give up what is in flight; undefined: running. */
  #until: number | undefined;
  #isStopped = false;

  /** `origin`: of the NAS. `seed`: 32 octets. */
  constructor(origin: Origin, config: GatewayConfig, seed: Uint8Array, now: number) {
    this.#origin = origin;
    this.#config = config;
    this.#grammarian = new Grammarian(new Dictionary(config.ownVendor));
    this.#client = new RadiusClient(config.client, new Drbg(seed), now);
    this.#accounting = new Accounting(() => this.#config.client.identity);
  }

  get deadline(): number | undefined {
    if (this.#isStopped) return undefined;
    return earliest([this.#client.deadline, this.#accounting.deadline, this.#until]);
  }

  status(): EndpointStatus[] {
    return this.#client.status();
  }

  /** Number of sessions that servers have granted, and of Accounting-Requests that wait or are in flight. */
  get sizes(): { readonly sessions: number; readonly records: number } {
    return { sessions: this.#sessions.size, records: this.#records + this.#accounting.waiting };
  }

  /** `wall`: milliseconds since 1970, UTC. */
  handle(input: GatewayInput, now: number, wall: number): GatewayOutput[] {
    if (this.#isStopped) return input.type === 'request' ? [failed(input.token, 'the daemon is stopping')] : [];
    const out = this.#take(input, now, wall);
    this.#pump(out, now);
    if (this.#until === undefined || (this.#asked.size > 0 && now < this.#until)) return out;
    this.#isStopped = true;
    this.#end(out);
    return out;
  }

  #take(input: GatewayInput, now: number, wall: number): GatewayOutput[] {
    switch (input.type) {
      case 'request':
        return this.#request(input, now, wall);
      case 'datagram':
      case 'disconnected':
        return this.#relay(this.#client.handle(input, now), now);
      case 'tick':
        return [
          ...this.#lost(this.#accounting.tick(this.#config.interimInterval, now, wall), 'too many records wait'),
          ...this.#relay(this.#client.handle(input, now), now),
        ];
      case 'configure':
        this.#config = input.config;
        return this.#relay(this.#client.handle({ type: 'configure', config: input.config.client }, now), now);
      case 'start':
        for (const { name } of this.#accounted) this.#accounting.on(name, wall);
        return [];
      case 'started': {
        const session = this.#sessions.get(input.sessionId);
        if (!session || this.#accounted.length === 0) return [];
        const isKept = this.#accounting.start(session, this.#config.interimInterval, now, wall);
        return this.#lost(isKept ? 0 : 1, 'too many records wait');
      }
      case 'dynamic':
        return this.#requested(input, now, wall);
      case 'answer':
        return this.#answered(input.token, this.#grammarian.find(input.message.avps, 'Result-Code') ?? 0);
      case 'unserved':
        return this.#answered(input.token, RESULT.UNABLE_TO_COMPLY);
      case 'stop':
        this.#until = now + input.timeout;
        return [];
      case 'forgetKeys':
      case 'forgetKeysOf':
        return [];
    }
  }

  // ------------------------------------------------------------------------------------------------- requests of the NAS

  #request(input: Extract<GatewayInput, { type: 'request' }>, now: number, wall: number): GatewayOutput[] {
    const { token, message } = input;
    if (message.commandCode === STR.code) return this.#terminated(token, message, now, wall);
    const der = this.#grammarian.read(DER, message);
    if (isViolation(der)) return [failed(token, der.text)];
    const session = this.#sessions.get(der['Session-Id']);
    const only = der['Destination-Host'];
    const first = session?.server;
    // RFC 2865 5.24: the State for the next authentication means something to its server only.
    const state = only === undefined && der.State === undefined ? session?.terms.state : undefined;
    const firstOnly = state ? attribute('State', state) : [];
    const { portType, ownVendor, client } = this.#config;
    const about = { identity: client.identity, portType, ownVendor };
    let attributes: ReturnType<typeof accessAttributes>;
    try {
      attributes = accessAttributes(der, about);
    } catch (error) {
      if (error instanceof RangeError) return [failed(token, error.message)];
      throw error;
    }
    const asked = this.#ask({ type: 'access', token, message, der });
    return this.#relay(
      this.#client.handle(
        { type: 'request', token: asked, service: 'authentication', attributes, only, first, firstOnly },
        now,
      ),
      now,
    );
  }

  /** An STR ends the accounting of its session. It is answered at once, because RADIUS servers keep no other state. */
  #terminated(token: Token, message: DiameterMessage, now: number, wall: number): GatewayOutput[] {
    const id = this.#grammarian.find(message.avps, 'Session-Id') ?? '';
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    const avps = this.#grammarian.write(STA, {
      'Session-Id': id,
      'Result-Code': RESULT.SUCCESS,
      'Origin-Host': session?.server ?? REALM,
      'Origin-Realm': REALM,
    });
    const out: GatewayOutput[] = [{ type: 'answered', token, message: answerTo(message, avps) }];
    if (!session || this.#accounted.length === 0) return out;
    const cause = this.#grammarian.find(message.avps, 'Termination-Cause') ?? 0;
    const isKept = this.#accounting.stop(session, cause, now, wall);
    return [...out, ...this.#lost(isKept ? 0 : 1, 'too many records wait')];
  }

  #ask(asked: Asked): number {
    this.#lastToken += 1;
    this.#asked.set(this.#lastToken, asked);
    return this.#lastToken;
  }

  /** Passes on the outputs of the client. */
  #relay(outputs: readonly ClientOutput[], now: number): GatewayOutput[] {
    return outputs.flatMap((output): GatewayOutput[] => {
      if (output.type === 'send') return [output];
      if (output.type === 'event') return [{ type: 'event', event: this.#named(output.event) }];
      const asked = this.#asked.get(output.token);
      this.#asked.delete(output.token);
      if (!asked) return [];
      if (asked.type === 'access') {
        return output.type === 'failed' ? [failed(asked.token, output.reason)] : this.#decided(asked, output);
      }
      this.#records -= 1;
      if (output.type === 'answered' || this.#accounting.failed(asked.record, now)) return [];
      return this.#lost(1, output.reason);
    });
  }

  /** The event of the client, with the session of a packet. */
  #named(event: ClientEvent): GatewayEvent {
    if (event.type !== 'packet') return event;
    const { token, ...packet } = event;
    const asked = token === undefined ? undefined : this.#asked.get(token);
    const sessionId = asked?.type === 'access' ? asked.der['Session-Id'] : asked?.record.sessionId;
    return { ...packet, sessionId };
  }

  #decided(
    { token, message, der }: Extract<Asked, { type: 'access' }>,
    { server, packet, requestAuthenticator, secret }: Extract<ClientOutput, { type: 'answered' }>,
  ): GatewayOutput[] {
    let answer: ReturnType<typeof readAccessAnswer>;
    try {
      answer = readAccessAnswer(packet, { secret, requestAuthenticator }, this.#config.ownVendor);
    } catch (error) {
      if (error instanceof DecodeError) return [failed(token, `${server}: ${error.message}`)];
      throw error;
    }
    const { content, terms } = answer;
    const id = der['Session-Id'];
    if (terms && isSuccess(content['Result-Code'])) {
      const known = this.#sessions.get(id);
      const askedName = der['User-Name'];
      const userName = terms.userName ?? askedName;
      if (known) Object.assign(known, { server, userName, askedName, terms });
      else {
        const calling = der['Calling-Station-Id'];
        this.#sessions.set(id, { id, server, calling, userName, askedName, terms, startedAt: undefined });
      }
    }
    const avps = this.#grammarian.write(DEA, {
      'Session-Id': id,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': AUTH_REQUEST_TYPE.AUTHORIZE_AUTHENTICATE,
      'Origin-Host': server,
      'Origin-Realm': REALM,
      // Another server may authenticate the client again; only this one controls the session.
      'Session-Binding': SESSION_BINDING.RE_AUTH,
      'Session-Server-Failover': SESSION_SERVER_FAILOVER.TRY_AGAIN,
      ...content,
    });
    return [{ type: 'answered', token, message: answerTo(message, avps) }];
  }

  // ---------------------------------------------------------------------------------------------------------- accounting

  get #accounted() {
    return this.#config.client.servers.filter(({ accounting }) => accounting);
  }

  /** Sends Accounting-Requests that wait. */
  #pump(out: GatewayOutput[], now: number): void {
    while (this.#records < MAX_ASKED) {
      const record = this.#accounting.next();
      if (!record) return;
      this.#records += 1;
      const token = this.#ask({ type: 'accounting', record });
      const { attributes, first, only } = record;
      out.push(
        ...this.#relay(
          this.#client.handle({ type: 'request', token, service: 'accounting', attributes, first, only }, now),
          now,
        ),
      );
    }
  }

  #lost(records: number, reason: string): GatewayOutput[] {
    return records === 0 ? [] : [{ type: 'event', event: { type: 'accountingLost', records, reason } }];
  }

  #end(out: GatewayOutput[]): void {
    for (const asked of this.#asked.values()) {
      if (asked.type === 'access') out.push(failed(asked.token, 'the daemon is stopping'));
    }
    out.push(...this.#lost(this.#records + this.#accounting.giveUp(), 'the daemon is stopping'));
    this.#asked.clear();
    out.push({ type: 'stopped' });
  }

  // ------------------------------------------------------------------------------------------------- requests of servers

  #requested(input: Extract<GatewayInput, { type: 'dynamic' }>, now: number, wall: number): GatewayOutput[] {
    const { octets, from } = input;
    const servers = this.#config.client.servers.filter(({ name }) => input.servers.includes(name));
    const result = this.#dynamic.read(octets, from, servers, this.#sessions.values(), now, wall);
    switch (result.type) {
      case 'dropped':
        return [{ type: 'event', event: { type: 'dynamicDropped', address: from.address, code: result.code } }];
      case 'repeated':
        return [{ type: 'reply', octets: result.octets, to: from }];
      case 'refused':
        return [
          dynamicPacket(result.request, 'in', undefined),
          ...this.#reply(result.request, undefined, result.errorCause),
        ];
      case 'wish': {
        const { request, wish, session, isAuthorizeOnly } = result;
        this.#lastToken += 1;
        const token = this.#lastToken;
        this.#serving.set(token, { request, sessionId: session.id, isAuthorizeOnly });
        const message = this.#messageFor(wish, session);
        return [dynamicPacket(request, 'in', session.id), { type: 'serve', token, peer: session.server, message }];
      }
    }
  }

  #messageFor(wish: 'abort' | 'reauthenticate', { id, server }: RadiusSession): DiameterMessage {
    const common = {
      'Session-Id': id,
      'Origin-Host': server,
      'Origin-Realm': REALM,
      'Destination-Realm': this.#origin.realm,
      'Destination-Host': this.#origin.host,
      'Auth-Application-Id': APPLICATION.EAP,
    };
    if (wish === 'abort') return this.#grammarian.message(ASR, APPLICATION.EAP, common);
    const type = RE_AUTH_REQUEST_TYPE.AUTHORIZE_AUTHENTICATE;
    return this.#grammarian.message(RAR, APPLICATION.EAP, { ...common, 'Re-Auth-Request-Type': type });
  }

  #answered(token: Token, resultCode: number): GatewayOutput[] {
    const serving = this.#serving.get(token);
    if (!serving) return [];
    this.#serving.delete(token);
    const { request, sessionId, isAuthorizeOnly } = serving;
    let errorCause: number | undefined;
    if (!isSuccess(resultCode)) errorCause = ERROR_CAUSE['Session-Context-Not-Found'];
    else if (isAuthorizeOnly) errorCause = ERROR_CAUSE['Request-Initiated'];
    return this.#reply(request, sessionId, errorCause);
  }

  #reply(request: DynamicRequest, sessionId: string | undefined, errorCause: number | undefined): GatewayOutput[] {
    const { server, packet, from } = request;
    const event = { type: 'dynamic', server: server.name, code: packet.code, sessionId, errorCause } as const;
    const octets = this.#dynamic.answer(request, errorCause);
    return [
      dynamicPacket(request, 'out', sessionId, octets[0]),
      { type: 'reply', octets, to: from },
      { type: 'event', event },
    ];
  }
}

/** A packet of a request of a server, or of its answer. */
function dynamicPacket(
  { server, packet }: DynamicRequest,
  direction: 'in' | 'out',
  sessionId: string | undefined,
  code = packet.code,
): GatewayOutput {
  return {
    type: 'event',
    event: { type: 'packet', direction, server: server.name, service: 'dynamic', code, sessionId },
  };
}

function failed(token: Token, text: string): GatewayOutput {
  return { type: 'failed', token, code: 'no-peer', text };
}
