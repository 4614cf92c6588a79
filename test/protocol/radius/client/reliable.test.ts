import { describe, expect, it } from 'vitest';
import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import type { ClientOutput, ServerStatus } from '../../../../src/protocol/radius/client/alphabet.js';
import { RadiusClient } from '../../../../src/protocol/radius/client/client.js';
import { encodeResponse } from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { RADSEC_SECRET } from '../../../../src/protocol/radius/wire/radsec.js';

type Sent = Extract<ClientOutput, { type: 'send' }>;

/** A client of servers with connections, and a clock that only the test moves. */
class Rig {
  now = 0;
  readonly client: RadiusClient;
  readonly sent: Sent[] = [];
  readonly ended: { readonly token: number; readonly type: 'answered' | 'failed'; readonly at: number }[] = [];
  readonly events: string[] = [];

  constructor(...names: readonly string[]) {
    const servers = names.map((name) => ({
      name,
      secret: RADSEC_SECRET,
      accounting: true,
      statusServer: true,
      isReliable: true,
    }));
    const config = { servers, watchdog: 30_000, requestTimeout: 30_000, identity: [] };
    this.client = new RadiusClient(config, new Drbg(new Uint8Array(32)), 0);
  }

  #take(outputs: readonly ClientOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'send') this.sent.push(output);
      else if (output.type === 'event') {
        if (output.event.type !== 'packet') this.events.push(output.event.type);
      } else this.ended.push({ token: output.token, type: output.type, at: this.now });
    }
  }

  request(token: number, only?: string): void {
    this.#take(
      this.client.handle({ type: 'request', token, service: 'authentication', attributes: [], only }, this.now),
    );
  }

  disconnect({ server, service, socket }: Pick<Sent, 'server' | 'service' | 'socket'>): void {
    this.#take(this.client.handle({ type: 'disconnected', server, service, socket }, this.now));
  }

  answer({ server, service, socket, octets: request }: Sent): void {
    const { identifier, authenticator } = decodeRadius(request);
    const octets = encodeResponse(
      { code: CODE['Access-Accept'], identifier, attributes: [] },
      authenticator,
      RADSEC_SECRET,
    );
    this.#take(this.client.handle({ type: 'datagram', server, service, socket, octets }, this.now));
  }

  /** Runs the timers up to this time. */
  until(time: number): void {
    for (let due = this.client.deadline; due !== undefined && due <= time; due = this.client.deadline) {
      this.now = Math.max(this.now, due);
      this.#take(this.client.handle({ type: 'tick' }, this.now));
    }
    this.now = time;
  }

  /** Answers Status-Server of all servers. */
  alive(): void {
    this.until(this.now);
    for (const sent of this.sent.splice(0)) this.answer(sent);
  }

  /** The state of each server's port for authentication. */

  /** Servers to which Access-Requests were sent. */
  get asked(): string[] {
    return this.sent.filter(({ octets }) => octets[0] === CODE['Access-Request']).map(({ server }) => server);
  }

  status(): ServerStatus[] {
    return this.client.status().flatMap(({ service, status }) => (service === 'authentication' ? [status] : []));
  }
}

const connection = (server: string) => ({ server, service: 'authentication', socket: 0 }) as const;

describe('A RADIUS client of servers with connections', () => {
  it('sends a request once, moves it to the next server after six seconds, and gives it up in time', () => {
    const rig = new Rig('a', 'b');
    rig.alive();
    rig.request(1);
    rig.until(5_000);
    expect(rig.asked).toEqual(['a']);
    rig.until(8_000);
    expect(rig.asked).toEqual(['a', 'b']);
    rig.until(60_000);
    expect(rig.asked).toEqual(['a', 'b']);
    expect(rig.ended).toEqual([{ token: 1, type: 'failed', at: 30_000 }]);
    expect(rig.events).not.toContain('retransmitted');
  });

  it('moves the requests of a closed connection at once', () => {
    const rig = new Rig('a', 'b');
    rig.alive();
    rig.request(1);
    rig.until(1_000);
    rig.disconnect(connection('a'));
    expect(rig.asked).toEqual(['a', 'b']);
    expect(rig.status()).toEqual(['SUSPECT', 'OKAY']);
    rig.answer(rig.sent.at(-1) as Sent);
    expect(rig.ended).toEqual([{ token: 1, type: 'answered', at: 1_000 }]);
  });

  it('moves a request whose server is not known to be there', () => {
    const rig = new Rig('a', 'b');
    rig.request(1);
    rig.disconnect(connection('a'));
    expect(rig.asked).toEqual(['a', 'b']);
  });

  it('sends a request that only one server can answer again on a new connection', () => {
    const rig = new Rig('a', 'b');
    rig.alive();
    rig.request(1, 'a');
    rig.disconnect(connection('a'));
    expect(rig.asked).toEqual(['a']);
    rig.until(3_000);
    expect(rig.asked).toEqual(['a', 'a']);
    const [first, again] = rig.sent.filter(({ octets }) => octets[0] === CODE['Access-Request']);
    expect(again?.octets).toEqual(first?.octets);
    rig.until(20_000);
    expect(rig.asked).toEqual(['a', 'a']);
  });

  it('takes Access-Accept as the answer to Status-Server of accounting, too', () => {
    const rig = new Rig('a');
    rig.alive();
    expect(rig.client.status().map(({ status }) => status)).toEqual(['OKAY', 'OKAY']);
  });

  it('does not suspect a server that closes an idle connection', () => {
    const rig = new Rig('a');
    rig.alive();
    rig.disconnect(connection('a'));
    expect(rig.status()).toEqual(['OKAY']);
    expect(rig.events).toEqual(['serverUp', 'serverUp']);
  });

  it('says that a server is down which accepts no connection', () => {
    const rig = new Rig('a');
    for (let tries = 0; tries < 3; tries += 1) {
      rig.until(tries * 6_000);
      for (const sent of rig.sent.splice(0)) rig.disconnect(sent);
    }
    expect(rig.status()).toEqual(['DOWN']);
    rig.request(1);
    expect(rig.ended).toEqual([{ token: 1, type: 'failed', at: 12_000 }]);
  });
});
