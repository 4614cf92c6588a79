import { afterEach, expect, it, vi } from 'vitest';
import { Nas } from '../../src/protocol/nas/nas.js';
import { UdpSocket } from '../../src/runtime/net/udp.js';
import { Driver } from '../../src/runtime/system/driver.js';
import { eventually } from '../eventually.js';
import { makePki } from '../runtime/eap/eap-run.js';
import { paaScene } from './paa-rig.js';

afterEach(() => {
  vi.restoreAllMocks();
});

it('A datagram passes through socket, driver and NAS and back, through each once', async () => {
  const scene = await paaScene(await makePki('p256'));
  const handle = vi.spyOn(Nas.prototype, 'handle');
  const feed = vi.spyOn(Driver.prototype, 'feed');
  const send = vi.spyOn(UdpSocket.prototype, 'send');
  await expect(scene.node().bootstrap()).rejects.toThrow('a node got no home address');
  await eventually(() => expect(scene.lines.map(({ msg }) => msg)).toContain('session authorized'));
  const inputs = handle.mock.calls.map(([input]) => input.type).filter((type) => type !== 'tick');
  const outputs = handle.mock.results.flatMap(({ value }) => value as ReturnType<Nas['handle']>);
  const asked = outputs.filter(({ type }) => type === 'ask').length;
  const sent = outputs.filter(({ type }) => type === 'send').length;
  const came = inputs.filter((type) => type === 'datagram').length;
  // The NAS got only datagrams and answers: no output was fed back.
  expect(inputs.filter((type) => type === 'answer')).toHaveLength(asked);
  expect(inputs).toHaveLength(came + asked);
  // Only an input of the NAS has the source address of a datagram.
  const fed = feed.mock.calls.filter(
    ([input]) => (input as { type: string }).type === 'datagram' && 'from' in (input as object),
  );
  expect(fed.length).toBeGreaterThan(5);
  expect(came).toBe(fed.length);
  // The sockets of node and PAA are both in this process, which sent each datagram once.
  expect(send).toHaveBeenCalledTimes(came + sent);
  const logged = scene.lines.filter(({ msg, address }) => msg === 'message sent' && address !== undefined);
  expect(logged.map(({ message }) => message)).toEqual(Array(sent).fill(expect.stringMatching(/^PA[RN]/)));
});
