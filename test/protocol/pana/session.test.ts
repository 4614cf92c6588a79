import { describe, expect, it } from 'vitest';
import { Ladder } from './ladder.js';

describe('a session that goes well', () => {
  it('takes these messages', () => {
    const ladder = new Ladder();
    ladder.toPac({ type: 'start' });
    ladder.run(100);
    expect(ladder.names).toEqual(['PCI', 'PAR[S]', 'PAN[S]', 'PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]']);
    expect(ladder.pac.state).toBe('OPEN');
  });
});
