import { describe, expect, it } from 'vitest';
import { sessionLifetimes } from '../../../src/protocol/nas/session-lifetimes.js';

describe('sessionLifetimes', () => {
  const FALLBACK = 1_000_000;
  it.each([
    { what: 'no AVPs', answer: {}, lifetime: FALLBACK, authorization: undefined },
    { what: 'a Session-Timeout', answer: { 'Session-Timeout': 3600 }, lifetime: 3_600_000, authorization: undefined },
    { what: 'a Session-Timeout of 0', answer: { 'Session-Timeout': 0 }, lifetime: FALLBACK, authorization: undefined },
    {
      what: 'unlimited AVPs',
      answer: { 'Session-Timeout': 0xffff_ffff, 'Authorization-Lifetime': 0xffff_ffff },
      lifetime: FALLBACK,
      authorization: undefined,
    },
    {
      what: 'an Authorization-Lifetime with a grace period',
      answer: { 'Authorization-Lifetime': 600, 'Auth-Grace-Period': 60 },
      lifetime: 660_000,
      authorization: 600_000,
    },
    {
      what: 'a Session-Timeout below the Authorization-Lifetime',
      answer: { 'Session-Timeout': 300, 'Authorization-Lifetime': 600 },
      lifetime: 300_000,
      authorization: 600_000,
    },
    // 0 would cause endless re-authentication; more seconds than PANA can announce would wrap around.
    {
      what: 'an Authorization-Lifetime of 0',
      answer: { 'Authorization-Lifetime': 0 },
      lifetime: FALLBACK,
      authorization: 10_000,
    },
    {
      what: 'an Authorization-Lifetime below the minimum',
      answer: { 'Authorization-Lifetime': 9, 'Auth-Grace-Period': 1 },
      lifetime: 10_000,
      authorization: 10_000,
    },
    {
      what: 'a Session-Timeout below the minimum',
      answer: { 'Session-Timeout': 1, 'Authorization-Lifetime': 1 },
      lifetime: 5_000,
      authorization: 10_000,
    },
    {
      what: 'AVPs above the maximum',
      answer: { 'Authorization-Lifetime': 0xffff_fffe, 'Auth-Grace-Period': 0xffff_ffff },
      lifetime: 0xffff_fffe * 1000,
      authorization: 0xffff_fffe * 1000,
    },
  ])('returns the lifetimes for $what', ({ answer, lifetime, authorization }) => {
    expect(sessionLifetimes(answer, FALLBACK)).toEqual({ lifetime, authorizationLifetime: authorization });
  });
});
