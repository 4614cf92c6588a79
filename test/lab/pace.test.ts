import { describe, expect, it } from 'vitest';
import { isUserMode } from '../../src/lab/network-lab/pace.js';

describe('the kernel is user-mode Linux', () => {
  it.each([
    ['processor\t: 0\nvendor_id\t: User Mode Linux\nmodel name\t: UML\n', true],
    ['processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nflags\t\t: fpu umip\n', false],
    ['processor\t: 0\nBogoMIPS\t: 50.00\n', false],
  ] as const)('by /proc/cpuinfo %j: %s', (text, is) => {
    expect(isUserMode(text)).toBe(is);
  });
});
