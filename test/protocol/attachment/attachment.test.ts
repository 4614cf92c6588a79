// Long, because it has all rows of the attachment machine, from a node without a session to its stop.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AttachmentConfig, AttachmentInput, AttachmentOutput } from '../../../src/protocol/attachment/alphabet.js';
import { Attachment, PTA_AT_END } from '../../../src/protocol/attachment/attachment.js';
import { runs } from '../../seed.js';

const CONFIG: AttachmentConfig = { stay: true, first: 2_000, longest: 300_000 };

/** A node with exact times: its waits have no jitter unless `unit` is given. */
class Node {
  readonly machine: Attachment;
  now = 0;
  paas: readonly string[] = ['p1'];
  /** Whether a socket can be opened. */
  reachable = true;
  /** The PAA of each attempt. */
  readonly opened = new Map<number, string>();

  constructor(config: Partial<AttachmentConfig> = {}, unit = 0.5) {
    this.machine = new Attachment({ ...CONFIG, ...config }, { unit: () => unit });
  }

  /** Steps the machine and answers its requests. Returns the outputs as text, in order. */
  feed(input: AttachmentInput): string[] {
    return this.machine.handle(input, this.now).flatMap((output) => this.#perform(output));
  }

  #perform(output: AttachmentOutput): string[] {
    switch (output.type) {
      case 'discover':
        return this.feed({ type: 'found', token: output.token, paas: this.paas });
      case 'open': {
        const { attempt, paa, beside, limit } = output;
        this.opened.set(attempt, paa);
        const answer: AttachmentInput = this.reachable
          ? { type: 'opened', attempt }
          : { type: 'unreachable', attempt, reason: 'ENETUNREACH' };
        return [
          `open ${paa}${beside ? ' beside' : ''}${limit === 'none' ? '' : limit === 'short' ? ' shortly' : ' limited'}`,
          ...this.feed(answer),
        ];
      }
      case 'event':
        return output.event.type === 'waiting' ? [`wait ${output.event.milliseconds}`] : [output.event.type];
      case 'detached':
        return [`detached ${output.kept ? 'kept' : 'withdrawn'}`];
      case 'settled':
        return [];
      case 'finished':
        return [`finished ${output.authorized}`];
      case 'stopped':
        return ['stopped'];
      default:
        return [`${output.type} ${this.opened.get(output.attempt)}`];
    }
  }

  get current(): number {
    return this.machine.current ?? 0;
  }

  get standby(): number {
    return this.machine.standby ?? 0;
  }

  authorize(attempt = this.current): string[] {
    return this.feed({ type: 'authorized', attempt });
  }

  close(cause: string, heard = false, attempt = this.current): string[] {
    return this.feed({ type: 'closed', attempt, cause, heard });
  }

  /** Advances to the deadline and ticks. */
  tick(): string[] {
    this.now = this.machine.deadline ?? this.now;
    return this.feed({ type: 'tick' });
  }
}

function started(config: Partial<AttachmentConfig> = {}, unit?: number): Node {
  const node = new Node(config, unit);
  node.feed({ type: 'start' });
  return node;
}

function attached(config: Partial<AttachmentConfig> = {}): Node {
  const node = started(config);
  node.authorize();
  return node;
}

/** A machine whose requests the test answers itself. Without the outputs that move-hook.test.ts is about. */
function byHand(): (input: AttachmentInput) => AttachmentOutput[] {
  const machine = new Attachment(CONFIG, { unit: () => 0.5 });
  return (input) => machine.handle(input, 0).filter(({ type }) => type !== 'settled');
}

describe('a node without a session', () => {
  it('starts a session with the first PAA, with a time limit only if there are other PAAs', () => {
    expect(new Node().feed({ type: 'start' })).toEqual(['open p1', 'begin p1']);
    const several = new Node();
    several.paas = ['p1', 'p2'];
    expect(several.feed({ type: 'start' })).toEqual(['open p1 limited', 'begin p1']);
  });

  it('makes one request at a time, and accepts only the answer to it', () => {
    const feed = byHand();
    expect(feed({ type: 'start' })).toEqual([{ type: 'discover', token: 1 }]);
    expect(feed({ type: 'start' })).toEqual([]);
    expect(feed({ type: 'found', token: 7, paas: ['x'] })).toEqual([]);
    expect(feed({ type: 'notFound', token: 7, reason: 'x' })).toEqual([]);
    expect(feed({ type: 'found', token: 1, paas: ['p1'] })).toHaveLength(1);
    expect(feed({ type: 'start' })).toEqual([]);
    expect(feed({ type: 'opened', attempt: 9 })).toEqual([{ type: 'close', attempt: 9 }]);
    expect(feed({ type: 'unreachable', attempt: 9, reason: 'x' })).toEqual([]);
    expect(feed({ type: 'opened', attempt: 1 })).toEqual([{ type: 'begin', attempt: 1 }]);
  });

  it('tries the next PAA after each failure, with waits that double up to the longest', () => {
    const node = new Node({ longest: 10_000 });
    node.paas = ['p1', 'p2'];
    node.feed({ type: 'start' });
    for (const [i, wait] of [2_000, 4_000, 8_000, 10_000, 10_000].entries()) {
      expect(node.close('authentication-rejected').at(-1)).toBe(`wait ${wait}`);
      const from = node.now;
      const next = i % 2 === 0 ? 'p2' : 'p1';
      expect(node.tick()).toEqual([`open ${next} limited`, `begin ${next}`]);
      expect(node.now - from).toBe(wait);
    }
  });

  it('varies its waits by up to 10 %', () => {
    expect(started({}, 0).close('no-answer').at(-1)).toBe('wait 1800');
    expect(started({}, 1).close('no-answer').at(-1)).toBe('wait 2200');
  });

  it('waits the shortest time again when the PAA had answered in the attempt before the link failed', () => {
    for (const cause of ['no-answer', 'no-progress']) {
      const node = started();
      for (let i = 0; i < 6; i += 1) {
        node.close(cause);
        node.tick();
      }
      expect(node.close(cause, true).at(-1)).toBe('wait 2000');
      node.tick();
      expect(node.close(cause).at(-1)).toBe('wait 4000');
    }
  });

  it('doubles its waits when the PAA had answered and refused the attempt', () => {
    for (const cause of ['authentication-rejected', 'authorization-rejected', 'eap-failed', 'fault']) {
      const node = started();
      node.close(cause, true);
      node.tick();
      expect(node.close(cause, true).at(-1)).toBe('wait 4000');
    }
  });

  it('also waits when there is no PAA, no route to it, or no result of discovery', () => {
    const node = new Node();
    node.paas = [];
    expect(node.feed({ type: 'start' })).toEqual(['no-paa', 'wait 2000']);
    node.paas = ['p1'];
    node.reachable = false;
    expect(node.tick()).toEqual(['open p1', 'no-way', 'wait 4000']);
    const feed = byHand();
    feed({ type: 'start' });
    expect(feed({ type: 'notFound', token: 1, reason: 'EIO' })).toEqual([
      { type: 'event', event: { type: 'no-way', paa: undefined, reason: 'EIO' } },
      { type: 'event', event: { type: 'waiting', milliseconds: 2_000 } },
    ]);
  });

  it('tries at once when an address appears, but not before it is started', () => {
    const node = new Node();
    expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual([]);
    node.reachable = false;
    node.feed({ type: 'start' });
    node.reachable = true;
    expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual(['open p1', 'begin p1']);
    // The wait ends without an action.
    expect(node.tick()).toEqual([]);
    expect(node.machine.deadline).toBeUndefined();
  });

  it('tries the first PAA again when its configuration changes', () => {
    const node = new Node();
    node.paas = ['p1', 'p2'];
    node.feed({ type: 'start' });
    node.close('no-answer');
    node.feed({ type: 'configure', config: { ...CONFIG, first: 7_000 } });
    expect(node.tick()).toEqual(['open p1 limited', 'begin p1']);
    expect(node.close('no-answer').at(-1)).toBe('wait 14000');
  });

  it('finishes with its session if stay is false, and reports whether it was authorized', () => {
    const end = ['ended', 'detached withdrawn', 'close p1'];
    expect(started({ stay: false }).close('no-answer')).toEqual([...end, 'finished false']);
    expect(attached({ stay: false }).close('no-answer')).toEqual([...end, 'finished true']);
  });
});

describe('the end of a session', () => {
  it('keeps home agent and address if the network did not end it and the same PAA is tried next', () => {
    for (const cause of ['no-answer', 'no-progress', 'moved']) {
      const node = attached();
      node.paas = ['p1', 'p2'];
      expect(node.close(cause)).toEqual(['ended', 'detached kept', 'close p1', 'wait 2000']);
      expect(node.tick()).toEqual(['open p1 limited', 'begin p1']);
    }
  });

  it('withdraws home agent and address if the network ended it or another PAA is tried next', () => {
    for (const cause of ['lifetime-expired', 'terminated-by-paa', 'authentication-rejected', 'terminated']) {
      expect(attached().close(cause)).toContain('detached withdrawn');
    }
  });

  it('is reported with the attempt and whether it was authorized', () => {
    const node = attached();
    const attempt = node.current;
    const [ended] = node.machine.handle({ type: 'closed', attempt, cause: 'no-answer', heard: true }, 0);
    const event = { type: 'ended', attempt, paa: 'p1', cause: 'no-answer', authorized: true };
    expect(ended).toEqual({ type: 'event', event });
  });

  it('is ignored for an unknown attempt, like other inputs', () => {
    const node = attached();
    const attempt = 99;
    expect(node.close('no-answer', false, attempt)).toEqual([]);
    expect(node.authorize(attempt)).toEqual([]);
    expect(node.feed({ type: 'silent', attempt })).toEqual([]);
    expect(node.feed({ type: 'answered', attempt, besideHeard: false })).toEqual([]);
    expect(node.feed({ type: 'located', attempt, paas: ['p9'], from: 'same' })).toEqual([]);
  });

  it('resets the wait to the shortest one if the session had been authorized', () => {
    const node = started();
    for (let i = 0; i < 4; i += 1) {
      node.close('no-answer');
      node.tick();
    }
    node.authorize();
    expect(node.machine.deadline).toBeUndefined();
    expect(node.close('lifetime-expired').at(-1)).toBe('wait 2000');
  });
});

describe('a silent PAA', () => {
  it('makes the node start a second session, which replaces the first when it is authorized', () => {
    const node = attached();
    const first = node.current;
    expect(node.feed({ type: 'silent', attempt: first })).toEqual(['silent', 'open p1 beside limited', 'begin p1']);
    expect([node.machine.isSilent, node.current]).toEqual([true, first]);
    // The input is repeated at each retransmission.
    expect(node.feed({ type: 'silent', attempt: first })).toEqual([]);
    const second = node.standby;
    expect(node.authorize(second)).toEqual(['retire p1']);
    expect([node.current, node.machine.standby, node.machine.isSilent]).toEqual([second, undefined, false]);
    expect(node.close('terminated', false, first)).toEqual([]);
  });

  it('keeps its session when the PAA answers again', () => {
    const node = attached();
    node.feed({ type: 'silent', attempt: node.current });
    expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: false })).toEqual([
      'answers-again',
      'close p1',
    ]);
    expect([node.machine.standby, node.machine.isSilent, node.machine.deadline]).toEqual([undefined, false, undefined]);
  });

  it('keeps its session when the PAA answers while a socket is being opened', () => {
    const feed = byHand();
    feed({ type: 'start' });
    feed({ type: 'found', token: 1, paas: ['p1'] });
    feed({ type: 'opened', attempt: 1 });
    feed({ type: 'authorized', attempt: 1 });
    feed({ type: 'silent', attempt: 1 });
    feed({ type: 'found', token: 2, paas: ['p1'] });
    feed({ type: 'answered', attempt: 1, besideHeard: false });
    expect(feed({ type: 'opened', attempt: 2 })).toEqual([{ type: 'close', attempt: 2 }]);
  });

  it('makes the node try every PAA in turn while it keeps the session', () => {
    const node = attached();
    node.paas = ['p1', 'p2'];
    node.feed({ type: 'silent', attempt: node.current });
    expect(node.close('no-answer', false, node.standby)).toEqual(['ended', 'close p1', 'wait 2000']);
    expect(node.tick()).toEqual(['open p2 beside limited', 'begin p2']);
    // The first session ends: the second attempt becomes the current one, and no third one starts.
    expect(node.close('no-answer')).toEqual(['ended', 'detached kept', 'close p1']);
    expect(node.opened.get(node.current)).toBe('p2');
    expect([node.machine.standby, node.machine.isSilent, node.machine.deadline]).toEqual([undefined, false, undefined]);
  });

  it('causes no further attempt after the PAA has answered', () => {
    const node = attached();
    node.feed({ type: 'silent', attempt: node.current });
    node.close('no-answer', false, node.standby);
    node.feed({ type: 'answered', attempt: node.current, besideHeard: false });
    expect(node.tick()).toEqual([]);
  });

  it('causes no second session if stay is false', () => {
    const node = attached({ stay: false });
    expect(node.feed({ type: 'silent', attempt: node.current })).toEqual(['silent']);
  });
});

describe('a node that moves', () => {
  it('finds the PAAs of its network, and stays with its PAA if it is among them or there are none', () => {
    const node = attached();
    expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual(['locate p1']);
    expect(node.feed({ type: 'located', attempt: node.current, paas: ['p2', 'p1'], from: 'same' })).toEqual([]);
    expect(node.feed({ type: 'located', attempt: node.current, paas: [], from: 'same' })).toEqual([]);
  });

  it('starts a session with the first PAA of the new network, which then replaces the old one', () => {
    const node = attached();
    node.paas = ['p2', 'p3'];
    const begun = ['open p2 beside shortly', 'begin p2'];
    expect(node.feed({ type: 'located', attempt: node.current, paas: node.paas, from: 'same' })).toEqual(begun);
    // The old PAA answers, but the node is in another network.
    expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: false })).toEqual([]);
    expect(node.authorize(node.standby)).toEqual(['retire p1']);
    node.feed({ type: 'silent', attempt: node.current });
    expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: false })).toEqual([
      'answers-again',
      'close p2',
    ]);
  });

  it('tries the new network again after a refusal, even if its old session is authenticated again meanwhile', () => {
    const node = attached();
    node.paas = ['p2'];
    node.feed({ type: 'located', attempt: node.current, paas: node.paas, from: 'same' });
    expect(node.close('authentication-rejected', false, node.standby)).toEqual(['ended', 'close p2', 'wait 2000']);
    expect(node.authorize()).toEqual([]);
    expect(node.tick()).toEqual(['open p2 beside limited', 'begin p2']);
  });

  it('starts no third session when the old one ends before the new one is authorized', () => {
    const node = attached();
    node.paas = ['p2'];
    node.feed({ type: 'located', attempt: node.current, paas: node.paas, from: 'same' });
    expect(node.close('no-answer')).toEqual(['ended', 'detached kept', 'close p1']);
    expect(node.machine.deadline).toBeUndefined();
    node.authorize();
    expect(node.opened.size).toBe(2);
  });

  it('keeps its session if stay is false', () => {
    const node = attached({ stay: false });
    expect(node.feed({ type: 'located', attempt: node.current, paas: ['p2'], from: 'same' })).toEqual([]);
  });
});

describe('a node that stops', () => {
  it('terminates its session, and stops when the session is closed', () => {
    const node = attached();
    expect(node.feed({ type: 'stop' })).toEqual(['terminate p1']);
    expect(node.feed({ type: 'stop' })).toEqual([]);
    expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual([]);
    expect(node.feed({ type: 'start' })).toEqual([]);
    expect(node.close('no-answer')).toEqual(['ended', 'detached withdrawn', 'close p1', 'stopped']);
    expect(node.machine.deadline).toBeUndefined();
  });

  it('waits for the PTA for at most PTA_AT_END', () => {
    const node = attached();
    node.now = 50_000;
    node.feed({ type: 'stop' });
    expect(node.machine.deadline).toBe(50_000 + PTA_AT_END);
    expect(node.feed({ type: 'tick' })).toEqual([]);
    expect(node.tick()).toEqual(['ended', 'detached withdrawn', 'close p1', 'stopped']);
    expect(node.now).toBe(52_000);
  });

  it('closes the second session too, and ends its waits', () => {
    const node = attached();
    node.feed({ type: 'silent', attempt: node.current });
    expect(node.feed({ type: 'stop' })).toEqual(['close p1', 'terminate p1']);
    const waiting = started();
    waiting.close('no-answer');
    expect(waiting.feed({ type: 'stop' })).toEqual(['stopped']);
    expect(waiting.machine.deadline).toBeUndefined();
  });

  it('waits for a socket that is being opened, and closes it', () => {
    for (const type of ['opened', 'unreachable'] as const) {
      const feed = byHand();
      feed({ type: 'start' });
      feed({ type: 'found', token: 1, paas: ['p1'] });
      expect(feed({ type: 'stop' })).toEqual([]);
      const close = type === 'opened' ? [{ type: 'close', attempt: 1 }] : [];
      expect(feed({ type, attempt: 1, reason: '' })).toEqual([...close, { type: 'stopped' }]);
    }
  });

  it('ignores a PAA that is found afterwards', () => {
    for (const answer of [
      { type: 'found', token: 1, paas: ['p1'] },
      { type: 'notFound', token: 1, reason: '' },
    ] as const) {
      const feed = byHand();
      feed({ type: 'start' });
      expect(feed({ type: 'stop' })).toEqual([{ type: 'stopped' }]);
      expect(feed(answer)).toEqual([]);
    }
  });
});

describe('Attachment.deadline', () => {
  it('is undefined after authorization, even if a retry was due', () => {
    const node = attached();
    node.feed({ type: 'silent', attempt: node.current });
    expect(node.close('no-answer', false, node.standby)).toEqual(['ended', 'close p1', 'wait 2000']);
    expect(node.machine.deadline).toBe(2_000);
    // Another report of silence starts an attempt before the retry is due.
    expect(node.feed({ type: 'silent', attempt: node.current })).toEqual(['open p1 beside limited', 'begin p1']);
    expect(node.authorize(node.standby)).toEqual(['retire p1']);
    expect(node.machine.deadline).toBeUndefined();
  });
});

describe('Attachment with any input', () => {
  const attempt = fc.integer({ min: 0, max: 6 });
  const paas = fc.subarray(['p1', 'p2', 'p3']);
  const from = fc.constantFrom('same' as const, 'moved' as const, 'nowhere' as const);
  const sign = fc.constantFrom('none' as const, 'neighbours' as const, 'link' as const);
  const input: fc.Arbitrary<AttachmentInput> = fc.oneof(
    fc.constantFrom<AttachmentInput>({ type: 'start' }, { type: 'tick' }),
    fc.record({ type: fc.constant('found' as const), token: attempt, paas }),
    fc.record({ type: fc.constant('notFound' as const), token: attempt, reason: fc.constant('EIO') }),
    fc.record({ type: fc.constantFrom('opened' as const, 'authorized' as const), attempt }),
    fc.record({ type: fc.constantFrom('silent' as const, 'moved' as const), attempt }),
    fc.record({ type: fc.constant('answered' as const), attempt, besideHeard: fc.boolean() }),
    fc.record({ type: fc.constant('unreachable' as const), attempt, reason: fc.constant('EIO') }),
    fc.record({ type: fc.constant('located' as const), attempt, paas, from }),
    fc.record({ type: fc.constant('networkChanged' as const), sign }),
    fc.record({
      type: fc.constant('closed' as const),
      attempt,
      cause: fc.constantFrom('no-answer', 'authentication-rejected', 'lifetime-expired'),
      heard: fc.boolean(),
    }),
  );

  // An input that the state expects. Without such inputs, few runs would have a session.
  const forward = fc.record({
    type: fc.constant('forward' as const),
    choice: fc.constantFrom('authorized', 'authorized', 'silent', 'networkChanged', 'located', 'closed'),
    paas: fc.subarray(['p1', 'p2', 'p3'], { minLength: 1 }),
    from,
    sign,
  });
  const step = fc.oneof({ arbitrary: forward, weight: 3 }, { arbitrary: input, weight: 2 });

  it('never has an open session other than the current one and the second one, and holds no move back for ever', () => {
    let retired = 0;
    let held = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const machine = new Attachment(CONFIG, { unit: () => 0.5 });
        const begun = new Set<number>();
        let request: AttachmentOutput | undefined;
        let isHeld = false;
        const inputOf = (one: (typeof steps)[number]): AttachmentInput => {
          if (one.type !== 'forward') return one;
          if (request?.type === 'discover') return { type: 'found', token: request.token, paas: one.paas };
          if (request?.type === 'open') return { type: 'opened', attempt: request.attempt };
          const { current } = machine;
          if (current === undefined) return { type: 'tick' };
          if (one.choice === 'silent') return { type: 'silent', attempt: current };
          if (one.choice === 'located') return { type: 'located', attempt: current, paas: one.paas, from: one.from };
          if (one.choice === 'networkChanged') return { type: 'networkChanged', sign: one.sign };
          if (one.choice === 'authorized') return { type: 'authorized', attempt: machine.standby ?? current };
          return { type: 'closed', attempt: machine.standby ?? current, cause: 'no-answer', heard: false };
        };
        for (const [i, each] of [{ type: 'start' } as const, ...steps].entries()) {
          const given = inputOf(each);
          if (each.type === 'forward') request = undefined;
          const outputs = machine.handle(given, i * 1_000);
          if (given.type === 'moved') isHeld = machine.isSettling;
          if (given.type === 'authorized') isHeld = false;
          if (isHeld) held += 1;
          for (const output of outputs) {
            if (output.type === 'settled') isHeld = false;
            if (output.type === 'discover' || output.type === 'open') request = output;
            if (output.type === 'begin') begun.add(output.attempt);
            if (output.type === 'close' || output.type === 'retire') begun.delete(output.attempt);
            if (output.type === 'retire') retired += 1;
          }
          const known = [machine.current, machine.standby].filter((id) => id !== undefined);
          expect([...begun].sort()).toEqual(known.sort());
          expect(isHeld && !machine.isSettling).toBe(false);
        }
      }),
      { numRuns: runs(1_000) },
    );
    expect(Math.min(retired, held)).toBeGreaterThan(50);
  });
});
