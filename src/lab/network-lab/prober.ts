import { createSocket } from 'node:dgram';

// A program of its own: sends datagrams to an echo, and writes a line of JSON when packets begin and cease to come through.
// Arguments: address of the echo, its port, source address.

/** How often, in milliseconds. */
const INTERVAL = 2;

/** Nothing comes through when nothing has for so long, in milliseconds. */
const SILENCE = 300;

const [to = '', port = '', from = ''] = process.argv.slice(2);
const socket = createSocket('udp6');
const now = () => performance.timeOrigin + performance.now();
const sent: number[] = [];
let state: 'unknown' | 'open' | 'closed' = 'unknown';
/** When the last datagram was sent that came through; before the first one, when the first was sent. */
let last = 0;
let longest = 0;

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

socket.on('message', (octets) => {
  const at = sent[octets.readUInt32BE()] ?? 0;
  if (state === 'open' && at - last > longest) {
    longest = at - last;
    if (longest > 10 * INTERVAL) say({ pause: longest });
  }
  if (state !== 'open') say({ state: 'open', at });
  state = 'open';
  last = Math.max(last, at);
});

// Before there is a route or a neighbour a datagram cannot be sent.
socket.on('error', () => undefined);

socket.bind(0, from, () => {
  last = now();
  setInterval(() => {
    const octets = Buffer.alloc(64);
    octets.writeUInt32BE(sent.length);
    sent.push(now());
    socket.send(octets, Number(port), to, () => undefined);
    if (state === 'closed' || now() - last < SILENCE) return;
    say({ state: 'closed', at: last });
    state = 'closed';
    longest = 0;
  }, INTERVAL);
});
