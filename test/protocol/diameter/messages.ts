import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import type { DiameterMessage } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER, DEA, DER } from '../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../../src/protocol/diameter/wire/grammar.js';

export const grammarian = new Grammarian(new Dictionary());

export function der(host: string, more: object = {}): DiameterMessage {
  return grammarian.message(DER, APPLICATION.EAP, {
    'Session-Id': `${host};1;1`,
    'Auth-Application-Id': APPLICATION.EAP,
    'Origin-Host': host,
    'Origin-Realm': 'example',
    'Destination-Realm': 'example',
    'Auth-Request-Type': 3,
    'EAP-Payload': new Uint8Array(0),
    ...more,
  });
}

export function cerOf(host: string, more: object = {}): DiameterMessage {
  return grammarian.message(CER, APPLICATION.COMMON, {
    'Origin-Host': host,
    'Origin-Realm': 'example',
    'Host-IP-Address': [Uint8Array.of(127, 0, 0, 1)],
    'Vendor-Id': 0,
    'Product-Name': 'stranger',
    'Auth-Application-Id': [APPLICATION.EAP],
    ...more,
  });
}

/** The answer of this server to a DER. */
export function deaTo(request: DiameterMessage, host: string, more: object = {}): DiameterMessage {
  return answerTo(
    request,
    grammarian.write(DEA, {
      'Session-Id': grammarian.find(request.avps, 'Session-Id') ?? '',
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Result-Code': 2001,
      'Origin-Host': host,
      'Origin-Realm': 'example',
      ...more,
    }),
  );
}
