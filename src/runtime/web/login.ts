import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { BoundedMap } from '../../protocol/bytes/bounded-map.js';
import { addressPath } from '../../protocol/fairness/party-path.js';
import { Usage } from '../../protocol/fairness/usage.js';
import type { Host } from '../system/host.js';

/** How long a login lasts, and how long a browser is remembered that has logged in, in milliseconds. */
const LOGIN_LIFETIME = 12 * 3_600_000;
const KNOWN_LIFETIME = 180 * 86_400_000;

/** Recent failures of a known browser or an address, and of a network. The weight of each halves every HALF_LIFE. */
const MAX_FAILURES = 10;
const MAX_NETWORK_FAILURES = 50;

/** Logins that ended before their lifetime, which are remembered until its end. */
const MAX_ENDED = 10_000;

/** Octets of a random identifier in a cookie. */
const NONCE_OCTETS = 16;

/** Longest operator name in characters, and what it may contain. */
export const OPERATOR_NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,63}$/u;

export interface Login {
  /** Who logged in, as they called themselves. */
  readonly operator: string;
  readonly nonce: string;
  /** When it ends by itself, in milliseconds since 1970. */
  readonly until: number;
}

/** A login that an operator has ended, and when it would have ended by itself. */
export type EndedLogin = readonly [nonce: string, until: number];

export type LoginResult =
  | { readonly result: 'accepted'; readonly login: string; readonly known: string }
  | { readonly result: 'wrong' }
  /** Too many failures of this address; the token was not looked at. */
  | { readonly result: 'limited' };

/**
 * The logins of a web page. A login is a cookie that this class signs with a key derived from the token, so it survives a
 * restart of the daemon and ends when the token changes. Failures are limited for each address. A browser that has logged
 * in before has a limit of its own, so that others at its address (such as users of the same host) cannot lock it out.
 */
export class Logins {
  readonly #token: Buffer;
  readonly #key: Buffer;
  readonly #host: Host;
  readonly #failures = new Usage();
  readonly #ended = new BoundedMap<string, number>(MAX_ENDED);
  readonly #onEnded: (ended: readonly EndedLogin[]) => void;

  /** `ended`: logins that were ended before. `onEnded` is called with all of them after another one was. */
  constructor(
    token: string,
    host: Host,
    ended: readonly EndedLogin[] = [],
    onEnded: (ended: readonly EndedLogin[]) => void = () => undefined,
  ) {
    this.#token = digest(token);
    this.#key = createHmac('sha256', token).update('pana-mip6 web login').digest();
    this.#host = host;
    this.#onEnded = onEnded;
    for (const [nonce, until] of ended) this.#ended.set(nonce, until);
  }

  /** `known`: the cookie of an earlier login from this browser. `operator` must match OPERATOR_NAME. */
  login(token: string, operator: string, address: string, known: string | undefined): LoginResult {
    const now = this.#host.monotonic();
    const browser = known === undefined ? undefined : this.#verify('known', known);
    const party = browser ? ['known', browser.nonce] : addressPath(address);
    const isLimited =
      this.#failures.of(party, now) >= MAX_FAILURES ||
      (!browser && this.#failures.of(party.slice(0, 1), now) >= MAX_NETWORK_FAILURES);
    if (isLimited) return { result: 'limited' };
    if (!timingSafeEqual(digest(token), this.#token)) {
      this.#failures.add(party, 1, now);
      return { result: 'wrong' };
    }
    return {
      result: 'accepted',
      login: this.#sign('login', operator, LOGIN_LIFETIME),
      known: browser && known !== undefined ? known : this.#sign('known', operator, KNOWN_LIFETIME),
    };
  }

  /** The login of a cookie; undefined: it is not valid, or has ended. */
  check(cookie: string | undefined): Login | undefined {
    const login = cookie === undefined ? undefined : this.#verify('login', cookie);
    return login && !this.#ended.has(login.nonce) ? login : undefined;
  }

  end({ nonce, until }: Login): void {
    const now = this.#host.wall();
    for (const [old, itsEnd] of this.#ended) if (itsEnd <= now) this.#ended.delete(old);
    this.#ended.set(nonce, until);
    this.#onEnded([...this.#ended]);
  }

  #sign(use: 'login' | 'known', operator: string, lifetime: number): string {
    const nonce = Buffer.from(this.#host.random(NONCE_OCTETS)).toString('base64url');
    const until = Math.round(this.#host.wall() + lifetime);
    const content = `${until}.${nonce}.${Buffer.from(operator).toString('base64url')}`;
    return `${content}.${this.#mac(use, content).toString('base64url')}`;
  }

  #verify(use: 'login' | 'known', cookie: string): Login | undefined {
    const parts = /^(\d{1,16})\.([\w-]{22})\.([\w-]{1,400})\.([\w-]{43})$/.exec(cookie);
    if (!parts) return undefined;
    const [, until = '', nonce = '', operator = '', mac = ''] = parts;
    const right = this.#mac(use, `${until}.${nonce}.${operator}`);
    const given = Buffer.from(mac, 'base64url');
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    if (Number(until) <= this.#host.wall()) return undefined;
    return { operator: Buffer.from(operator, 'base64url').toString(), nonce, until: Number(until) };
  }

  #mac(use: 'login' | 'known', content: string): Buffer {
    return createHmac('sha256', this.#key).update(`${use} ${content}`).digest();
  }
}

/** Secrets are compared by their hashes, which have one length. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
