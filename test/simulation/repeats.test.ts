import { beforeEach, describe, expect, it } from 'vitest';
import { encodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DER, DWR } from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import { Dice, Life, WorldClock } from './clock.js';
import { type Disagreement, Repeats } from './repeats.js';
import { Trace } from './trace.js';

const grammarian = new Grammarian(new Dictionary(32473));
const PAA = new Life('paa1');
const SERVER = new Life('aaa1');

function request(commandCode: number): Uint8Array {
  const header = { flags: FLAG.R, commandCode, applicationId: APPLICATION.EAP, hopByHop: 7, endToEnd: 9 };
  return encodeDiameter({ ...header, avps: [] });
}

function answer(resultCode: number, hopByHop: number): Uint8Array {
  const avps = [grammarian.avp('Session-Id', 's'), grammarian.avp('Result-Code', resultCode)];
  const header = { flags: 0, commandCode: DER.code, applicationId: APPLICATION.EAP, hopByHop, endToEnd: 9 };
  return encodeDiameter({ ...header, avps });
}

describe('Repeats', () => {
  let clock: WorldClock;
  let carried: Uint8Array[];
  let differing: Disagreement[];
  let repeats: Repeats;

  beforeEach(() => {
    clock = new WorldClock('plain');
    carried = [];
    differing = [];
    const scene = { clock, dice: new Dice(1), trace: new Trace(clock), leaves: () => true };
    const carry = (_from: Life, _to: Life, octets: Uint8Array) => carried.push(octets) > 0;
    repeats = new Repeats(scene, carry, (one) => void differing.push(one));
    repeats.trouble = { chance: 1, delay: 100 };
  });

  it('sends a copy with the T flag and another Hop-by-Hop Identifier', async () => {
    repeats.sent(PAA, SERVER, request(DER.code));
    await clock.run(2_000, () => undefined);
    const [copy = new Uint8Array(0)] = carried;
    expect(carried).toHaveLength(1);
    expect(copy[4]).toBe(FLAG.R | FLAG.T);
    expect(copy.subarray(12, 16)).not.toEqual(request(DER.code).subarray(12, 16));
    expect(copy.subarray(16)).toEqual(request(DER.code).subarray(16));
  });

  it.each<[string, number, number, string[]]>([
    ['equal ones', RESULT.SUCCESS, RESULT.SUCCESS, []],
    [
      'different ones',
      RESULT.SUCCESS,
      RESULT.UNKNOWN_SESSION_ID,
      ['answers 2001 and 5002 to one request of command 268'],
    ],
    ['different ones, if the first request was not served', RESULT.TOO_BUSY, RESULT.SUCCESS, []],
  ])('compares the answers to a request and its copy: %s', (_, first, second, texts) => {
    repeats.sent(PAA, SERVER, request(DER.code));
    repeats.sent(SERVER, PAA, answer(first, 7));
    repeats.sent(SERVER, PAA, answer(second, 8));
    expect(differing.map(({ text }) => text)).toEqual(texts);
  });

  it('does not repeat the requests of a connection', async () => {
    repeats.sent(PAA, SERVER, request(DWR.code));
    await clock.run(2_000, () => undefined);
    expect(carried).toEqual([]);
  });
});
