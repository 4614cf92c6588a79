import type { DEA } from '../diameter/wire/commands.js';
import type { Message } from '../diameter/wire/grammar.js';

/** The times of a DEA, in seconds. */
export type DeaLifetimes = Partial<
  Pick<Message<typeof DEA>, 'Session-Timeout' | 'Authorization-Lifetime' | 'Auth-Grace-Period'>
>;

const UNLIMITED = 0xffff_ffff;

/** The longest lifetime that PANA can announce, in seconds. 0xFFFFFFFF means unlimited. */
const MAX_LIFETIME = UNLIMITED - 1;

/**
 * Minimum time between two re-authentications in seconds, whatever the server requests. A value of 0 would cause a
 * loop.
 */
const MIN_AUTHORIZATION_LIFETIME = 10;

/**
 * The shortest lifetime that is announced to a client, in seconds. With one second, both ends would do nothing but
 * authenticate.
 */
const MIN_SESSION_LIFETIME = 5;

/**
 * Lifetimes of a PANA session in milliseconds. The smaller of Session-Timeout and Authorization-Lifetime plus
 * Auth-Grace-Period limits the session. An absent value, 0xFFFFFFFF, and a Session-Timeout of 0 mean no limit (RFC 6733
 * 8.9, 8.13). Authorization-Lifetime 0 means immediate re-authentication, which becomes MIN_AUTHORIZATION_LIFETIME.
 * `fallback` in milliseconds: the lifetime if the server sets no limit, because PANA has to announce one.
 */
export function sessionLifetimes(answer: DeaLifetimes, fallback: number) {
  const timeout = bounded(answer['Session-Timeout']) || undefined;
  const given = bounded(answer['Authorization-Lifetime']);
  const authorization = given === undefined ? undefined : Math.max(given, MIN_AUTHORIZATION_LIFETIME);
  const grace = answer['Auth-Grace-Period'] ?? 0;
  const bounds = [timeout, given ? given + grace : undefined].filter((seconds) => seconds !== undefined);
  return {
    lifetime: bounds.length > 0 ? Math.max(MIN_SESSION_LIFETIME, Math.min(...bounds, MAX_LIFETIME)) * 1000 : fallback,
    authorizationLifetime: authorization === undefined ? undefined : authorization * 1000,
  };
}

function bounded(seconds: number | undefined): number | undefined {
  return seconds === UNLIMITED ? undefined : seconds;
}
