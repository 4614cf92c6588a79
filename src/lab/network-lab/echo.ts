import { createSocket } from 'node:dgram';

// A separate program that echoes every datagram. It prints a line when it listens.
const socket = createSocket('udp6');
socket.on('message', (octets, { port, address }) => socket.send(octets, port, address));
socket.bind(Number(process.argv[2]), () => process.stdout.write('listening\n'));
