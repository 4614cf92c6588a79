import { createSocket } from 'node:dgram';
import { PACE } from './pace.js';
import { bindWhenPossible } from './source-address.js';

// A separate program that sends datagrams to an echo, and prints a line of JSON when they start or stop coming back.
// Arguments: address of the echo, its port, source address.

/** Interval between datagrams in milliseconds. */
const INTERVAL = 2 * PACE;

/** The path counts as down after this time without an echo, in milliseconds. */
const SILENCE = 300 * PACE;

const [to = '', port = '', from = ''] = process.argv.slice(2);
const socket = createSocket('udp6');
const now = () => performance.timeOrigin + performance.now();
const sent: number[] = [];
let state: 'unknown' | 'open' | 'closed' = 'unknown';
/** When the last echoed datagram was sent. Before the first echo: when the first datagram was sent. */
let last = 0;

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

socket.on('message', (octets) => {
  const at = sent[octets.readUInt32BE()] ?? 0;
  if (state !== 'open') say({ state: 'open', at });
  state = 'open';
  last = Math.max(last, at);
});

// Sending fails while there is no route or neighbour.
bindWhenPossible(socket, from, () => {
  last = now();
  setInterval(() => {
    const octets = Buffer.alloc(64);
    octets.writeUInt32BE(sent.length);
    sent.push(now());
    socket.send(octets, Number(port), to, () => undefined);
    if (state === 'closed' || now() - last < SILENCE) return;
    say({ state: 'closed', at: last });
    state = 'closed';
  }, INTERVAL);
});
