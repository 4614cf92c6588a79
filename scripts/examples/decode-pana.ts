// Decodes a PANA message from hex and prints its AVPs: node out/decode-pana.js [HEX]
// docs/library.md says how to compile this.
import {
  DecodeError,
  decodePana,
  encodePana,
  FLAG,
  MESSAGE_TYPE,
  makeAvp,
  messageName,
  readPana,
} from 'pana-mip6/pana';

/** A PANA-Auth-Request with the S bit, which a PAA sends in answer to the first message of a client. */
const PAR_S = encodePana({
  type: MESSAGE_TYPE.AUTH,
  flags: FLAG.R | FLAG.S,
  sessionId: 0x1a2b3c4d,
  sequence: 7,
  avps: [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)],
});

const octets = process.argv[2] === undefined ? PAR_S : Uint8Array.from(Buffer.from(process.argv[2], 'hex'));
try {
  const message = decodePana(octets);
  const session = message.sessionId.toString(16).padStart(8, '0');
  console.log(`${messageName(message).rfc}, session ${session}, sequence ${message.sequence}`);
  const values = readPana(message);
  if (typeof values === 'string') {
    console.log(`violates RFC 5191: ${values}`);
  } else {
    // AVPs that may occur more than once are lists.
    for (const [name, value] of Object.entries(values)) {
      for (const each of [value].flat()) if (each !== undefined) console.log(`  ${name}: ${each}`);
    }
  }
} catch (error) {
  if (!(error instanceof DecodeError)) throw error;
  console.error(`cannot be decoded: ${error.message}`);
  process.exitCode = 1;
}
