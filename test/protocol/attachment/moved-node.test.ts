import { describe, expect, it } from 'vitest';
import type { AttachmentInput, AttachmentOutput, MoveSign } from '../../../src/protocol/attachment/alphabet.js';
import { Attachment, PROBE_WAIT } from '../../../src/protocol/attachment/attachment.js';

/** A node whose discovery and sockets answer at once; the test answers for PAAs and for the location. */
class Node {
  readonly machine = new Attachment({ stay: true, first: 2_000, longest: 300_000 }, { unit: () => 0.5 });
  now = 1_000;
  paas: readonly string[] = ['p1'];
  readonly opened = new Map<number, string>();

  feed(input: AttachmentInput): string[] {
    return this.machine.handle(input, this.now).flatMap((output) => this.#perform(output));
  }

  #perform(output: AttachmentOutput): string[] {
    switch (output.type) {
      case 'discover':
        return this.feed({ type: 'found', token: output.token, paas: this.paas });
      case 'open':
        this.opened.set(output.attempt, output.paa);
        return [`open ${output.paa} ${output.limit}`, ...this.feed({ type: 'opened', attempt: output.attempt })];
      case 'event':
        return [output.event.type];
      case 'settled':
        return [];
      case 'finished':
      case 'stopped':
        return [output.type];
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

  /** Reports a change of the network, then where the node is. */
  move(sign: MoveSign, from: 'same' | 'moved' | 'nowhere' = 'same'): string[] {
    const asked = this.feed({ type: 'networkChanged', sign });
    if (from === 'moved') asked.push(...this.feed({ type: 'moved', attempt: this.current }));
    return [...asked.filter((output) => !output.startsWith('locate')), ...this.located(from)];
  }

  located(from: 'same' | 'moved' | 'nowhere'): string[] {
    return this.feed({ type: 'located', attempt: this.current, paas: this.paas, from });
  }

  /** Reports a new router or prefix, and that the attempt beside the session has an address of the former link. */
  outdated(attempt: number): string[] {
    this.feed({ type: 'networkChanged', sign: 'neighbours' });
    return this.feed({ type: 'located', attempt: this.current, paas: this.paas, from: 'same', outdated: attempt });
  }

  tickAt(time: number): string[] {
    this.now = time;
    return this.feed({ type: 'tick' });
  }
}

function attached(paas: readonly string[] = ['p1']): Node {
  const node = new Node();
  node.paas = paas;
  node.feed({ type: 'start' });
  node.feed({ type: 'authorized', attempt: node.current });
  return node;
}

const BEGUN = ['open p1 usual', 'begin p1'];

describe('A sign that the node is on another link', () => {
  it.each(['link', 'neighbours'] as const)(
    'makes the node ask its PAA at once, even if its address is the same: %s',
    (sign) => {
      const node = attached();
      expect(node.move(sign)).toEqual(['probe p1']);
      expect(node.machine.deadline).toBe(1_000 + PROBE_WAIT);
      expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: false })).toEqual([]);
      expect(node.machine.deadline).toBeUndefined();
    },
  );

  it('leads to a second session, after exactly PROBE_WAIT without an answer', () => {
    const node = attached();
    node.move('link');
    expect(node.tickAt(1_000 + PROBE_WAIT - 1)).toEqual([]);
    expect(node.tickAt(1_000 + PROBE_WAIT)).toEqual(BEGUN);
    expect(node.machine.isSilent).toBe(false);
    expect(node.feed({ type: 'authorized', attempt: node.standby })).toEqual(['retire p1']);
    expect(node.machine.deadline).toBeUndefined();
  });

  it('has no further effect when the PAA answers late, and the second session is closed', () => {
    const node = attached();
    node.move('link');
    node.tickAt(1_000 + PROBE_WAIT);
    expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: false })).toEqual(['close p1']);
    expect(node.tickAt(100_000)).toEqual([]);
  });

  it('does not end the second session when the PAA answers later than another one, which is on this link', () => {
    const node = attached(['p1', 'p2']);
    node.move('link');
    expect(node.tickAt(1_000 + PROBE_WAIT)).toEqual(['open p2 short', 'begin p2']);
    expect(node.feed({ type: 'answered', attempt: node.current, besideHeard: true })).toEqual([]);
    expect(node.feed({ type: 'authorized', attempt: node.standby })).toEqual(['retire p1']);
  });

  it('leads to no further session when that one fails', () => {
    const node = attached(['p1', 'p2']);
    node.move('link');
    node.tickAt(1_000 + PROBE_WAIT);
    node.feed({ type: 'answered', attempt: node.current, besideHeard: true });
    const cause = 'authentication-rejected';
    expect(node.feed({ type: 'closed', attempt: node.standby, cause, heard: true })).toEqual(['ended', 'close p2']);
    expect(node.tickAt(100_000)).toEqual([]);
  });

  it('ends when the PAA answers late, if the second session is with the same PAA, or another one has not answered', () => {
    const same = attached(['p1']);
    same.move('link');
    same.tickAt(1_000 + PROBE_WAIT);
    expect(same.feed({ type: 'answered', attempt: same.current, besideHeard: true })).toEqual(['close p1']);
    const other = attached(['p1', 'p2']);
    other.move('link');
    other.tickAt(1_000 + PROBE_WAIT);
    expect(other.feed({ type: 'answered', attempt: other.current, besideHeard: false })).toEqual(['close p2']);
  });

  it('is necessary: a change of addresses alone does not make the node ask', () => {
    expect(attached().move('none')).toEqual([]);
  });

  it('takes effect once the node has an address from which to ask', () => {
    const node = attached();
    expect(node.move('link', 'nowhere')).toEqual([]);
    expect(node.machine.deadline).toBeUndefined();
    expect(node.move('none')).toEqual(['probe p1']);
  });

  it('causes no second request after a move, which has sent one itself', () => {
    const node = attached();
    expect(node.move('link', 'moved')).toEqual([]);
    expect(node.tickAt(1_000 + PROBE_WAIT)).toEqual(BEGUN);
  });

  it('is not refuted by an answer to an earlier request', () => {
    const node = attached();
    node.move('link');
    node.feed({ type: 'networkChanged', sign: 'link' });
    node.feed({ type: 'answered', attempt: node.current, besideHeard: false });
    expect(node.located('same')).toEqual(['probe p1']);
  });

  it('is refuted by a re-authentication', () => {
    const node = attached();
    node.move('link');
    node.feed({ type: 'authorized', attempt: node.current });
    expect(node.machine.deadline).toBeUndefined();
  });

  it('makes the node try each of several PAAs for a short time without waits, and the PAA of its session last', () => {
    const node = attached(['p1', 'p2', 'p3']);
    node.move('link');
    expect(node.tickAt(1_000 + PROBE_WAIT)).toEqual(['open p2 short', 'begin p2']);
    const fail = () => node.feed({ type: 'closed', attempt: node.standby, cause: 'no-answer', heard: false });
    expect(fail()).toEqual(['ended', 'close p2', 'open p3 short', 'begin p3']);
    expect(fail()).toEqual(['ended', 'close p3', 'open p1 usual', 'begin p1']);
    expect(fail()).toEqual(['ended', 'close p1', 'waiting']);
    expect(node.tickAt(node.machine.deadline ?? 0)).toEqual(['open p2 usual', 'begin p2']);
  });

  it('makes the node start with the PAAs of the new link at once if they do not include the PAA of the session', () => {
    const node = attached();
    node.paas = ['p2'];
    expect(node.move('neighbours')).toEqual(['probe p1', 'open p2 usual', 'begin p2']);
  });

  it('restarts an attempt that has no session yet: with PCI at once, or from the new address', () => {
    const node = new Node();
    node.feed({ type: 'start' });
    expect(node.move('link')).toEqual(['probe p1']);
    expect(node.machine.deadline).toBeUndefined();
    expect(node.move('none', 'moved')).toEqual(['close p1', 'open p1 none', 'begin p1']);
  });

  it('ends a second attempt if the link came up, but not if another router appears', () => {
    const node = attached();
    node.move('link');
    node.tickAt(1_000 + PROBE_WAIT);
    expect(node.move('neighbours')).toEqual(['probe p1']);
    expect(node.move('link')).toEqual(['close p1', 'probe p1']);
    expect(node.machine.standby).toBeUndefined();
  });

  it('ends a wait, and resets later waits to the shortest one', () => {
    const node = new Node();
    node.feed({ type: 'start' });
    for (let i = 0; i < 5; i += 1) {
      node.feed({ type: 'closed', attempt: node.current, cause: 'no-answer', heard: false });
      node.tickAt(node.machine.deadline ?? 0);
    }
    node.feed({ type: 'closed', attempt: node.current, cause: 'no-answer', heard: false });
    expect(node.feed({ type: 'networkChanged', sign: 'link' })).toEqual(['open p1 none', 'begin p1']);
    node.feed({ type: 'closed', attempt: node.current, cause: 'no-answer', heard: false });
    expect(node.machine.deadline).toBe(node.now + 2_000);
  });
});

describe('Changes of the network while the node finds its location', () => {
  it('cause one further search, however many changes there are', () => {
    const node = attached();
    expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual(['locate p1']);
    for (let i = 0; i < 1_000; i += 1) expect(node.feed({ type: 'networkChanged', sign: 'none' })).toEqual([]);
    expect(node.located('same')).toEqual(['locate p1']);
    expect(node.located('same')).toEqual([]);
  });
});

describe('An attempt that began before the node had an address of its link', () => {
  function moved(): Node {
    const node = attached(['p1', 'p2']);
    node.move('link');
    node.tickAt(1_000 + PROBE_WAIT);
    expect(node.opened.get(node.standby)).toBe('p2');
    return node;
  }

  it('is replaced by one from the new address when the PAA has not answered from there either', () => {
    const node = moved();
    expect(node.outdated(node.standby)).toEqual(['probe p1', 'close p2']);
    expect(node.tickAt(1_000 + 2 * PROBE_WAIT)).toEqual(['open p2 short', 'begin p2']);
  });

  it('is replaced at once if the session is of another network', () => {
    const node = moved();
    node.paas = ['p2', 'p3'];
    expect(node.outdated(node.standby)).toEqual(['probe p1', 'close p2', 'open p2 short', 'begin p2']);
  });

  it('continues if another attempt was meant', () => {
    const node = moved();
    expect(node.outdated(node.standby - 1)).toEqual(['probe p1']);
    expect(node.opened.get(node.standby)).toBe('p2');
  });
});
