import { FLAG as DIAMETER_FLAG, decodeDiameter } from '../../src/protocol/diameter/wire/codec.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { decodePana } from '../../src/protocol/pana/wire/codec.js';
import { messageName } from '../../src/protocol/pana/wire/dictionary.js';

const grammarian = new Grammarian(new Dictionary(32473));

const COMMANDS: Readonly<Record<number, string>> = {
  257: 'CE',
  258: 'RA',
  268: 'DE',
  274: 'AS',
  275: 'ST',
  280: 'DW',
  282: 'DP',
};

/** The text of a datagram in a ladder. */
export function describePana(octets: Uint8Array, lost: boolean): string {
  return `${nameOf(octets)}${lost ? ' (lost)' : ''}`;
}

function nameOf(octets: Uint8Array): string {
  try {
    const message = decodePana(octets);
    return `${messageName(message).rfc} ${message.sequence}`;
  } catch {
    return `${octets.length} octets`;
  }
}

/** The text of a Diameter message in a ladder. */
export function describeDiameter(octets: Uint8Array): string {
  try {
    const { commandCode, flags, avps } = decodeDiameter(octets);
    const name = `${COMMANDS[commandCode] ?? commandCode}${flags & DIAMETER_FLAG.R ? 'R' : 'A'}`;
    const said = [grammarian.find(avps, 'Result-Code'), grammarian.find(avps, 'Session-Id')];
    return [name, ...said.filter((value) => value !== undefined)].join(' ');
  } catch {
    return `${octets.length} octets`;
  }
}
