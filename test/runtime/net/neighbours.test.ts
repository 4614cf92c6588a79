import { expect, it } from 'vitest';
import { neighboursIn } from '../../../src/runtime/net/neighbours.js';

it('reads the neighbours that ip prints', () => {
  const text = [
    'fe80::1 lladdr 02:00:00:00:00:01 router REACHABLE',
    '2001:db8:a::11 lladdr 02:00:00:00:00:11 STALE',
    '192.0.2.7 lladdr 02:00:00:00:00:07 used 0/0/0 probes 1 DELAY',
    'fe80::2 router FAILED',
    'fe80::3 INCOMPLETE',
    'fe80::4 lladdr 02:00:00:00:00:04 FAILED',
    '',
    'garbage',
  ].join('\n');
  expect([...neighboursIn(text)]).toEqual([
    ['fe80::1', '02:00:00:00:00:01'],
    ['2001:db8:a::11', '02:00:00:00:00:11'],
    ['192.0.2.7', '02:00:00:00:00:07'],
  ]);
});
