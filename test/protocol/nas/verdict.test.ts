import { describe, expect, it } from 'vitest';
import { RESULT, resultName } from '../../../src/protocol/diameter/wire/result-codes.js';
import { isVerdict } from '../../../src/protocol/nas/verdict.js';

describe('a Result-Code that is no success', () => {
  it('is a verdict on the node where it says something about the node (RFC 6733 7.1)', () => {
    const refusals = Object.values(RESULT).filter((code) => code >= 3000);
    expect(refusals.filter(isVerdict).map(resultName)).toEqual([
      ...['AUTHENTICATION_REJECTED', 'AUTHORIZATION_REJECTED', 'RESOURCES_EXCEEDED', 'ERROR_MIP6_AUTH_MODE'],
    ]);
  });

  it('is a verdict if it is permanent and nobody knows it, and none if it is transient', () => {
    expect([3999, 4000, 4002, 4999, 5000, 5999].map(isVerdict)).toEqual([false, false, false, false, true, true]);
  });
});
