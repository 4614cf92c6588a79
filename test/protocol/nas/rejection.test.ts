import { describe, expect, it } from 'vitest';
import { RESULT, resultName } from '../../../src/protocol/diameter/wire/result-codes.js';
import { isRejection } from '../../../src/protocol/nas/rejection.js';

describe('isRejection', () => {
  it('is true for an error that concerns the node (RFC 6733 7.1)', () => {
    const refusals = Object.values(RESULT).filter((code) => code >= 3000);
    expect(refusals.filter(isRejection).map(resultName)).toEqual([
      'AUTHENTICATION_REJECTED',
      'AUTHORIZATION_REJECTED',
      'RESOURCES_EXCEEDED',
      'ERROR_MIP6_AUTH_MODE',
    ]);
  });

  it('is true for an unknown permanent error, and false for a transient one', () => {
    expect([3999, 4000, 4002, 4999, 5000, 5999].map(isRejection)).toEqual([false, false, false, false, true, true]);
  });
});
