import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import type { EncryptionPolicy } from '../../../../src/protocol/pana/session/key-agreement.js';
import { encodePana, type PanaMessage } from '../../../../src/protocol/pana/wire/codec.js';
import { AVPS, type AvpName, avpName, makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { HOME, Ladder, type LadderLine } from './ladder.js';

type Options = NonNullable<ConstructorParameters<typeof Ladder>[0]>;

const BOOTSTRAP = ['PCI', 'PAR[S]', 'PAN[S]', 'PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]'];
const BOTH = { pac: { encryption: 'wanted' }, paa: { encryption: 'wanted' } } as const;

function started(options: Options = BOTH): Ladder {
  const ladder = new Ladder(options);
  ladder.toPac({ type: 'start' });
  return ladder;
}

function avpsOf({ avps }: PanaMessage): AvpName[] {
  return avps.map((avp) => avpName(avp, 32473) ?? 'AUTH');
}

function lineOf(ladder: Ladder, name: string): LadderLine {
  const line = ladder.lines.findLast((each) => each.name === name);
  if (!line) throw new Error(`no ${name}`);
  return line;
}

function encapOf(ladder: Ladder, name: string): string | undefined {
  const avp = lineOf(ladder, name).message.avps.find(({ code }) => code === AVPS['Encryption-Encap'].code);
  return avp && toHex(avp.value);
}

function authorized(ladder: Ladder) {
  return ladder.pacEvents.filter((event) => event.type === 'authorized');
}

function drops(ladder: Ladder): string[] {
  return [...ladder.pacEvents, ...ladder.paaEvents].flatMap((each) => (each.type === 'dropped' ? [each.code] : []));
}

/** The message without its Encryption-Algorithm. */
function stripped({ message }: LadderLine): Uint8Array {
  const isKept = ({ code }: { code: number }) => code !== AVPS['Encryption-Algorithm'].code;
  return encodePana({ ...message, avps: message.avps.filter(isKept) });
}

describe('A PaC and a PAA that encrypt', () => {
  it('agree in PAR[S] and PAN[S], and hide the assignment in PAR[C] and the cause in PTR', () => {
    const ladder = started().run(100);
    expect(ladder.names).toEqual(BOOTSTRAP);
    for (const name of ['PAR[S]', 'PAN[S]']) {
      expect(avpsOf(lineOf(ladder, name).message)).toContain('Encryption-Algorithm');
    }
    const par = lineOf(ladder, 'PAR[C]');
    expect(avpsOf(par.message)).toEqual(['Result-Code', 'EAP-Payload', 'Key-Id', 'Encryption-Encap', 'AUTH']);
    expect(Buffer.from(par.octets).toString('latin1')).not.toContain('ha.home.example');
    expect(toHex(par.octets)).not.toContain('20'.repeat(16));
    expect(authorized(ladder)).toMatchObject([
      { assignment: HOME.assignment, lifetime: 3_600_000, algorithms: { encryption: { name: 'AES128_CTR' } } },
    ]);
    expect([...ladder.paa.list(ladder.now)]).toMatchObject([{ encryption: 'AES128_CTR' }]);
    ladder.toPac({ type: 'terminate' });
    ladder.run(200);
    expect(avpsOf(lineOf(ladder, 'PTR').message)).toEqual(['Encryption-Encap', 'AUTH']);
    expect(avpsOf(lineOf(ladder, 'PTA').message)).toEqual(['AUTH']);
    expect(ladder.paaEvents.at(-1)).toMatchObject({ event: { type: 'closed', cause: 'logout' } });
    expect(drops(ladder)).toEqual([]);
  });

  it('end a session from the PAA, too', () => {
    const ladder = started().run(100);
    ladder.toSession({ type: 'terminate', cause: 4 });
    ladder.run(200);
    expect(avpsOf(lineOf(ladder, 'PTR').message)).toEqual(['Encryption-Encap', 'AUTH']);
    expect(ladder.pacEvents.at(-1)).toMatchObject({ type: 'closed', cause: 'terminated-by-paa' });
  });

  it('send a lost PAR[C] again with the same octets', () => {
    let lost = 0;
    const lose = ({ name }: LadderLine) => name === 'PAR[C]' && ++lost <= 2;
    const ladder = started({ ...BOTH, lose }).run(10_000);
    const sent = ladder.lines.filter(({ name }) => name === 'PAR[C]').map(({ octets }) => toHex(octets));
    expect(sent).toHaveLength(3);
    expect(new Set(sent).size).toBe(1);
    expect(authorized(ladder)).toMatchObject([{ assignment: HOME.assignment }]);
  });

  it('answer a repeated PAR[C] without opening it again', () => {
    const ladder = started().run(100);
    ladder.inject('pac', lineOf(ladder, 'PAR[C]').octets);
    expect(authorized(ladder)).toHaveLength(1);
    expect(ladder.names).toEqual([...BOOTSTRAP, 'PAN[C]']);
    const [first, second] = ladder.lines.filter(({ name }) => name === 'PAN[C]');
    expect(second?.octets).toEqual(first?.octets);
  });

  it('encrypt with new keys after a re-authentication, and drop a PAR[C] of the old ones', () => {
    const keys = { exportKeys: true };
    const ladder = started({ pac: { ...BOTH.pac, ...keys }, paa: { ...BOTH.paa, ...keys } }).run(100);
    const [before, old] = [encapOf(ladder, 'PAR[C]'), lineOf(ladder, 'PAR[C]').octets];
    ladder.toPac({ type: 'reauthenticate' });
    ladder.run(200);
    expect(authorized(ladder)).toMatchObject([
      { reauthentication: false },
      { reauthentication: true, assignment: HOME.assignment },
    ]);
    expect(encapOf(ladder, 'PAR[C]')).not.toBe(before);
    ladder.inject('pac', old);
    expect(authorized(ladder)).toHaveLength(2);
    expect(drops(ladder)).toEqual(['out-of-sequence']);
    const ofPac = ladder.pacEvents.flatMap((event) => (event.type === 'key' ? [event] : []));
    const ofPaa = ladder.paaEvents.flatMap((output) =>
      output.type === 'session' && output.event.type === 'key' ? [output.event] : [],
    );
    const shown = ofPac.map(({ encryption }) =>
      [encryption?.pac, encryption?.paa].map((key) => key && toHex(key.octets())),
    );
    expect(
      ofPaa.map(({ encryption }) => [encryption?.pac, encryption?.paa].map((key) => key && toHex(key.octets()))),
    ).toEqual(shown);
    expect(new Set(shown.flat()).size).toBe(4);
  });

  it('drop a PAR[C] in which the ciphertext was changed', () => {
    const alter = ({ name, octets }: LadderLine) => {
      const changed = octets.slice();
      // Within Encryption-Encap, which ends before AUTH with its 16 octets.
      if (name === 'PAR[C]') changed[changed.length - 30] = (changed[changed.length - 30] ?? 0) ^ 1;
      return changed;
    };
    const ladder = started({ ...BOTH, alter }).run(5_000);
    expect(authorized(ladder)).toEqual([]);
    expect(new Set(drops(ladder))).toEqual(new Set(['auth']));
  });

  it('use an assignment without encryption if the other end cannot', () => {
    for (const options of [
      { pac: BOTH.pac },
      { paa: BOTH.paa },
      { ...BOTH, paa: { ...BOTH.paa, peers: 'legacy' as const } },
    ]) {
      const ladder = started(options).run(20_000);
      expect(lineOf(ladder, 'PAR[C]').message.avps.some(({ code }) => code === 12)).toBe(false);
      expect(authorized(ladder)).toMatchObject([{ lifetime: 3_600_000 }]);
    }
  });
});

describe('encryption by the settings of PaC and PAA', () => {
  it.each<[EncryptionPolicy, EncryptionPolicy, 'encrypted' | 'clear' | 'none']>([
    ['off', 'off', 'clear'],
    ['off', 'wanted', 'clear'],
    ['wanted', 'off', 'clear'],
    ['wanted', 'wanted', 'encrypted'],
    ['wanted', 'required', 'encrypted'],
    ['required', 'wanted', 'encrypted'],
    ['required', 'required', 'encrypted'],
    ['off', 'required', 'none'],
    ['required', 'off', 'none'],
  ])('%s and %s is %s', (pac, paa, expected) => {
    const ladder = started({ pac: { encryption: pac }, paa: { encryption: paa } }).run(30_000);
    const isEncrypted = ladder.lines.some(({ message }) => avpsOf(message).includes('Encryption-Encap'));
    expect([authorized(ladder).length > 0, isEncrypted]).toEqual([expected !== 'none', expected === 'encrypted']);
    const shown = expected === 'encrypted' ? 'AES128_CTR' : undefined;
    expect([...ladder.paa.list(ladder.now)].every(({ encryption }) => encryption === shown)).toBe(true);
    if (expected === 'none') expect(drops(ladder)).toContain('no-encryption');
  });

  it('that require it are met by a PAA whose other offers were lost', () => {
    // Only the third offer, which old PaCs understand, arrives at first.
    const lose = ({ name, nth }: LadderLine) => name === 'PAR[S]' && nth < 4;
    const ladder = started({ pac: { encryption: 'required', mobility: undefined as never }, paa: BOTH.paa, lose }).run(
      60_000,
    );
    expect(authorized(ladder)).toMatchObject([{ algorithms: { encryption: { id: 1 } } }]);
  });

  it('need a PANA SA', () => {
    const clear = { prf: [], integrity: [], sa: 'optional' } as const;
    const ladder = started({
      pac: { encryption: 'required', sa: 'optional' },
      paa: { ...clear, encryption: 'wanted' },
    });
    ladder.run(10_000);
    expect(authorized(ladder)).toEqual([]);
    expect(drops(ladder)).toContain('no-encryption');
    const open = started({
      pac: { encryption: 'wanted', sa: 'optional' },
      paa: { ...clear, encryption: 'wanted' },
    }).run(10_000);
    expect(authorized(open)).toMatchObject([{ algorithms: undefined }]);
  });

  it('refuse an algorithm that was not offered', () => {
    for (const id of [2, 0xffff_ffff]) {
      const alter = ({ name, message, octets }: LadderLine) => {
        if (name !== 'PAN[S]') return octets.slice();
        const avps = message.avps.map((avp) => (avp.code === 13 ? makeAvp('Encryption-Algorithm', id) : avp));
        return encodePana({ ...message, avps });
      };
      const ladder = started({ ...BOTH, alter }).run(3_000);
      expect(drops(ladder)).toContain('no-encryption');
      expect([...ladder.paa.list(3_000)]).toEqual([]);
    }
  });
});

describe('An attacker that removes Encryption-Algorithm', () => {
  const remove =
    (...names: string[]) =>
    (line: LadderLine) =>
      names.includes(line.name) ? stripped(line) : line.octets.slice();

  it.each([[['PAR[S]']], [['PAN[S]']], [['PAR[S]', 'PAN[S]']]])(
    'from %s gets no session without encryption: the keys depend on both messages',
    (names) => {
      const ladder = started({ ...BOTH, alter: remove(...names) }).run(20_000);
      expect(ladder.names).toContain('PAR[C]');
      expect(authorized(ladder)).toEqual([]);
      expect(drops(ladder)).toContain('auth');
    },
  );

  it('does not even learn an EAP identity from ends that require it', () => {
    const required = { pac: { encryption: 'required' }, paa: { encryption: 'required' } } as const;
    const ofPaa = started({ ...required, alter: remove('PAR[S]') }).run(5_000);
    expect([new Set(drops(ofPaa)), ofPaa.names.includes('PAN[S]')]).toEqual([new Set(['no-encryption']), false]);
    const ofPac = started({ ...required, alter: remove('PAN[S]') }).run(5_000);
    expect([drops(ofPac)[0], ofPac.names.includes('PAR')]).toEqual(['no-encryption', false]);
  });
});
