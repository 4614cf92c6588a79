import { describe, expect, it } from 'vitest';
import { answerTo, errorAnswer, violationOf } from '../../../../src/protocol/diameter/wire/answers.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
  salvageDiameter,
} from '../../../../src/protocol/diameter/wire/codec.js';
import { ERROR_ANSWER } from '../../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../../../src/protocol/diameter/wire/grammar.js';
import { isProtocolError, RESULT, resultName } from '../../../../src/protocol/diameter/wire/result-codes.js';
import { unknownAvp, vector } from './vectors.js';

const grammarian = new Grammarian(new Dictionary());
const origin = { host: 'aaa.home.example', realm: 'home.example' };
const proxies = ['one.example', 'two.example'].map((host) =>
  grammarian.avp('Proxy-Info', { 'Proxy-Host': host, 'Proxy-State': Uint8Array.of(1) }),
);
const recorded = decodeDiameter(vector('DER'));
const request: DiameterMessage = {
  ...recorded,
  flags: FLAG.R | FLAG.P | FLAG.T,
  avps: [...recorded.avps, ...proxies],
};
const sessionId = grammarian.find(request.avps, 'Session-Id');

describe('answerTo', () => {
  it('copies the identifiers and Proxy-Info of the request, and only P of its flags (RFC 6733 6.2)', () => {
    const answer = answerTo(request, [grammarian.avp('Result-Code', RESULT.SUCCESS)]);
    expect(answer).toMatchObject({
      flags: FLAG.P,
      commandCode: request.commandCode,
      applicationId: request.applicationId,
      hopByHop: request.hopByHop,
      endToEnd: request.endToEnd,
    });
    expect(answer.avps.slice(1)).toEqual(proxies);
  });

  it('clears P if the request has no P', () => {
    expect(answerTo({ ...request, flags: FLAG.R }, []).flags).toBe(0);
  });
});

describe('errorAnswer', () => {
  const answer = (resultCode: number) =>
    errorAnswer(grammarian, origin, request, { resultCode, failedAvp: unknownAvp(true), text: 'why' });

  it('has Session-Id first, then Result-Code, origin, Error-Message and Failed-AVP', () => {
    expect(grammarian.read(ERROR_ANSWER, answer(RESULT.AVP_UNSUPPORTED))).toMatchObject({
      'Session-Id': sessionId,
      'Result-Code': 5001,
      'Origin-Host': origin.host,
      'Origin-Realm': origin.realm,
      'Error-Message': 'why',
      'Failed-AVP': [[unknownAvp(true)]],
    });
    expect(answer(RESULT.AVP_UNSUPPORTED).avps[0]?.code).toBe(263);
  });

  it('sets E for protocol errors only (RFC 6733 7.1.3)', () => {
    for (const code of Object.values(RESULT)) {
      expect((answer(code).flags & FLAG.E) !== 0).toBe(code >= 3000 && code < 4000);
      expect(isProtocolError(code)).toBe(code >= 3000 && code < 4000);
    }
  });

  it('answers a request of which only the header is known', () => {
    const { avps: _, ...header } = request;
    const violation = { resultCode: RESULT.UNABLE_TO_COMPLY, failedAvp: undefined, text: 'why' };
    const { avps, flags } = errorAnswer(grammarian, origin, header, violation);
    expect(flags).toBe(FLAG.P);
    expect(grammarian.find(avps, 'Session-Id')).toBeUndefined();
  });
});

describe('violationOf', () => {
  const octets = () => encodeDiameter({ ...request, avps: [grammarian.avp('Framed-MTU', 1100)] });
  const result = (change: (octets: Uint8Array) => void) => {
    const broken = octets();
    change(broken);
    const salvage = salvageDiameter(broken);
    return salvage && violationOf(grammarian, salvage);
  };

  it('returns the Result-Code for octets that do not decode, and an example of the failed AVP', () => {
    expect(result((broken) => broken.set([9], 0))).toMatchObject({ resultCode: RESULT.UNSUPPORTED_VERSION });
    expect(result((broken) => broken.set([20], 3))).toMatchObject({ resultCode: RESULT.INVALID_MESSAGE_LENGTH });
    expect(result((broken) => broken.set([7], 27))).toMatchObject({
      resultCode: RESULT.INVALID_AVP_LENGTH,
      failedAvp: { code: 12, data: new Uint8Array(4) },
    });
    expect(result((broken) => broken.set([99], 27))).toMatchObject({ resultCode: RESULT.INVALID_AVP_LENGTH });
    expect(result((broken) => broken.set([0xff, 0xff], 20))).toBeUndefined();
  });

  it('returns UNABLE_TO_COMPLY for a message with too many AVPs', () => {
    const many = encodeDiameter({ ...request, avps: Array.from({ length: 600 }, () => unknownAvp(false)) });
    const salvage = salvageDiameter(many);
    expect(salvage && violationOf(grammarian, salvage)).toMatchObject({
      resultCode: RESULT.UNABLE_TO_COMPLY,
      failedAvp: undefined,
    });
  });
});

describe('resultName', () => {
  it('returns the name of a Result-Code, or the number if it is unknown', () => {
    expect(resultName(RESULT.UNKNOWN_PEER)).toBe('UNKNOWN_PEER');
    expect(resultName(9999)).toBe('9999');
  });
});
