import { describe, expect, it } from 'vitest';
import { readable } from '../../../src/runtime/cli/readable.js';

describe('readable', () => {
  it('aligns values, and indents what is inside', () => {
    const value = {
      state: 'OPEN',
      listening: ['a', 'b'],
      none: [],
      left: undefined,
      binding: { homeAgent: 'h', ha: 1 },
    };
    expect(readable(value).split('\n')).toEqual([
      'state      OPEN',
      'listening  a, b',
      'none       none',
      'binding',
      '  homeAgent  h',
      '  ha         1',
    ]);
  });

  it('says that the hooks in a status are those that have not succeeded', () => {
    expect(readable({ hooks: [], state: 'OPEN' })).toBe('unfinished hooks  none\nstate             OPEN');
  });

  it('prints times with their unit', () => {
    const value = { remainingSeconds: 3_540, binding: { lifetime: 3_600 }, uptimeSeconds: 7, pid: 42 };
    expect(readable(value).split('\n')).toEqual([
      'remaining  59 min',
      'binding',
      '  lifetime  60 min',
      'uptime     7 s',
      'pid        42',
    ]);
  });

  it('begins each object of a list with a dash', () => {
    const peers = [{ host: 'one', state: 'I-Open', of: { realm: 'r' } }, { host: 'two' }];
    expect(readable({ peers }).split('\n')).toEqual([
      'peers',
      '  - host   one',
      '    state  I-Open',
      '    of',
      '      realm  r',
      '  - host  two',
    ]);
  });
});
