import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_NEW_CONNECTIONS } from '../../../src/protocol/fairness/connection-slots.js';
import { ControlServer } from '../../../src/runtime/service/control.js';
import { eventually } from '../../eventually.js';

const sockets: Socket[] = [];
let server: ControlServer | undefined;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
});

describe('ControlServer on TCP', () => {
  it('answers while other clients hold as many connections open as they can', async () => {
    server = await ControlServer.onTcp('127.0.0.1', 0, { 'GET /healthz': () => 'ok' });
    const { port } = server;
    let closed = 0;
    const opened = Array.from({ length: MAX_NEW_CONNECTIONS + 100 }, async () => {
      const socket = connect({ port, host: '127.0.0.1' });
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => (closed += 1));
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
    });
    await Promise.all(opened);
    await eventually(() => expect(closed).toBeGreaterThanOrEqual(100));
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    expect(await answer.text()).toBe('ok');
  });
});
