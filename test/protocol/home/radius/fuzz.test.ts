import fc from 'fast-check';
import { expect, it } from 'vitest';
import { concat } from '../../../../src/protocol/bytes/octets.js';
import type { HomeAnswer } from '../../../../src/protocol/home/alphabet.js';
import { MAX_REQUESTS } from '../../../../src/protocol/home/radius/duplicates.js';
import { attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { encodeRandomRequest } from '../../../../src/protocol/radius/wire/authenticators.js';
import { runs } from '../../../seed.js';
import { PACKETS, SECRET, STATUS } from '../../radius/wire/vectors.js';
import { REQUEST } from '../home-rig.js';
import { RadiusRig } from './radius-rig.js';

const CHALLENGE: HomeAnswer = { type: 'challenge', packet: REQUEST, reissued: false, timeout: 60 };
const eap = (packet: Uint8Array) => attribute('EAP-Message', packet);

/** The number of packets: a million by hand, fewer in each run of the tests. */
const RUNS = Number(process.env['PANA_PACKETS'] ?? 3_000);

it('takes any packets, answers only authentic ones, and stays bounded', () => {
  const rig = new RadiusRig();
  const seeds = [...PACKETS, STATUS.request];
  const mutation = fc.record({
    seed: fc.nat(seeds.length - 1),
    at: fc.nat(4095),
    octets: fc.uint8Array({ maxLength: 24, size: 'max' }),
    cut: fc.nat(400),
    signs: fc.boolean(),
    service: fc.constantFrom('authentication', 'accounting', 'any'),
  });
  let answers = 0;
  fc.assert(
    fc.property(mutation, ({ seed, at, octets, cut, signs, service }) => {
      rig.now += 1;
      const original = seeds[seed] ?? new Uint8Array();
      const place = at % original.length;
      const head = concat(original.slice(0, place), octets, original.slice(place));
      const mutant = signs
        ? // The attributes are arbitrary, the signature is right.
          encodeRandomRequest(
            { code: 1, identifier: at & 255, attributes: [...eap(octets), { type: 24 + (cut % 103), value: octets }] },
            new Uint8Array(16).fill(at),
            SECRET,
          )
        : head.slice(0, Math.max(0, head.length - (cut > 300 ? cut : 0)));
      const outputs = rig.packet(mutant, {}, service);
      answers += rig.of('send').length;
      expect(outputs.length).toBeLessThan(3);
      const [asked] = rig.of('home');
      if (asked) rig.feed({ type: 'answer', token: asked.input.token, answer: CHALLENGE });
      rig.feed({ type: 'tick' });
      expect(rig.machine.requests).toBeLessThanOrEqual(MAX_REQUESTS);
    }),
    { numRuns: runs(RUNS), endOnFailure: true },
  );
  expect(answers).toBeGreaterThan(0);
});
