import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import { DiameterAccess } from '../../src/protocol/home/diameter/access.js';
import { Home } from '../../src/protocol/home/home.js';
import { stopNodes } from '../runtime/diameter/rig.js';
import { clientCredentials, makePki, type TestPki } from '../runtime/eap/eap-run.js';
import { Application, resultOf } from './application-rig.js';

const PAA = 'paa.example';
const ADDRESS = '2001:db8:1::1';

let pki: TestPki;
let application: Application;

beforeAll(async () => {
  pki = await makePki('p256');
});

afterEach(async () => {
  vi.restoreAllMocks();
  await stopNodes();
  await application.stop();
});

it('HomeServer answers 5012 to a request whose answer it cannot write, and answers the next request', async () => {
  application = await new Application({ pki, paas: [PAA] }).start();
  vi.spyOn(DiameterAccess.prototype, 'write').mockImplementationOnce(() => {
    throw new Error('broken');
  });
  expect(resultOf(await application.begin(PAA, application.newSession(PAA), ADDRESS))).toBe(RESULT.UNABLE_TO_COMPLY);
  const next = await application.begin(PAA, application.newSession(PAA), ADDRESS);
  expect(resultOf(next)).toBe(RESULT.MULTI_ROUND_AUTH);
});

it.each([
  ['after its answer was written', RESULT.SUCCESS],
  ['even if its answer cannot be written', RESULT.UNABLE_TO_COMPLY],
])('HomeServer wipes the MSK of a session %s', async (_, result) => {
  application = await new Application({ pki, paas: [PAA] }).start();
  const handle = vi.spyOn(Home.prototype, 'handle');
  const write = DiameterAccess.prototype.write;
  vi.spyOn(DiameterAccess.prototype, 'write').mockImplementation(function (this: DiameterAccess, request, answer) {
    if (answer.type === 'accept' && result !== RESULT.SUCCESS) throw new Error('broken');
    return write.call(this, request, answer);
  });
  const credentials = clientCredentials(pki);
  expect(await application.enter(PAA, ADDRESS, credentials)).toBe(result);
  const keys = handle.mock.results
    .flatMap(({ value }) => value as ReturnType<Home['handle']>)
    .flatMap((output) =>
      output.type === 'answer' && output.answer.type === 'accept' ? [output.answer.accepted.msk] : [],
    );
  expect(keys.map(({ isWiped }) => isWiped)).toEqual([true]);
});
