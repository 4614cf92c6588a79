import { describe, expect, it } from 'vitest';
import type { AttachmentInput, AttachmentOutput } from '../../../src/protocol/attachment/alphabet.js';
import { Attachment, PROBE_WAIT } from '../../../src/protocol/attachment/attachment.js';
import { MobileBinding, type Place } from '../../../src/protocol/attachment/mobile-binding.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';

const KEYS = {
  msk: Secret.take(new Uint8Array(64).fill(1)),
  emsk: Secret.take(new Uint8Array(64).fill(2)),
  sessionId: new Uint8Array(65),
};
const NONE = { homeAddress: undefined, prefix: undefined, host: undefined, ikeIdentity: 'mn', lifetime: undefined };
const ASSIGNMENT = { capability: 0, homeAgent: new Uint8Array(16).fill(1), ...NONE };
const FIRST_RETRY = 2_000;

/**
 * A node with both machines as pana-pac connects them, in virtual time. `hooks`: time, event and care-of address of each
 * hook. A discovery is answered at once, a socket is opened at once.
 */
class Node {
  readonly #attachment: Attachment;
  readonly #binding = new MobileBinding({ mode: 'wanted', root: 'msk', privacy: 'off' });
  readonly hooks: string[] = [];
  now = 0;
  paas: readonly string[] = ['p1'];
  reachable = true;
  #address = 'a';

  /** Starts with a session at p1, from address `a`. */
  constructor(stay = true) {
    this.#attachment = new Attachment({ stay, first: FIRST_RETRY, longest: 300_000 }, { unit: () => 0.5 });
    this.feed({ type: 'start' });
    this.authorize(this.current);
    expect(this.hooks.splice(0)).toEqual(['0 up a']);
  }

  get current(): number {
    return this.#attachment.current ?? 0;
  }

  get standby(): number {
    return this.#attachment.standby ?? 0;
  }

  get #place(): Place {
    return { sessionId: 1, careOfAddress: this.#address };
  }

  feed(input: AttachmentInput): void {
    for (const output of this.#attachment.handle(input, this.now)) this.#perform(output);
  }

  #perform(output: AttachmentOutput): void {
    switch (output.type) {
      case 'discover':
        this.feed({ type: 'found', token: output.token, paas: this.paas });
        break;
      case 'open':
        this.feed(
          this.reachable
            ? { type: 'opened', attempt: output.attempt }
            : { type: 'unreachable', attempt: output.attempt, reason: 'ENETUNREACH' },
        );
        break;
      case 'settled':
        this.#bind({ type: 'settled' });
        break;
      case 'detached':
        if (output.kept) this.#bind({ type: 'kept', place: this.#place, until: 1_000_000 });
        else this.#bind({ type: 'withdrawn', place: this.#place });
    }
  }

  #bind(input: Parameters<MobileBinding['handle']>[0]): void {
    for (const output of this.#binding.handle(input, this.now)) {
      if (output.type === 'hook') this.hooks.push(`${this.now} ${output.event} ${output.place.careOfAddress}`);
    }
  }

  authorize(attempt: number): void {
    this.feed({ type: 'authorized', attempt });
    const given = { assignment: ASSIGNMENT, sealed: undefined, problem: undefined, keys: KEYS, reconfigure: false };
    this.#bind({ type: 'authorized', place: this.#place, ...given });
  }

  fail(attempt: number): void {
    this.feed({ type: 'closed', attempt, cause: 'no-answer', heard: false });
  }

  answer(): void {
    this.feed({ type: 'answered', attempt: this.current, besideHeard: false });
  }

  changed(): void {
    this.feed({ type: 'networkChanged', sign: 'link' });
  }

  /** The session sends a request from another address. */
  follow(address: string): void {
    this.#address = address;
    this.feed({ type: 'moved', attempt: this.current });
    this.#bind({ type: 'moved', place: this.#place, settling: this.#attachment.isSettling });
  }

  located(from: 'same' | 'moved' | 'nowhere' = 'moved'): void {
    this.feed({ type: 'located', attempt: this.current, paas: this.paas, from });
  }

  move(address = 'b'): void {
    this.changed();
    this.follow(address);
    this.located();
  }

  at(time: number): void {
    for (let due = this.#attachment.deadline; due !== undefined && due <= time; due = this.#attachment.deadline) {
      this.now = due;
      this.feed({ type: 'tick' });
    }
    this.now = time;
  }
}

/** A node that has moved at the time 0 and has begun a second session after PROBE_WAIT. */
function begun(): Node {
  const node = new Node();
  node.move();
  node.at(PROBE_WAIT);
  expect(node.standby).not.toBe(0);
  node.at(100);
  return node;
}

describe('The hook move of a node whose address has changed', () => {
  it('runs when the PAA has answered from there', () => {
    const node = new Node();
    node.move();
    node.at(PROBE_WAIT - 1);
    expect(node.hooks).toEqual([]);
    node.answer();
    expect(node.hooks).toEqual([`${PROBE_WAIT - 1} move b`]);
    node.at(100_000);
    expect(node.hooks).toHaveLength(1);
  });

  it('runs when the PAA has answered before the PAAs of the network were found, and no second session is made', () => {
    const node = new Node();
    node.feed({ type: 'networkChanged', sign: 'link' });
    node.follow('b');
    node.at(10);
    node.answer();
    node.at(30);
    node.located();
    expect(node.hooks).toEqual(['30 move b']);
    node.at(100_000);
    expect(node.standby).toBe(0);
  });

  it('does not run if a second session is authorized: refresh runs instead', () => {
    const node = begun();
    node.authorize(node.standby);
    node.answer();
    node.at(100_000);
    expect(node.hooks).toEqual(['100 refresh b']);
  });

  it('does not run if the session is re-authenticated meanwhile: refresh runs instead', () => {
    const node = begun();
    node.authorize(node.current);
    node.answer();
    expect(node.hooks).toEqual(['100 refresh b']);
  });

  it('runs when the PAA answers while a second session is being made', () => {
    const node = begun();
    node.answer();
    expect([node.standby, node.hooks]).toEqual([0, ['100 move b']]);
  });

  it('runs when the PAA answers while a session with a PAA of another network is being made', () => {
    const node = new Node();
    node.paas = ['p2'];
    node.move();
    expect(node.standby).not.toBe(0);
    node.at(20);
    node.answer();
    expect(node.hooks).toEqual(['20 move b']);
    node.at(80);
    node.authorize(node.standby);
    expect(node.hooks).toEqual(['20 move b', '80 refresh b']);
  });

  it('runs when the second session fails, and refresh when a later one is authorized', () => {
    const node = begun();
    node.fail(node.standby);
    expect(node.hooks).toEqual(['100 move b']);
    node.at(100 + FIRST_RETRY);
    node.authorize(node.standby);
    expect(node.hooks).toEqual(['100 move b', `${100 + FIRST_RETRY} refresh b`]);
  });

  it('runs when the last of several PAAs has failed', () => {
    const node = new Node();
    node.paas = ['p1', 'p2', 'p3'];
    node.move();
    for (const time of [1_000, 2_000]) {
      node.at(time);
      node.fail(node.standby);
      expect(node.hooks).toEqual([]);
    }
    node.at(3_000);
    node.fail(node.standby);
    expect(node.hooks).toEqual(['3000 move b']);
  });

  it.each<[string, (node: Node) => void]>([
    ['the network has no PAA', (node) => Object.assign(node, { paas: [] })],
    ['there is no route to the PAA', (node) => Object.assign(node, { reachable: false })],
  ])('runs after PROBE_WAIT if %s', (_case, prepare) => {
    const node = new Node();
    prepare(node);
    node.move();
    node.at(PROBE_WAIT);
    expect(node.hooks).toEqual([`${PROBE_WAIT} move b`]);
  });

  it('runs after PROBE_WAIT if the node makes no second session', () => {
    const node = new Node(false);
    node.move();
    node.at(PROBE_WAIT);
    expect(node.hooks).toEqual([`${PROBE_WAIT} move b`]);
  });

  it('does not run if the first session ends before the second one is authorized', () => {
    const node = begun();
    node.fail(node.current);
    node.at(200);
    expect(node.hooks).toEqual([]);
    node.authorize(node.current);
    expect(node.hooks).toEqual(['200 refresh b']);
  });

  it('runs if the first session ends and the second one then fails', () => {
    const node = begun();
    node.fail(node.current);
    node.at(200);
    node.fail(node.current);
    expect(node.hooks).toEqual(['200 move b']);
  });

  it('runs once for several moves, with the last address', () => {
    const node = begun();
    node.move('c');
    node.at(110);
    node.answer();
    node.at(100_000);
    expect(node.hooks).toEqual(['110 move c']);
  });

  it('is held back if a second session was being made before the move', () => {
    const node = new Node();
    node.feed({ type: 'silent', attempt: node.current });
    node.feed({ type: 'networkChanged', sign: 'none' });
    node.follow('b');
    node.located();
    node.at(5_000);
    expect(node.hooks).toEqual([]);
    node.authorize(node.standby);
    expect(node.hooks).toEqual(['5000 refresh b']);
  });

  it('is not held back for ever if the node then has no address', () => {
    const node = new Node();
    node.changed();
    node.follow('b');
    node.changed();
    node.located();
    node.at(10);
    node.located('nowhere');
    expect(node.hooks).toEqual(['10 move b']);
  });

  it('runs after a requested move, which changes nothing else, when the PAA has answered', () => {
    const node = new Node();
    node.follow('b');
    node.at(10);
    node.answer();
    node.at(100_000);
    expect(node.hooks).toEqual(['10 move b']);
  });

  it('does not run if the node stops', () => {
    const node = begun();
    node.feed({ type: 'stop' });
    node.at(100_000);
    expect(node.hooks).toEqual(['2100 down b']);
  });

  it('does not run after the session was withdrawn', () => {
    const node = begun();
    node.feed({ type: 'closed', attempt: node.current, cause: 'terminated-by-paa', heard: true });
    node.fail(node.current);
    expect(node.hooks).toEqual(['100 down b']);
  });
});
