import { createSocket } from 'node:dgram';
import { bindWhenPossible } from './source-address.js';

// A separate program that sends datagrams to an echo at a fixed interval. It prints lines of JSON with the times at which
// the next datagrams were sent, in milliseconds since 1970, and the numbers of those that came back.
// Arguments: address of the echo, its port, interval in milliseconds, source address (default: any).

/** How often it prints, in milliseconds. */
const REPORT = 100;

const [to = '', port = '', interval = '', from] = process.argv.slice(2);
const socket = createSocket('udp6');
let next = 0;
let sent: number[] = [];
let back: number[] = [];

socket.on('message', (octets) => back.push(octets.readUInt32BE()));
// Sending fails while there is no route, or the source address is absent: a lost datagram.
bindWhenPossible(socket, from, () => {
  setInterval(() => {
    const octets = Buffer.alloc(64);
    octets.writeUInt32BE(next);
    next += 1;
    sent.push(performance.timeOrigin + performance.now());
    socket.send(octets, Number(port), to, () => undefined);
  }, Number(interval));
  setInterval(() => {
    process.stdout.write(`${JSON.stringify({ sent, back })}\n`);
    sent = [];
    back = [];
  }, REPORT);
});
