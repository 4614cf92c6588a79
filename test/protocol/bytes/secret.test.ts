import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../../src/protocol/bytes/octets.js';
import { Secret, WipedSecretError } from '../../../src/protocol/bytes/secret.js';

const octets = () => Uint8Array.of(1, 2, 3, 4);

describe('Secret', () => {
  it('moves the octets out of the source given to take', () => {
    const source = octets();
    const key = Secret.take(source);
    expect(source).toEqual(new Uint8Array(4));
    expect(key.octets()).toEqual(octets());
    expect(key.length).toBe(4);
  });

  it('leaves the source given to copyOf unchanged', () => {
    const source = octets();
    expect(Secret.copyOf(source).octets()).toEqual(source);
    expect(source).toEqual(octets());
  });

  it('overwrites its memory when it is wiped, and refuses every use afterwards', () => {
    let kept: Uint8Array = new Uint8Array(0);
    const key = Secret.make(4, (own) => {
      own.set(octets());
      kept = new Uint8Array(own.buffer);
    });
    const other = key.copy();
    expect(key.isWiped).toBe(false);
    key.wipe();
    key.wipe();
    expect(kept).toEqual(new Uint8Array(4));
    expect(key.isWiped).toBe(true);
    for (const use of [() => key.use(() => 1), () => key.length, () => key.copy(), () => key.octets()]) {
      expect(use).toThrow(WipedSecretError);
    }
    expect(other.octets()).toEqual(octets());
  });

  it('has a buffer of its own with exactly its length', () => {
    // A small typed array or a slice of the Buffer pool would share its memory.
    const key = Secret.take(octets());
    for (const buffer of [key.use((own) => own.buffer), key.octets().buffer]) expect(buffer.byteLength).toBe(4);
  });

  it('does not show its octets in inspection, JSON or text', () => {
    const key = Secret.take(fromHex('a1b2c3d4a1b2c3d4'));
    for (const text of [inspect(key, { showHidden: true, depth: 9 }), JSON.stringify({ key }), `${key}`]) {
      expect(text).not.toMatch(/a1b2|161,|161 /i);
    }
  });
});
