import { beforeEach, describe, expect, it } from 'vitest';
import { ServiceBindings, type ServiceOutput } from '../../../src/protocol/attachment/service-bindings.js';
import { parseAddress } from '../../../src/protocol/bytes/address.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { deriveMip4Key } from '../../../src/protocol/keys/kdf.js';
import type { ServiceAssignment } from '../../../src/protocol/mip6/services.js';

const place = { sessionId: 7, careOfAddress: '2001:db8:a::7' };
const address = (text: string) => parseAddress(text) ?? new Uint8Array();
const keysOf = (seed: number) => {
  const secret = (first: number) => Secret.take(Uint8Array.from({ length: 64 }, (_, i) => (first + i) & 0xff));
  return { msk: secret(seed), emsk: secret(seed + 100), sessionId: new Uint8Array(65) };
};

/** What the AAA server assigns with the same keys. */
function assigned(keys: ReturnType<typeof keysOf>, home = '192.0.2.77'): ServiceAssignment {
  const [homeAgent, homeAddress] = [address('192.0.2.1'), address(home)];
  const { number: spi } = deriveMip4Key(keys.msk, homeAgent, homeAddress);
  return { service: 'mip4', homeAgent, homeAddress, prefixLength: 24, spi, lifetime: 60 };
}

const told = (outputs: readonly ServiceOutput[]) =>
  outputs.map((output) => {
    if (output.type === 'hook') return `hook ${output.event}${output.key ? ' with a key' : ''}`;
    return output.type === 'unavailable' ? `unavailable: ${output.reason}` : output.type;
  });

let machine: ServiceBindings;

const authorize = (keys: ReturnType<typeof keysOf>, mip4: ServiceAssignment | string | undefined) =>
  told(machine.handle({ type: 'authorized', place, services: mip4 === undefined ? {} : { mip4 }, keys }, 0));

beforeEach(() => {
  machine = new ServiceBindings({ services: ['mip4'], root: 'msk' });
});

describe('The services of a node', () => {
  it('come up, are refreshed with another key, and go down', () => {
    expect(authorize(keysOf(1), assigned(keysOf(1)))).toEqual(['completed', 'hook up with a key']);
    const [before] = machine.bindings;
    expect(authorize(keysOf(2), assigned(keysOf(2)))).toEqual(['refreshed', 'hook refresh with a key']);
    expect(machine.bindings[0]?.fingerprint).not.toBe(before?.fingerprint);
    expect(told(machine.handle({ type: 'moved', place }, 1))).toEqual(['hook move']);
    expect(told(machine.handle({ type: 'withdrawn', place }, 2))).toEqual(['withdrawn', 'hook down']);
    expect(machine.handle({ type: 'withdrawn', place }, 3)).toEqual([]);
  });

  it('go down before another home address comes up', () => {
    authorize(keysOf(1), assigned(keysOf(1)));
    const other = assigned(keysOf(2), '192.0.2.78');
    expect(authorize(keysOf(2), other)).toEqual(['withdrawn', 'hook down', 'completed', 'hook up with a key']);
  });

  it.each([
    ['unfit', 'unfit'],
    [undefined, 'none was assigned'],
    [assigned(keysOf(9)), 'its key is not derived from the MSK of this authentication'],
  ])('end if an assignment cannot be used', (assignment, reason) => {
    authorize(keysOf(1), assigned(keysOf(1)));
    expect(authorize(keysOf(2), assignment)).toEqual(['withdrawn', 'hook down', `unavailable: ${reason}`]);
    expect(machine.bindings).toEqual([]);
  });

  it('outlast a lost session until its lifetime ends, or another session begins', () => {
    authorize(keysOf(1), assigned(keysOf(1)));
    machine.handle({ type: 'kept', place, until: 5_000 }, 0);
    expect(machine.deadline).toBe(5_000);
    expect(machine.handle({ type: 'tick' }, 4_999)).toEqual([]);
    expect(authorize(keysOf(2), assigned(keysOf(2)))).toEqual(['refreshed', 'hook refresh with a key']);
    expect(machine.deadline).toBeUndefined();
    machine.handle({ type: 'kept', place, until: 9_000 }, 6_000);
    expect(told(machine.handle({ type: 'tick' }, 9_000))).toEqual(['withdrawn', 'hook down']);
    expect(machine.deadline).toBeUndefined();
  });

  it('are none that the node does not want', () => {
    const hip = { service: 'hip', hit: address('2001:20::5'), rendezvous: address('192.0.2.9') } as const;
    const services = { hip: { ...hip, tokenId: 1, lifetime: 1 } };
    const outputs = machine.handle({ type: 'authorized', place, services, keys: keysOf(1) }, 0);
    expect(told(outputs)).toEqual(['unavailable: none was assigned']);
  });
});
