import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../../dist/lab/lab.js';
import { BenchNode } from '../../../src/load/node.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { credentialsOf } from '../../daemons/load.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

it('A re-authentication without an AAA server ends no session and succeeds once a server is back', {
  timeout: 120_000,
}, async () => {
  const made = await Lab.make({
    hooks: false,
    logLevel: 'info',
    paa: { diameter: { reconnect: '200ms', 'request-timeout': '5s' } },
  });
  lab = made;
  const { daemon: aaa, place: server } = await made.startAaa();
  const { daemon: paa, place } = await made.startPaa(server);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const node = new BenchNode(place, await credentialsOf(made, 'mn1'));
  await node.bootstrap();
  const { session } = await paa.line('session authorized');
  await aaa.stop();
  await callDaemon(made.socket('paa'), 'POST', '/session/reauth', { session });
  expect(await paa.line('reauthentication postponed')).toMatchObject({ session, nai: 'mn1@home.example' });
  expect(await callDaemon(made.socket('paa'), 'GET', '/sessions')).toMatchObject([{ session, state: 'WAIT_EAP_MSG' }]);
  const again = made.start('aaa', 'aaa', made.path('aaa.yaml'));
  await again.line('ready');
  // EAP starts again in the middle of a conversation.
  await paa.line('session reauthenticated');
  expect(await callDaemon(made.socket('paa'), 'GET', '/sessions')).toMatchObject([{ session, state: 'OPEN' }]);
  expect(paa.lines.some(({ msg }) => msg === 'session ended')).toBe(false);
  await node.terminate();
});
