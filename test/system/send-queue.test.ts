import { describe, expect, it } from 'vitest';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';

const possible = announce('a link that is slower than what is sent to it', missing('tc', 'ping'));

const SCRIPT = `
  const { UdpSocket } = await import(process.argv[1]);
  const socket = await UdpSocket.open({ address: '${ROUTER}', port: 0 }, () => undefined);
  let sent = 0;
  for (let turn = 0; turn < 20; turn += 1) {
    for (let i = 0; i < 1000; i += 1) sent += socket.send(new Uint8Array(1000), { address: '${NODE}', port: 9 }) ? 1 : 0;
    await new Promise(setImmediate);
  }
  console.log(sent);
  process.exit();
`;

describe.runIf(possible)('A socket for datagrams', () => {
  it('keeps one megabyte for a slow link, and loses the rest', async () => {
    const network = await AccessNetwork.make();
    // The router knows the node's address before the link is slow.
    await network.exec(network.router, 'ping', '-6', '-c', '1', NODE);
    const shaper = ['root', 'tbf', 'rate', '80kbit', 'burst', '1600', 'limit', '10000000'];
    await network.exec(network.router, 'tc', 'qdisc', 'add', 'dev', 'ar0', ...shaper);
    const module = new URL('../../dist/runtime/net/udp.js', import.meta.url).href;
    const sent = Number(
      await network.exec(network.router, process.execPath, '--input-type=module', '-e', SCRIPT, module),
    );
    // The kernel's buffer takes some as well.
    expect(sent).toBeGreaterThan(1_000);
    expect(sent).toBeLessThan(3_000);
  });
});
